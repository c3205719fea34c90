"""Tools on PATH: shell scripts that answer with a version and count how often they were asked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from toolchain import manifest
from toolchain.manifest import Tool
from toolchain.onpath import OnPath


@pytest.fixture
def hello(write_toolchain: Callable[..., Path]) -> Tool:
    return manifest.load(write_toolchain())["hello"]


def program(folder: Path, answer: str, name: str = "hello") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho asked >> {folder}/asked\n{answer}\n")
    path.chmod(0o755)
    return path


def asked(folder: Path) -> int:
    return len((folder / "asked").read_text().splitlines())


def look(tmp_path: Path, *folders: Path, ignored: tuple[Path, ...] = ()) -> OnPath:
    return OnPath(tmp_path / "cache" / "on-path.json", ignored, ":".join(map(str, folders)))


def test_an_accepted_version_is_taken(tmp_path: Path, hello: Tool) -> None:
    path = program(tmp_path / "bin", "echo hello version v1.9.0")
    assert look(tmp_path, tmp_path / "bin").find(hello) == ((1, 9, 0), {"hello": path})


@pytest.mark.parametrize("answer", ["echo v1.1.9", "echo v2.0.0", "echo development", "echo v1.2.3; exit 1"])
def test_another_version_is_not(tmp_path: Path, hello: Tool, answer: str) -> None:
    program(tmp_path / "bin", answer)
    assert look(tmp_path, tmp_path / "bin").find(hello) is None


def test_our_own_links_are_not_taken_for_the_machines(tmp_path: Path, hello: Tool) -> None:
    program(tmp_path / "bin", "echo v1.2.3")
    (tmp_path / "other-name").symlink_to(tmp_path / "bin")
    assert look(tmp_path, tmp_path / "other-name", ignored=(tmp_path / "bin",)).find(hello) is None


def test_an_answer_is_remembered_until_the_file_changes(tmp_path: Path, hello: Tool) -> None:
    path = program(tmp_path / "bin", "echo v1.9.0")
    for _ in range(3):
        assert look(tmp_path, tmp_path / "bin").find(hello)
    assert asked(tmp_path / "bin") == 1
    path.unlink()
    program(tmp_path / "bin", "echo v2.0.0 and longer")
    assert look(tmp_path, tmp_path / "bin").find(hello) is None
    assert asked(tmp_path / "bin") == 2


def test_a_damaged_memory_is_only_a_lost_memory(tmp_path: Path, hello: Tool) -> None:
    program(tmp_path / "bin", "echo v1.9.0")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "on-path.json").write_text("{")
    assert look(tmp_path, tmp_path / "bin").find(hello)


@pytest.mark.parametrize(("scheduler", "taken"), [("v1.35.0", True), ("v1.34.9", False), (None, False)])
def test_kubernetes_is_taken_only_whole_and_in_one_version(tmp_path: Path, scheduler: str | None, taken: bool) -> None:
    kubernetes = manifest.load()["kubernetes"]
    for binary in kubernetes.binaries:
        if binary != "kube-scheduler":
            program(tmp_path / "bin", f"echo Kubernetes {kubernetes.version}", binary)
    if scheduler:
        answer = f"echo Kubernetes {kubernetes.version if taken else scheduler}"
        program(tmp_path / "bin", answer, "kube-scheduler")
    found = look(tmp_path, tmp_path / "bin").find(kubernetes)
    assert (found is not None) is taken


def test_a_tool_that_takes_none_from_path(tmp_path: Path) -> None:
    gitea = manifest.load()["gitea"]
    program(tmp_path / "bin", f"echo gitea version {gitea.version}", "gitea")
    assert look(tmp_path, tmp_path / "bin").find(gitea) is None
    assert not (tmp_path / "bin" / "asked").exists()
