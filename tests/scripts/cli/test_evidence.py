"""What there is of logs is kept, and nothing that is missing stops that."""

from pathlib import Path

from cli import evidence
from settings import ROOT, Paths


def test_the_place_can_be_chosen() -> None:
    assert evidence.folder({}) == ROOT / ".artifacts"
    assert evidence.folder({"ML_PLATFORM_ARTIFACTS": "/elsewhere"}) == Path("/elsewhere")


def test_s24_what_somebody_else_keeps_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for _ in range(2):
        evidence.clear(tmp_path)
        (tmp_path / "report.xml").write_text("<testsuites/>")
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def fill(folder: Path, tmp_path: Path) -> None:
    """What a run leaves: reports, the tools' log, and logs where the platform or a test of it failed."""
    paths = Paths(state=tmp_path / "state", cache=tmp_path / "cache")
    (paths.state / "logs").mkdir(parents=True, exist_ok=True)
    (paths.state / "logs" / "kubelet.log").write_text("line\n")
    for tiers, group in (("unit", "dev"), ("tools+render+policy", "dev-ml")):
        (folder / evidence.report(tiers, group)).write_text("<testsuites/>")
    (folder / evidence.TOOLS).write_text("made\n")
    evidence.collect(paths, folder / evidence.UP)
    evidence.collect(paths, folder / evidence.of_test("tests/host/test_files.py::test_it[a/b]"))


def test_s24_what_an_earlier_run_left_goes(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    for _ in range(2):
        assert evidence.clear(folder) == []
        assert [path.name for path in folder.iterdir()] == [".ml-platform-artifacts"]
        fill(folder, tmp_path)


def test_s24_what_somebody_adds_after_a_run_stays_and_is_named(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "artifacts", tmp_path / "elsewhere"
    evidence.clear(folder)
    fill(folder, tmp_path)
    test = folder / evidence.of_test("tests/host/test_files.py::test_it[a/b]")
    elsewhere.mkdir()
    (elsewhere / "events.txt").write_text("mine")
    added = [folder / "notes.txt", folder / "report.xml", folder / "thesis" / "chapter", test / "what-i-think"]
    for path in added:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (folder / "up-link").symlink_to(elsewhere)
    (folder / "tests-link").symlink_to(elsewhere)
    for _ in range(2):
        left = evidence.clear(folder)
        assert {path.name for path in left} == {
            "notes.txt",
            "report.xml",
            "thesis",
            test.name,
            "up-link",
            "tests-link",
        }
    assert all(path.read_text() == "mine" for path in [*added, elsewhere / "events.txt"])
    assert [path.name for path in test.iterdir()] == ["what-i-think"]


def test_logs_are_kept_without_a_cluster(tmp_path: Path) -> None:
    paths = Paths(state=tmp_path / "state", cache=tmp_path / "cache")
    (paths.state / "logs").mkdir(parents=True)
    (paths.state / "logs" / "kubelet.log").write_text("line\n")
    (paths.state / "logs" / "gone").symlink_to("nowhere")
    evidence.collect(paths, tmp_path / "kept")
    assert (tmp_path / "kept" / "logs" / "kubelet.log").read_text() == "line\n"


def test_nothing_to_keep_is_no_failure(tmp_path: Path) -> None:
    evidence.collect(Paths(state=tmp_path / "state", cache=tmp_path / "cache"), tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []
