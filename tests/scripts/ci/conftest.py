"""A repository of this project's shape on a real forge, with a pipeline that trains in a blink."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

import forge
from ci.store import Store
from mlplatform.base_layer.environments import Place, name_of
from settings import ROOT, Paths

DVC_YAML = """
stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py, data/digits]
    outs: [prepared]
  train:
    cmd: python train.py
    deps: [train.py, prepared]
    params: [train]
    outs: [model/model.onnx]
    metrics:
      - metrics.json: {cache: false}
    plots:
      - plots/curves.csv: {cache: false}
      - plots/confusion.csv: {cache: false}
"""
PREPARE = """
import pathlib
text = "".join(path.read_text() for path in sorted(pathlib.Path("data/digits").iterdir()))
pathlib.Path("prepared").mkdir(exist_ok=True)
pathlib.Path("prepared/examples").write_text(text)
"""
# The learning rate is the accuracy, so that a test chooses what training brings.
TRAIN = """
import json, pathlib, sys, yaml
params = yaml.safe_load(pathlib.Path("params.yaml").read_text())["train"]
accuracy = params["learning_rate"]
if accuracy > 1:
    sys.exit("the loss diverged")
for folder in ("model", "plots"):
    pathlib.Path(folder).mkdir(exist_ok=True)
examples = pathlib.Path("prepared/examples").read_text()
pathlib.Path("model/model.onnx").write_text(f"{accuracy} {params['epochs']} {examples}")
metrics = {"accuracy": accuracy, "loss": 1 - accuracy, "recall": {"0": accuracy}}
pathlib.Path("metrics.json").write_text(json.dumps(metrics))
rows = [f"{epoch},{1 / epoch:.3f},{accuracy * (1 - 1 / epoch):.3f}" for epoch in range(1, params["epochs"] + 1)]
pathlib.Path("plots/curves.csv").write_text("\\n".join(["epoch,validation_loss,validation_accuracy", *rows, ""]))
pathlib.Path("plots/confusion.csv").write_text("actual,predicted\\n0,0\\n0,1\\n1,1\\n")
"""
DVC_CONFIG = """
[core]
    remote = storage
['remote "storage"']
    url = s3://ml-data/{prefix}
    verify = true
['remote "test"']
    url = s3://ml-data/{prefix}-test
    verify = true
"""
EVALUATE = ".github/workflows/evaluate.yml"
CHECKS = ".github/workflows/ci.yml"
IGNORED = "/model\n/prepared\n__pycache__/\n"


def parameters(learning_rate: float = 0.97, tolerance: float = 0.005) -> str:
    """A params.yaml that the project's own checks accept."""
    return f"""
prepare: {{seed: 20, validation_fraction: 0.3}}
train: {{seed: 7, epochs: 4, batch_size: 64, learning_rate: {learning_rate}, channels: 16, dropout: 0.2, shift: 0}}
evaluate: {{parity_tolerance: 0.0001}}
gate: {{tolerance: {tolerance}}}
"""


@dataclass(frozen=True)
class Project:
    """The project on the forge, and what its jobs need."""

    name: str
    root: Path
    url: str
    variables: dict[str, str]
    member: forge.Forge
    runner: Any

    def git(self, *arguments: str, folder: Path | None = None) -> str:
        """Run git as member, in the checkout unless another folder is given."""
        command = ["git", "-c", "user.name=member", "-c", "user.email=member@example.invalid", *arguments]
        done = subprocess.run(command, cwd=folder or self.root, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"git {arguments}: {done.stderr}"
        return done.stdout.strip()

    def propose(self, branch: str, files: Mapping[str, str], start: str = "origin/main") -> forge.PullRequest:
        """Open a pull request from main that writes these files."""
        self.git("fetch", "--quiet", "origin")
        self.git("checkout", "--quiet", "-B", branch, start)
        self.push(branch, files)
        return self.member.create_pull_request(f"Change {branch}", "", branch, "main")

    def push(self, branch: str, files: Mapping[str, str]) -> str:
        """Commit these files on the branch that is checked out and push it."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Change {branch}")
        self.git("push", "--quiet", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def take(self, *jobs: str) -> dict[str, dict[str, Any]]:
        """The waiting jobs by workflow file and event, which must be exactly these."""
        taken = {}
        for _ in jobs:
            task = self.runner.take()
            assert task, f"expected {jobs}, found {sorted(taken)}"
            taken[f"{task['context']['workflow']} {task['context']['event_name']}"] = task
        assert sorted(taken) == sorted(jobs)
        return taken

    def run_again(self, task: Mapping[str, Any], expected: int = 0) -> str:
        """Do a job in a fresh checkout of its commit, as the runner does; return its output."""
        context = task["context"]
        verb = context["workflow"].removesuffix(".yml")
        # One job a stack, which is its name.
        arguments = list(yaml.safe_load(base64.b64decode(task["workflowPayload"]))["jobs"]) if verb == "apply" else []
        folder = self.root.parent / f"job-{task['id']}" / "source"
        folder.parent.mkdir()
        self.git("clone", "--quiet", self.url, str(folder), folder=self.root.parent)
        self.git("checkout", "--quiet", "--detach", context["sha"], folder=folder)
        event = folder.parent / "event.json"
        event.write_text(json.dumps(context["event"]))
        trusted = (
            {"BOT_TOKEN": self.variables["BOT_TOKEN"]} if verb not in ("ci", "preview", "train") else {"BOT_TOKEN": ""}
        )
        emulator = {"AWS_ENDPOINT_URL": task.get("vars", {}).get("AWS_ENDPOINT_URL", "")}
        environment = {**os.environ, **self.variables, **trusted, **emulator}
        environment |= {"GITHUB_EVENT_PATH": str(event), "GITHUB_RUN_ID": str(context["run_id"])}
        environment["RUNNER_WORK"] = str(folder.parent)
        output = ""
        if verb == "evaluate":
            # As its Pod does: what measures has no credential.
            output = _execute([folder / "scripts/ci/fetch"], folder, environment)
            environment = {key: value for key, value in environment.items() if not key.startswith("AWS_")}
            environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        output += _execute([folder / "scripts/ci" / verb, *arguments], folder, environment, expected)
        shutil.rmtree(folder.parent)
        return output

    def run(self, task: Mapping[str, Any], expected: int = 0) -> str:
        """Do a job and report its end to the forge; return its output."""
        output = self.run_again(task, expected)
        self.finish(task, "SUCCESS" if expected == 0 else "FAILURE")
        return output

    def put(self, content: bytes, prefix: str = "dvc-test") -> str:
        """Put an object into a DVC remote, as whoever may; return its MD5."""
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        with closing(self._client()) as client:
            key = f"{self.name}/{prefix}/files/md5/{md5[:2]}/{md5[2:]}"
            client.put_object(Bucket="ml-data", Key=key, Body=content)
        return md5

    def upload(self, cache: Path) -> None:
        """Put all objects of a DVC cache into the default DVC remote."""
        with closing(self._client()) as client:
            for path in (path for path in cache.rglob("*") if path.is_file()):
                client.upload_file(str(path), "ml-data", f"{self.name}/dvc/{path.relative_to(cache)}")

    def overwrite(self, md5: str, content: bytes) -> None:
        """Replace an object of the default DVC remote by something else."""
        with closing(self._client()) as client:
            key = f"{self.name}/dvc/files/md5/{md5[:2]}/{md5[2:]}"
            client.put_object(Bucket="ml-data", Key=key, Body=content)

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.variables["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self.variables["AWS_REGION"],
        )

    def finish(self, task: Mapping[str, Any], result: str = "SUCCESS") -> None:
        """Report the end of a job, done or not."""
        self.runner.finish(task, result)

    def drop(self, *jobs: str) -> None:
        """Let these jobs, one after another or together, pass undone."""
        for _ in jobs:
            task = self.runner.take()
            assert task
            name = f"{task['context']['workflow']} {task['context']['event_name']}"
            assert name in jobs, name
            self.finish(task)

    def lose_outputs(self) -> None:
        """Empty DVC's remote of all but the data."""
        lock = (self.root / "ml/dvc.lock").read_text()
        with closing(self._client()) as client:
            data = (self.root / "ml/data/digits.dvc").read_text()
            for md5 in set(re.findall(r"md5: (\w+)", lock)) - set(re.findall(r"md5: (\w+)", data)):
                for suffix in ("", ".dir"):
                    key = f"{self.name}/dvc/files/md5/{md5[:2]}/{md5[2:]}{suffix}"
                    client.delete_object(Bucket="ml-data", Key=key)

    def gate(self, sha: str) -> forge.Status:
        """The quality gate's status."""
        status = self.member.status(sha, "quality-gate", "bot")
        assert status, f"no quality gate on {sha}"
        return status

    def report(self, number: int) -> str:
        """The one report on a pull request."""
        found = [entry for entry in self.member.comments(number) if "ml-platform:report" in entry.body]
        assert len(found) == 1
        assert found[0].author == "bot"
        return found[0].body


@pytest.fixture
def store(object_store: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The data bucket, as this process's own variables name it."""
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    connected = Store.connect("ml-data")
    yield connected
    connected.client.close()


@pytest.fixture(scope="session")
def jobs_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache volume. The large environments are borrowed: the tests' own has all that training and release need."""
    volume = tmp_path_factory.mktemp("cache")
    own = Place(volume).own
    own.root.mkdir()
    made = subprocess.run([ROOT / "scripts/lib/run", "--venv", "dev-ml"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    large = made.stdout.strip()
    borrowed = {"ml": large, "evaluate": large, "release": made.stdout.strip(), "ops": sys.prefix}
    for group, folder in borrowed.items():
        name = name_of(ROOT / "requirements" / f"{group}.txt")
        (own.root / name).symlink_to(folder)
        (own.root / f"{name}.json").write_text("{}")
    return volume


@dataclass(frozen=True)
class Caches:
    """`jobs`: a cache volume. `ml`: the folder of a project whose data DVC tracks and has in its cache."""

    jobs: Path
    ml: Path


@pytest.fixture(scope="session")
def caches(jobs_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Caches:
    """What all projects of a session start from."""
    root = tmp_path_factory.mktemp("tracked")
    _write_project(root, "none", {})
    subprocess.run(["git", "init", "--quiet", root], check=True)
    done = subprocess.run(
        [ROOT / "scripts/ci/environment", "ml", "dvc", "add", "--quiet", "data/digits"],
        cwd=root / "ml",
        env={**os.environ, "CACHE_DIR": str(jobs_cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Caches(jobs_cache, root / "ml")


@pytest.fixture
def new_project(
    gitea: Any, object_store: Any, caches: Caches, paths: Paths, tmp_path: Path
) -> Iterator[Callable[[Mapping[str, str]], Project]]:
    """A function that puts a project on the forge, with its data in the object store; it can get more files."""
    opened = []

    def make(files: Mapping[str, str]) -> Project:
        name = gitea.new_repository()
        member = forge.connect("gitea", gitea.url, name, forge.Token(gitea.tokens["member"]))
        opened.append(member)
        project = Project(
            name=name,
            root=tmp_path / "checkout",
            url=gitea.clone_url(name, "member"),
            variables={
                **object_store.variables,
                "CACHE_DIR": str(caches.jobs),
                "UV_CACHE_DIR": str(paths.cache / "uv"),
                "FORGE_KIND": "gitea",
                "FORGE_URL": gitea.url,
                "FORGE_REPOSITORY": name,
                "BOT_TOKEN": gitea.tokens["bot"],
            },
            member=member,
            runner=gitea.runner(name, "ml-cpu"),
        )
        project.git("clone", "--quiet", project.url, str(project.root), folder=tmp_path)
        _write_project(project.root, f"{name}/dvc", files)
        for file in ("digits.dvc", ".gitignore"):
            shutil.copy(caches.ml / "data" / file, project.root / "ml/data" / file)
        project.upload(caches.ml / ".dvc/cache")
        project.push("main", {})
        if EVALUATE not in files:
            project.drop("release.yml push", "nightly.yml push")
        # The end of a measurement starts more, and a release that waits gives way to the next.
        while EVALUATE in files and (task := project.runner.take(5)):
            project.finish(task)
        return project

    yield make
    for client in opened:
        client.close()


@pytest.fixture(scope="session")
def write_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Mapping[str, str]], Path]:
    """A function that writes a project whose data lie below a prefix of ml-data, without a forge; returns its root,
    beside which nothing lies."""

    def write(prefix: str, files: Mapping[str, str]) -> Path:
        root = tmp_path_factory.mktemp("project") / "source"
        _write_project(root, prefix, files)
        return root

    return write


def _write_project(root: Path, prefix: str, files: Mapping[str, str]) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    copied = ".github", "scripts/ci", "scripts/lib/ci", "scripts/lib/forge", "src", "ml/src/digits", "ml/service"
    for folder in copied:
        shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
    # Parts of a program that is not here: with them the first push would start the jobs that apply it.
    for part in ("network", "plugins"):
        shutil.rmtree(root / "src" / "mlplatform" / part)
    # Without a declaration nothing is measured, and of the repository's own code there is not enough to check.
    for name in (EVALUATE, CHECKS):
        (root / name).unlink()
    for name in (f"requirements/{group}.txt" for group in ("ci", "evaluate", "ml", "release", "serve")):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    written = {
        "ml/dvc.yaml": DVC_YAML,
        "ml/prepare.py": PREPARE,
        "ml/train.py": TRAIN,
        "ml/params.yaml": parameters(),
        "ml/.gitignore": IGNORED,
        "ml/.dvcignore": "",
        "ml/.dvc/config": DVC_CONFIG.format(prefix=prefix),
        "ml/.dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        "ml/data/digits/0": "zero\n",
        "ml/data/digits/1": "one\n",
        **files,
    }
    for name, text in written.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def _execute(command: list[Any], folder: Path, environment: Mapping[str, str], expected: int = 0) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == expected, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout
