"""Job `evaluate`, first half: fetch what is measured, by hash and within limits, for the half that holds no credential.

It runs before the model is loaded, apart from what loads it, and its credential ends with it. Of the pull request it
reads what names objects: the hashes in the lock, and those in the `.dvc` files of the data that main compares; and the
objects with these hashes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci import candidate, environment, git, lock, looks, measurements, pipeline, remote
from ci.evidence import FOLDER, MAIN
from ci.failure import Failure, Unacceptable, run
from ci.looks import Findings, TestSet
from ci.measurements import Located, Measurements
from ci.store import Store
from ci.tree import CommitTree, Tree
from mlplatform.evaluation import findings
from mlplatform.evaluation.declaration import Declaration
from mlplatform.objects import content
from mlplatform.objects.bundle import Bundle
from mlplatform.objects.content import ObjectFault
from mlplatform.objects.verify import Reader

CANDIDATE, BASELINE, TEST_SET, TARGET = "candidate.onnx", "baseline.onnx", "test.safetensors", "target.json"
# What is compared, and where the findings go: read, and gone, before a model is loaded.
NEW_TEST_SET, TRAINING_DATA, LOOKS = "new-test.safetensors", "training-data", "looks.json"
LISTING_BYTES = 16 * 2**20
# Of so many branches at most, the newest ones, a run for main looks for a model that waits.
MOST_BRANCHES = 50
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


@dataclass(frozen=True, slots=True)
class Made:
    """A commit's files, and what the run left that made its objects, until the gate has taken them."""

    tree: Tree
    left: Bundle | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """What the job works with."""

    repository: git.Repository
    store: Store
    kept: Measurements
    out: Path
    settled: set[str] = field(default_factory=set)
    """By MD5, the models that are measured or lie nowhere, which are not read again: many branches have main's."""

    def fetch(self, main: CommitTree, declared: Declaration, trained: Trained | None) -> str:
        """Fetch what has to be measured, if anything; say what.

        Args:
            main: main's files.
            declared: main's declaration.
            trained: the pull request's head that was trained, `None` for main itself, and for what waits where that is
                measured: a test set or evaluator that main has since is no event of the branches.
        """
        rows = measurements.test_set(main, declared)
        test_set = self._save(rows, TEST_SET, declared.limits.test_set_bytes)
        if trained is None:
            said = self._measurable(main, Made(main), declared, test_set)
            return said if self._found() else self._waiting(main, declared, test_set) or said
        if self.repository.commit(trained.sha) is None:
            return f"{trained.sha} is gone: nothing to measure"
        return self._head(main, trained.sha, self._made(trained), declared, test_set)

    def _found(self) -> bool:
        """Whether something has to be measured or compared."""
        return any((self.out / name).is_file() for name in (TARGET, LOOKS))

    def _waiting(self, main: CommitTree, declared: Declaration, test_set: str) -> str:
        """Fetch what has to be measured of the first branch of which something has to; say what, or ""."""
        for sha in self.repository.unmerged(main.commit, MOST_BRANCHES):
            tree = CommitTree(self.repository, sha)
            try:
                # What its training left is measured as that ends; its lock counts once the gate has committed it.
                if lock.problems(tree, pipeline.load(tree, FOLDER)):
                    continue
                said = self._head(main, sha, Made(tree), declared, test_set)
            except (Unacceptable, ObjectFault) as error:
                if not self._found():
                    # The gate says so too; no branch is in the way of another.
                    print(f"{sha}: not measured: {error}")
                    continue
                # The model that lies here is this branch's: another's would be measured in its name.
                said = f"its model is measured, its data are not compared: {error}"
            if self._found():
                return f"{sha}: {said}"
        return ""

    def _head(self, main: CommitTree, sha: str, made: Made, declared: Declaration, test_set: str) -> str:
        """Fetch what has to be measured of a branch's head, if anything; say what."""
        said = [self._measurable(main, made, declared, test_set)]
        if base := self.repository.merge_base(main.commit, sha):
            said += self._looks((main, CommitTree(self.repository, base)), made, declared, test_set)
        return "\n".join(said)

    def _measurable(self, main: Tree, made: Made, declared: Declaration, test_set: str) -> str:
        """Fetch the first model that is not measured yet, the commit's before main's."""
        baseline = measurements.model(main, main)
        located = measurements.model(main, made.tree, made.left)
        for subject in (located, baseline):
            if subject is None or subject.md5 in self.settled:
                continue
            try:
                sha256 = self._save(subject, CANDIDATE, declared.limits.model_bytes)
            except ObjectFault as fault:
                if fault.kind == "missing":
                    self.settled.add(subject.md5)
                    continue
                raise
            belongs_to = self.kept.identity(sha256, declared, test_set)
            if self.store.has(belongs_to.key(measurements.PREFIX)):
                self.settled.add(subject.md5)
                continue
            if baseline and baseline.md5 != subject.md5:
                self._save_baseline(baseline, declared, test_set)
            url = self.store.writable(belongs_to.key(measurements.PREFIX), SECONDS)
            (self.out / TARGET).write_text(json.dumps({"url": url}), encoding="utf-8")
            name = f"{MAIN}'s model" if baseline and baseline.md5 == subject.md5 else "the candidate"
            return f"{name} is measured: {subject.md5}"
        return "everything is measured: nothing to do"

    def _looks(self, mains: tuple[Tree, Tree], made: Made, declared: Declaration, test_set: str) -> list[str]:
        """Fetch the data of a pull request that main compares with its own; say what. `mains`: main, now and where the
        pull request left it."""
        (main, base), tree = mains, made.tree
        kept = Findings(self.store, self.kept.evaluator(declared), test_set)
        changed = looks.test_set(main, base, tree, declared)
        new = self._save_new(changed, declared)
        found: dict[str, Any] = {}
        if new and not self.store.has(key := kept.growth_key(new)):
            found["growth"] = {"url": self.store.writable(key, SECONDS), "new": new}
        objects = looks.new_training(main, tree, declared, changed is not None).objects
        data = findings.data(objects, declared.limits.training_data_bytes, new)
        if objects and not self.store.has(key := kept.leaks_key(data)):
            files, unread = self._save_training(
                remote.either(made.left, main, FOLDER), objects, declared.limits.training_data_bytes
            )
            found["leaks"] = {
                "url": self.store.writable(key, SECONDS),
                "data": data,
                "files": files,
                "unread": unread,
                "new": new is not None,
            }
        if found:
            about = {"evaluator": kept.evaluator, "test_set": test_set, **found}
            (self.out / LOOKS).write_text(json.dumps(about), encoding="utf-8")
        said = {"growth": "the new test set is compared with main's", "leaks": "the training data are searched"}
        return [said[one] for one in found]

    def _save_new(self, changed: TestSet | None, declared: Declaration) -> str | None:
        """The SHA-256 of a new test set, `None` where there is none whose content counts."""
        if changed is None or changed.located is None:
            return None
        try:
            return self._save(changed.located, NEW_TEST_SET, declared.limits.test_set_bytes)
        except ObjectFault:
            # The gate, which reads it too, says what is wrong with it.
            (self.out / NEW_TEST_SET).unlink()
            return None

    def _save_training(
        self, reader: Reader, objects: Mapping[str, str], most_bytes: int
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Fetch training data; the names of the files here by their paths, and which main cannot look at, and why.

        Raises `ObjectFault` where the store lacks something, which the gate says as well.
        """
        left = most_bytes
        (self.out / TRAINING_DATA).mkdir(exist_ok=True)
        files: dict[str, str] = {}
        unread: dict[str, str] = {}
        for top, md5 in sorted(objects.items()):
            entries = content.files(reader, top, md5, LISTING_BYTES)
            if len(entries) > findings.MOST_FILES - len(files):
                return {}, {top: f"has more files than the {findings.MOST_FILES} that main looks at"}
            if odd := [entry.path for entry in entries if not entry.path.endswith(".safetensors")]:
                more = f", like {len(odd) - 1} more" if odd[1:] else ""
                unread[top] = f"holds {odd[0]!r:.150}, which is no safetensors file{more}"
            for entry in entries:
                if entry.path in files or not findings.is_name(entry.path):
                    return {}, {top: f"lists {entry.path!r:.150} twice, or by a name that main does not take"}
                if not entry.path.endswith(".safetensors"):
                    continue
                name = f"{TRAINING_DATA}/{len(files)}"
                try:
                    with (self.out / name).open("wb") as stream:
                        left -= content.read(reader, entry.md5, left, stream).size
                except ObjectFault as fault:
                    if fault.kind != "too large":
                        raise
                    return {}, {top: f"has more bytes than the {most_bytes} that main looks at"}
                files[entry.path] = name
        return files, unread

    def _made(self, trained: Trained) -> Made:
        """The head's files and what its run left, of which the lock counts where the head's own is not fresh."""
        tree = CommitTree(self.repository, trained.sha)
        line = pipeline.load(tree, FOLDER)
        left = candidate.opened(self.store, trained.run)
        if left is None or not lock.problems(tree, line):
            return Made(tree, left)
        return Made(candidate.read(left, line).over(tree), left)

    def _save(self, located: Located, name: str, most_bytes: int) -> str:
        """Fetch an object; return its SHA-256. Raises `ObjectFault`."""
        with (self.out / name).open("wb") as stream:
            return located.read(most_bytes, stream).sha256

    def _save_baseline(self, located: Located, declared: Declaration, test_set: str) -> None:
        """Fetch main's model to be measured beside another, unless it is measured already."""
        try:
            sha256 = self._save(located, BASELINE, declared.limits.model_bytes)
        except ObjectFault as fault:
            if fault.kind != "missing":
                raise
            (self.out / BASELINE).unlink()
            return
        if self.store.has(self.kept.identity(sha256, declared, test_set).key(measurements.PREFIX)):
            (self.out / BASELINE).unlink()


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
