"""`python -m toolchain`, with a cache of the test's own."""

from pathlib import Path

import pytest

from toolchain import Installed, load
from toolchain import __main__ as command


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_PLATFORM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *arguments: None)


def test_list_shows_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(load())
    assert all(line.split()[2] == "missing" for line in lines)


def test_the_summary_says_where_the_tools_come_from() -> None:
    def item(source: str) -> Installed:
        return Installed("tool", "v1.0.0", source, Path("/"), {})

    assert command.summary([item("path"), *[item("build")] * 3]) == "4 tools: 1 on PATH, 3 built"
    assert command.summary([item("release")]) == "1 tool: 1 released by upstream"


def test_path_of_a_missing_tool_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["path", "kubelet"]) == 1
    expected = "error: kubernetes is not installed; run python -m toolchain install kubernetes\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("arguments", [["install", "helm"], ["path", "helm"], ["upgrade", "helm", "v1.0.0"]])
def test_an_unknown_tool_is_bad_input(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    assert "error: there is no tool 'helm'; known tools: kubernetes, " in capsys.readouterr().err


@pytest.mark.parametrize("version", ["1.2.3", "latest", "v1.0.0-rc.1"])
def test_an_upgrade_wants_a_released_version(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["upgrade", "crane", version]) == 2
    assert f"error: '{version}' is no released version; write it as Go modules do" in capsys.readouterr().err


def test_a_wrong_cache_directory_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_PLATFORM_CACHE_DIR", "cache")
    assert command.main(["list"]) == 2
    assert "ML_PLATFORM_CACHE_DIR: 'cache' is not an absolute directory" in capsys.readouterr().err
