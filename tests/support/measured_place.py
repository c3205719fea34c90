"""Main's checkout of a measured project, with its objects in a store: the jobs that measure it, without a forge."""

import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci import git, measurements
from ci.measurements import Measurements
from ci.store import Store
from ci.tree import CommitTree
from mlplatform.evaluation.result import Evaluation
from mlplatform.objects import bundle
from mlplatform.objects.verify import key as object_key

# Far from those of the forge, with which other tests share the store.
RUN = 10**9


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def trained(model: bytes, script: str = "# first\n") -> dict[str, str]:
    """A lock that names a model, fresh for this training script."""
    deps = [{"path": "train.py", "hash": "md5", "md5": md5(script.encode()), "size": len(script)}]
    outs = [{"path": "model/model.onnx", "hash": "md5", "md5": md5(model), "size": len(model)}]
    stage = {"cmd": "python train.py", "deps": deps, "outs": outs}
    return {"ml/train.py": script, "ml/dvc.lock": json.dumps({"schema": "2.0", "stages": {"train": stage}})}


@dataclass(frozen=True)
class Place:
    """Main's checkout, and the store in which its objects lie below a prefix of the test's own."""

    root: Path
    prefix: str
    store: Store
    variables: Mapping[str, str]

    def put(self, content: bytes, remote: str = "", name: str = "") -> None:
        self.store.put(object_key(f"{self.prefix}{remote}", name or md5(content)), content)

    def lose(self, content: bytes) -> None:
        """Have the store lack an object."""
        self.spoil(md5(content), None)

    def spoil(self, name: str, content: bytes | None) -> None:
        """Have the store hold this in an object's place, or nothing."""
        self.store.client.delete_object(Bucket=self.store.bucket, Key=object_key(self.prefix, name))
        if content is not None:
            self.put(content, name=name)

    def measured(self) -> set[str]:
        """The keys of all measurements and findings."""
        answer = self.store.client.list_objects_v2(Bucket=self.store.bucket, Prefix=measurements.PREFIX)
        return {entry["Key"] for entry in answer.get("Contents", [])}

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=m", "-c", "user.email=m@example.invalid", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def begin(self) -> None:
        """Make main of what lies here."""
        self.git("init", "--quiet", "--initial-branch=main", ".")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Main")

    def forget(self) -> None:
        """Measure all anew: the store outlives a test, and the key of a measurement is what it belongs to."""
        for key in self.measured():
            self.store.client.delete_object(Bucket=self.store.bucket, Key=key)

    def commit(self, files: Mapping[str, str]) -> str:
        """A branch's commit; main stays checked out."""
        self.git("checkout", "--quiet", "--detach", "main")
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Change")
        sha = self.git("rev-parse", "HEAD")
        self.git("checkout", "--quiet", "main")
        return sha

    def run(self, script: str, event: Mapping[str, Any], expected: int = 0) -> str:
        work = self.root.parent
        (work / "event.json").write_text(json.dumps(event))
        variables = {**self.variables, "RUNNER_WORK": str(work), "GITHUB_EVENT_PATH": str(work / "event.json")}
        if script == "evaluate":
            variables = {key: value for key, value in variables.items() if not key.startswith("AWS_")}
        command = [str(self.root / "scripts/ci" / script)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
        assert done.returncode == expected, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def empty(self) -> Path:
        """The folder in which the two halves meet."""
        shutil.rmtree(self.root.parent / "evaluation", ignore_errors=True)
        (self.root.parent / "evaluation").mkdir()
        return self.root.parent / "evaluation"

    def leave(self, run: int, files: Mapping[str, str], *contents: bytes) -> None:
        """What a training run leaves: files for git, and objects."""
        objects = {}
        for content in contents:
            objects[md5(content)] = self.root.parent / md5(content)
            objects[md5(content)].write_bytes(content)
        stream = io.BytesIO()
        bundle.write(stream, {path: text.encode() for path, text in files.items()}, objects)
        self.store.put(f"runs/{run}", stream.getvalue())

    def measure(self, sha: str | None = None, run: int = RUN) -> str:
        """What the job does after this run's training of a commit, or after a push to main."""
        shutil.rmtree(self.root.parent / "evaluation", ignore_errors=True)
        event = {"workflow_run": {"id": run, "head_sha": sha}} if sha else {}
        return self.run("fetch", event) + self.run("evaluate", event)

    def look(self, sha: str) -> Evaluation | None:
        """What the gate finds."""
        repository = git.Repository(self.root)
        main, tree = CommitTree(repository, self.git("rev-parse", "main")), CommitTree(repository, sha)
        declared = measurements.rules(main)
        assert declared
        return Measurements(self.store, self.root).look(main, tree, declared)
