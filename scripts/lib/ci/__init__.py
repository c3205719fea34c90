"""What the CI jobs run: `train`, `preview` and `checks` on a pull request's code, all others from main.

`scripts/ci/<job>` starts each one in the dependency group that it needs, with the variables of `ci.environment`.
"""
