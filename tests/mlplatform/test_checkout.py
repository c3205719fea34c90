"""Which attributes alter a checkout: held against what git itself checks out."""

import subprocess
from pathlib import Path

import pytest

from commits import Git
from mlplatform import checkout

ALTERING = [
    "*.yaml working-tree-encoding=UTF-16LE",
    "*.yaml text working-tree-encoding=ASCII//TRANSLIT",
    "\t *.yaml  ident",
    "*.yaml eol=crlf",
    "[attr]odd ident\n*.yaml odd",
    '"overlay.yaml" ident',
]
KEEPING = [
    "",
    "# *.yaml ident",
    "* text=auto",
    "*.yaml -text",
    "*.yaml binary diff=x linguist-generated=true",
    "*.yaml text eol=lf",
]
# Of its own: a program that no machine has here.
UNTRIED = ["*.yaml filter=lfs diff=lfs merge=lfs -text", '"a b.yaml" ident', "*.yaml merge=union"]
TEXT = "# $Id$ \u201cquoted\u201d\nimages: []\n"


def checked_out(folder: Path, attributes: str) -> bytes:
    """What git makes of TEXT."""
    git = Git(folder / "origin")
    git.root.mkdir()
    git.init({".gitattributes": "", "overlay.yaml": TEXT})
    # Past what git makes of a file that is added.
    blob = git("hash-object", "-w", "--no-filters", "overlay.yaml")
    (git.root / ".gitattributes").write_text(attributes)
    git("add", ".gitattributes")
    git("update-index", "--cacheinfo", f"100644,{blob},overlay.yaml")
    git("commit", "--quiet", "--allow-empty", "--message=x")
    subprocess.run(["git", "clone", "--quiet", git.root, folder / "clone"], check=True, capture_output=True)
    return (folder / "clone" / "overlay.yaml").read_bytes()


@pytest.mark.parametrize("attributes", ALTERING)
def test_what_alters_is_named(tmp_path: Path, attributes: str) -> None:
    assert checkout.altering(attributes.encode())
    assert checked_out(tmp_path, attributes) != TEXT.encode()


@pytest.mark.parametrize("attributes", KEEPING)
def test_what_alters_nothing_passes(tmp_path: Path, attributes: str) -> None:
    assert checkout.altering(attributes.encode()) is None
    assert checked_out(tmp_path, attributes) == TEXT.encode()


@pytest.mark.parametrize("attributes", UNTRIED)
def test_what_is_not_known_is_named(attributes: str) -> None:
    assert checkout.altering(attributes.encode())
