"""The htpasswd file lets exactly one user in."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bcrypt
import pytest


def line(user: str, password: str) -> str:
    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"


@pytest.mark.parametrize(
    ("lines", "accepted"),
    [
        ([("platform", "right")], True),
        ([("platform", "wrong")], False),
        ([("somebody", "right")], False),
        ([("platform", "right"), ("somebody", "else")], False),
        ([], False),
    ],
)
def test_only_the_one_login_is_accepted(
    library: Callable[[str], ModuleType], lines: list[tuple[str, str]], accepted: bool
) -> None:
    text = "".join(line(user, password) for user, password in lines)
    assert library("registry_login").accepts(text, "platform", "right") is accepted


def test_what_is_no_hash_lets_nobody_in(library: Callable[[str], ModuleType]) -> None:
    assert not library("registry_login").accepts("platform:not-a-hash\n", "platform", "right")


def test_s18_a_link_in_the_files_place_is_not_read(library: Callable[[str], ModuleType], tmp_path: Path) -> None:
    module = library("registry_login")
    assert module.read(tmp_path / "htpasswd") == ""
    (tmp_path / "secret").write_text("root")
    (tmp_path / "htpasswd").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="remove the link"):
        module.read(tmp_path / "htpasswd")
