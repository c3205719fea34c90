"""What the CI jobs run: `train` on a pull request's code, `report` and `release` from main.

`python -m ci.<job>` needs the dependency group `ci` (`release` for the release) and the variables of `ci.environment`.
"""
