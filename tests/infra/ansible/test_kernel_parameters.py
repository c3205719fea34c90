"""Kernel parameters: set exactly, or raised to a minimum."""

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.mark.parametrize(
    ("current", "value", "at_least", "wanted"),
    [
        ("0", "1", False, "1"),
        ("5", "1", False, "1"),
        ("128", "1024", True, "1024"),
        ("8192", "1024", True, "8192"),
        ("1024", "1024", True, "1024"),
    ],
)
def test_the_wanted_value(
    library: Callable[[str], ModuleType], current: str, value: str, at_least: bool, wanted: str
) -> None:
    assert library("kernel_parameters").wanted(current, value, at_least) == wanted
