"""The htpasswd file lets exactly one user in."""

from collections.abc import Callable
from types import ModuleType

import bcrypt
import pytest


def line(user: str, password: str) -> str:
    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (line("platform", "right"), True),
        (line("platform", "wrong"), False),
        (line("somebody", "right"), False),
        (line("platform", "right") + line("somebody", "else"), False),
        ("platform:not-a-hash\n", False),
        ("", False),
    ],
)
def test_only_the_one_login_is_accepted(library: Callable[[str], ModuleType], text: str, accepted: bool) -> None:
    assert library("registry_login").accepts(text, "platform", "right") is accepted
