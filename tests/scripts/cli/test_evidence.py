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


def test_s24_what_an_earlier_run_left_goes(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    for _ in range(2):
        evidence.clear(folder)
        assert [path.name for path in folder.iterdir()] == [".ml-platform-artifacts"]
        (folder / "report.xml").write_text("<testsuites/>")


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
