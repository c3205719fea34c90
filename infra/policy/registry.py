"""Every rule of the pack: one a module of `policy.rules`, in the order of their names."""

from importlib import import_module
from pkgutil import iter_modules

from policy import rules
from policy.rule import Rule

RULES: tuple[Rule, ...] = tuple(
    import_module(f"{rules.__name__}.{found.name}").RULE for found in iter_modules(rules.__path__)
)
