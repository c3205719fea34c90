"""What the toolchain says of its work, and how many tools are left."""

import pytest

from toolchain.progress import Progress


def test_each_line_says_how_many_tools_are_left() -> None:
    said: list[str] = []
    progress = Progress(said.append)
    progress.line("before the count is known")
    progress.begin(left=6, total=13)
    with progress.tool("etcd", "building v3.6.5"):
        progress.line("gitea: another process is making it; waiting")
    progress.ready()
    with progress.tool("gitea", "building v1.26.0"):
        pass
    for _ in range(3):
        progress.ready()
    progress.line("done")
    said = [line.replace("in 0 s", "in 1 s") for line in said]
    assert said == [
        "before the count is known",
        "6 of 13 left, etcd: building v3.6.5 ...",
        "6 of 13 left, gitea: another process is making it; waiting",
        "5 of 13 left, etcd: building v3.6.5: done in 1 s",
        "4 of 13 left, gitea: building v1.26.0 ...",
        "3 of 13 left, gitea: building v1.26.0: done in 1 s",
        "all 13 ready, done",
    ]


def test_who_ends_first_says_who_is_still_at_work() -> None:
    said: list[str] = []
    progress = Progress(said.append)
    progress.begin(left=2, total=13)
    with progress.tool("pulumi", "building v3.258.0"):
        with progress.tool("act", "building v0.2.89"):
            pass
        assert said[-1] == "1 of 13 left, act: building v0.2.89: done in 0 s; still pulumi: building v3.258.0"
    assert said[-1] == "all 13 ready, pulumi: building v3.258.0: done in 0 s"


def test_what_fails_is_still_left() -> None:
    said: list[str] = []
    progress = Progress(said.append)
    progress.begin(left=1, total=1)
    with pytest.raises(OSError, match="away"), progress.tool("etcd", "downloading v3.6.5"):
        raise OSError("away")
    progress.line("etcd: building it instead")
    assert said == ["1 of 1 left, etcd: downloading v3.6.5 ...", "1 of 1 left, etcd: building it instead"]
    assert progress.at_work() == []


def test_a_warning_is_told_from_progress() -> None:
    said: list[str] = []
    progress = Progress(said.append)
    progress.begin(left=1, total=2)
    progress.warn("etcd: is not what it was")
    assert said == ["warning: etcd: is not what it was"]


def test_lines_of_two_tools_at_once_stay_whole(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.line("one")
    progress.line("two")
    assert capfd.readouterr().err == "one\ntwo\n"
