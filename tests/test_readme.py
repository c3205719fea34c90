"""The README's table of places and its commands name things that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"## {title}", 1)[1].split("\n## ", 1)[0]


def code_spans(text: str) -> list[str]:
    return sorted(set(re.findall(r"`([^`\n]+)`", text)))


@pytest.mark.parametrize("path", code_spans(section("Where do I change ...?")))
def test_each_place_to_change_exists(path: str) -> None:
    assert (ROOT / path).exists(), f"README.md names {path}, which is not in the tree"


def test_each_verb_named_is_a_script() -> None:
    verbs = set(re.findall(r"scripts/([a-z-]+)\b(?!/)", README)) - {"lib", "ci"}
    missing = [verb for verb in verbs if not (ROOT / "scripts" / verb).is_file()]
    assert verbs
    assert not missing


def test_the_numbered_tree_lists_every_top_level_folder() -> None:
    listed = set(re.findall(r"^\d+ ([.\w]+)/", section("The tree"), re.MULTILINE))
    excused = {".git", ".ci", "requirements"}  # not places to change by hand
    present = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("__")}
    tools = {name for name in present if name.startswith(".") and name not in {".github"}}
    assert listed == present - excused - tools


def test_each_decision_is_listed_in_the_index() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    records = sorted(path.name for path in (ROOT / "docs/adr").glob("0*.md"))
    assert records
    assert all(f"({name})" in index for name in records)
