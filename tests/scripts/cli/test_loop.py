"""The parts of the loop that need no platform: branches without a work tree, and what pull requests are called."""

import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import git, loop
from cli.failure import Failure
from settings import ROOT


@pytest.fixture
def remote(tmp_path: Path) -> str:
    folder = tmp_path / "remote"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)
    (folder / "ml").mkdir()
    (folder / "ml" / "params.yaml").write_text("train: {epochs: 8}\n")
    (folder / "README.md").write_text("one\n")
    subprocess.run(["git", "-C", str(folder), "add", "."], check=True)
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "-C", str(folder), *identity, "commit", "--quiet", "-m", "one"], check=True)
    return f"file://{folder}"


def test_a_branch_changes_one_file_of_main_and_keeps_the_others(remote: str) -> None:
    with loop.Clone(remote, git.Login("member", "x")) as clone:
        folder = clone.folder
        loop.commit_file(clone, "demo-1", "ml/params.yaml", "train: {epochs: 9}\n", "Train longer")
        clone.git("push", "--quiet", remote, "demo-1:refs/heads/demo-1")
        assert clone.git("diff", "--name-only", "main", "demo-1") == "ml/params.yaml"
        assert clone.git("show", "demo-1:ml/params.yaml") == "train: {epochs: 9}"
        assert clone.git("log", "-1", "--format=%an %s", "demo-1") == "member Train longer"
        assert clone.git("rev-parse", "demo-1^") == clone.git("rev-parse", "main")
    assert not folder.exists()


def test_a_clone_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    clone = loop.Clone(f"file://{tmp_path}/missing", git.Login("member", "x"))
    with pytest.raises(Failure), clone:
        pass
    assert not Path(clone._folder.name).exists()


def test_a_title_names_what_changed() -> None:
    before = {"train": {"epochs": 8, "dropout": 0.2}, "gate": {"tolerance": 0.1}}
    after = {"train": {"epochs": 12, "dropout": 0.4}, "gate": {"tolerance": 0.1}}
    assert loop.describe(before, after) == "epochs 12, dropout 0.4"
    assert loop.describe(before, before) == "the same parameters"


def test_proposals_differ_from_main_and_from_each_other() -> None:
    text = (ROOT / loop.PARAMS).read_text()
    seen: list[dict[str, Any]] = [yaml.safe_load(text)]
    for _ in range(3):
        text = loop.known_good(text, seen)
        parsed = yaml.safe_load(text)
        assert parsed not in seen
        seen.append(parsed)


class Model(http.server.BaseHTTPRequestHandler):
    """Answers like the served model, or refuses a body that is no PNG."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        ok = self.path == "/predict" and body.startswith(b"\x89PNG") and self.headers["Content-Type"] == "image/png"
        self.send_response(200 if ok else 400)
        self.end_headers()
        self.wfile.write(b'{"label": 3, "probability": 0.9, "model_digest": "sha256:1"}' if ok else b"not a PNG image")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def model() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_prediction_is_asked_with_a_png(model: str) -> None:
    assert loop.predict(model, b"\x89PNG...")["label"] == 3


def test_a_model_that_refuses_or_is_away_is_a_clear_failure(model: str) -> None:
    with pytest.raises(Failure, match="answers 400: not a PNG image"):
        loop.predict(model, b"GIF")
    with pytest.raises(Failure, match="does not answer"):
        loop.predict("http://127.0.0.1:1", b"\x89PNG")
