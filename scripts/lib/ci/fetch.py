"""Job `evaluate`, first half: fetch what is measured, by hash and within limits, for the half that holds no credential.

It runs before the model is loaded, apart from what loads it, and its credential ends with it. Of the pull request it
reads the hash of the model in the lock, and the object with that hash, and nothing else.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci import candidate, environment, git, lock, measurements, pipeline, remote
from ci.evidence import FOLDER, MAIN
from ci.failure import Failure, Unacceptable, run
from ci.measurements import Located, Measurements
from ci.store import Store
from ci.tree import CommitTree, Tree
from mlplatform.evaluation.declaration import Declaration
from mlplatform.objects.bundle import Bundle
from mlplatform.objects.content import ObjectFault

CANDIDATE, BASELINE, TEST_SET, TARGET = "candidate.onnx", "baseline.onnx", "test.safetensors", "target.json"
# Longer than a job of this class may take.
SECONDS = 3600


def folder() -> Path:
    """Where the two halves meet: beside the checkout, and gone with the pod."""
    return Path(environment.require("RUNNER_WORK")) / "evaluation"


@dataclass(frozen=True, slots=True)
class Trained:
    """The head of a pull request, and the workflow run that trained it, as the forge says."""

    sha: str
    run: int

    def __str__(self) -> str:
        return self.sha


@dataclass(frozen=True, slots=True)
class Fetch:
    """What the job works with."""

    repository: git.Repository
    store: Store
    kept: Measurements
    out: Path

    def fetch(self, main: Tree, declared: Declaration, trained: Trained | None) -> str:
        """Fetch what has to be measured, if anything; say what.

        Args:
            main: main's files.
            declared: main's declaration.
            trained: the pull request's head that was trained, `None` for main itself.
        """
        rows = measurements.test_set(main, declared)
        test_set = self._save(rows, TEST_SET, declared.limits.test_set_bytes)
        baseline = measurements.model(main, main)
        found = (main, None) if trained is None else self._tree(trained)
        if found is None:
            return f"{trained} is gone: nothing to measure"
        located = measurements.model(main, *found)
        for subject, name in ((located, "the candidate"), (baseline, f"{MAIN}'s model")):
            if subject is None:
                continue
            try:
                sha256 = self._save(subject, CANDIDATE, declared.limits.model_bytes)
            except ObjectFault as fault:
                if fault.kind == "missing":
                    continue
                raise
            belongs_to = self.kept.identity(sha256, declared, test_set)
            if self.store.has(belongs_to.key(measurements.PREFIX)):
                continue
            if baseline and baseline.md5 != subject.md5:
                self._save_baseline(baseline, declared.limits.model_bytes)
            url = self.store.writable(belongs_to.key(measurements.PREFIX), SECONDS)
            (self.out / TARGET).write_text(json.dumps({"url": url}), encoding="utf-8")
            return f"{name} is measured: {subject.md5}"
        return "everything is measured: nothing to do"

    def _tree(self, trained: Trained) -> tuple[Tree, Bundle | None] | None:
        """The head's files and what its run left, of which the lock counts where the head's own is not fresh."""
        if self.repository.commit(trained.sha) is None:
            return None
        tree = CommitTree(self.repository, trained.sha)
        line = pipeline.load(tree, FOLDER)
        left = candidate.opened(self.store, trained.run)
        if left is None or not lock.problems(tree, line):
            return tree, left
        return candidate.read(left, line).over(tree), left

    def _save(self, located: Located, name: str, most_bytes: int) -> str:
        """Fetch an object; return its SHA-256. Raises `ObjectFault`."""
        with (self.out / name).open("wb") as stream:
            return located.read(most_bytes, stream).sha256

    def _save_baseline(self, located: Located, most_bytes: int) -> None:
        try:
            self._save(located, BASELINE, most_bytes)
        except ObjectFault as fault:
            (self.out / BASELINE).unlink()
            if fault.kind != "missing":
                raise


def trained(payload: dict[str, Any]) -> Trained | None:
    """What an event says was trained, `None` where it is about main."""
    started_by = payload.get("workflow_run")
    return Trained(str(started_by["head_sha"]), int(started_by["id"])) if isinstance(started_by, dict) else None


def main() -> None:
    root = environment.ROOT
    repository = git.Repository(root)
    commit = repository.commit("HEAD")
    assert commit is not None
    tree = CommitTree(repository, commit)
    folder().mkdir(parents=True, exist_ok=True)
    declared = measurements.rules(tree)
    if declared is None:
        print(f"{MAIN} has no {measurements.DECLARATION}: nothing is measured")
        return
    store = Store.connect(environment.require("DATA_BUCKET"))
    job = Fetch(repository, store, Measurements(store, root), folder())
    try:
        print(job.fetch(tree, declared, trained(environment.event())))
    except Unacceptable as error:
        # Whoever wrote it is told by the gate, which reads the same.
        print(f"not measured: {error}")
    except ObjectFault as fault:
        raise Failure(f"not measured: {fault}: {remote.REPAIR}") from None


if __name__ == "__main__":
    run(main)
