"""Locks, as `scripts/lock` writes them, in two parts."""

import re

import pytest

from mlplatform.base_layer import locked
from mlplatform.base_layer.environments import GROUPS
from settings import ROOT

LOCK = """\
# made by scripts/lock
alembic==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via x
Antlr4_Python3.Runtime==4.9.3 \\
    --hash=sha256:cc
    # via omegaconf
boto3==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:dd
"""


def test_what_has_no_wheel_is_apart_with_its_hashes() -> None:
    wheels, sources = locked.split(LOCK)
    assert sources == "Antlr4_Python3.Runtime==4.9.3 \\\n    --hash=sha256:cc\n    # via omegaconf\n"
    assert wheels == LOCK.replace(sources, "")


@pytest.mark.parametrize("group", GROUPS)
def test_no_package_of_a_real_lock_is_lost(group: str) -> None:
    text = (ROOT / "requirements" / f"{group}.txt").read_text()
    parts = locked.split(text)
    names = [re.findall(r"^([\w.-]+)==", part, re.MULTILINE) for part in (text, *parts)]
    assert sorted(names[0]) == sorted(names[1] + names[2])
    assert set(names[2]) <= set(locked.SOURCE_ONLY)
