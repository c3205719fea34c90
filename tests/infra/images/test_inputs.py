"""The input hash changes with everything that goes into an image, and with nothing else."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from images import inputs
from images.catalog import Image
from images.errors import ImageError
from images.inputs import Hasher
from settings import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(state=tmp_path / "state", cache=tmp_path / "cache")
    paths.bin.mkdir(parents=True)
    (paths.bin / "tool").write_bytes(inputs.ELF + b" one")
    return paths


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Image]:
    """A base and an image of one tool and a source tree upon it."""
    for name in ("base", "app"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Containerfile").write_text("FROM scratch\n")
    source = tmp_path / "source"
    (source / "package").mkdir(parents=True)
    (source / "package" / "module.py").write_text("answer = 42\n")
    made = {
        "base": Image("base", "base", "1", tmp_path / "base"),
        "app": Image("app", "app", "1", tmp_path / "app", base="base", tools=("tool",), files={"src": source}),
    }
    monkeypatch.setattr(inputs, "images", lambda: made)
    return made


def test_equal_inputs_have_equal_hashes(catalogue: Mapping[str, Image], paths: Paths, tmp_path: Path) -> None:
    before = Hasher(paths).image("app")
    os.utime(tmp_path / "source" / "package" / "module.py", (1, 1))
    assert Hasher(paths).image("app") == before


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("app/Containerfile", b"FROM scratch\nUSER 1\n"),
        ("app/script", b"#!/bin/sh\n"),
        ("base/Containerfile", b"FROM scratch\nUSER 1\n"),
        ("cache/bin/tool", inputs.ELF + b" two"),
        ("source/package/module.py", b"answer = 43\n"),
        ("source/package/added.py", b""),
    ],
)
def test_a_changed_input_changes_the_hash(
    catalogue: Mapping[str, Image], paths: Paths, tmp_path: Path, path: str, content: bytes
) -> None:
    before = Hasher(paths).image("app")
    (tmp_path / path).write_bytes(content)
    assert Hasher(paths).image("app") != before


def test_a_file_that_becomes_a_program_changes_the_hash(
    catalogue: Mapping[str, Image], paths: Paths, tmp_path: Path
) -> None:
    before = Hasher(paths).image("app")
    (tmp_path / "source" / "package" / "module.py").chmod(0o755)
    assert Hasher(paths).image("app") != before


def test_bytecode_of_the_checkout_does_not_matter(catalogue: Mapping[str, Image], paths: Paths, tmp_path: Path) -> None:
    before = Hasher(paths).image("app")
    (tmp_path / "source" / "package" / "__pycache__").mkdir()
    (tmp_path / "source" / "package" / "__pycache__" / "module.cpython-311.pyc").write_bytes(b"code")
    assert Hasher(paths).image("app") == before


def test_a_remembered_digest_is_used_only_for_the_unchanged_file(paths: Paths) -> None:
    tool = paths.bin / "tool"
    first = Hasher(paths)
    digest = first.file(tool)
    first.save()
    assert Hasher(paths).file(tool) == digest
    tool.write_bytes(inputs.ELF + b" longer than before")
    assert Hasher(paths).file(tool) != digest


def test_a_broken_memory_is_forgotten(paths: Paths) -> None:
    memory = paths.cache / "images" / "digests.json"
    memory.parent.mkdir()
    memory.write_text('{"half": ')
    hasher = Hasher(paths)
    digest = hasher.file(paths.bin / "tool")
    hasher.save()
    assert digest in memory.read_text()


def test_a_missing_tool_says_what_builds_it(paths: Paths) -> None:
    with pytest.raises(ImageError, match=r"bin/absent: is missing; scripts/up builds"):
        inputs.tool("absent", paths)


def test_a_script_in_place_of_a_tool_is_refused(paths: Paths) -> None:
    (paths.bin / "tool").write_text("#!/bin/sh\nexec /opt/tool\n")
    with pytest.raises(ImageError, match="is a script, which cannot go into an image"):
        inputs.tool("tool", paths)


def test_a_missing_recipe_is_named(catalogue: Mapping[str, Image], paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "app" / "Containerfile").unlink()
    with pytest.raises(ImageError, match="Containerfile: is missing from the checkout"):
        Hasher(paths).image("app")
