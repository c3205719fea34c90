"""The rules. Each module has one, `RULE`; `policy.registry` finds it."""
