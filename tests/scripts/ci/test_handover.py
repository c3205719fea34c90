"""What a job hands over by an address that was signed for it."""

import re
from pathlib import Path

import pytest

from ci import handover
from ci.failure import Failure
from ci.store import Store
from forge import WorkflowRun

pytestmark = pytest.mark.tools

# Far from those of the forge, with which other tests share the store.
RUN = "3000000000"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "left"
    path.write_bytes(b"left" * 100_000)
    return path


def test_j_a_run_with_an_address_uses_no_credential(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = store.writable(handover.key(RUN), 60)
    monkeypatch.setattr(Store, "put_file", None)
    handover.leave(store, RUN, file, {handover.VARIABLE: url})
    assert store.get(handover.key(RUN), 10**6) == file.read_bytes()
    said = capsys.readouterr().out
    assert said == "left for the report: s3://ml-data/runs/3000000000\n"


def test_without_an_address_the_jobs_credential_does(store: Store, file: Path) -> None:
    handover.leave(store, RUN, file, {})
    assert store.get(handover.key(RUN), 10**6) == file.read_bytes()


def test_an_address_that_takes_nothing_is_not_shown(store: Store, file: Path) -> None:
    url = store.writable(handover.key(RUN), 60)
    for bad in (url.replace(handover.key(RUN), "runs/0"), re.sub(r"//[^/]+/", "//127.0.0.1:9/", url)):
        with pytest.raises(Failure, match="could not be handed over") as caught:
            handover.put(bad, file)
        assert "Signature" not in str(caught.value)


def test_what_is_too_large_for_one_request_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as stream:
        stream.truncate(handover.MOST_BYTES + 1)
    with pytest.raises(Failure, match=r"large has 5\.0 GiB; 5 GiB can be handed over"):
        handover.put("http://127.0.0.1:9/", file)


@pytest.mark.parametrize(
    ("conclusion", "text"),
    [
        ("success", "training ended without a result: run it again"),
        ("skipped", "training was skipped, by the condition in its workflow: push a commit, which starts it again"),
        ("failure", "training ended with failure: its log says why"),
    ],
)
def test_who_finds_nothing_is_told_why(conclusion: str, text: str) -> None:
    run = WorkflowRun(1, "train.yml", "pull_request", "0" * 40, "completed", conclusion, "http://forge/runs/1")
    assert handover.ending("training", run) == text
