"""Decides on a pull request from what main's code measured and compared; makes no call to the forge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ci import evidence, git, lock, looks, measurements, pipeline, remote
from ci.document import parse_yaml
from ci.evidence import FOLDER
from ci.failure import Unacceptable
from ci.looks import Findings
from ci.measurements import Measurements
from ci.metrics import Metrics
from ci.store import Store
from ci.tree import CommitTree
from mlplatform.evaluation import findings, judgement, scope
from mlplatform.evaluation.declaration import FILE, Declaration, Kind
from mlplatform.evaluation.judgement import Number, Verdict
from mlplatform.evaluation.result import Evaluation, ResultError
from mlplatform.evaluation.scope import Ask, Change, Scope

# Files whose content decides whether main can judge a change of them.
READ = tuple(f"{FOLDER}/{name}" for name in (FILE, scope.PARAMETERS, scope.PIPELINE, scope.LOCK))


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, every number with its source, and what the run reported of itself."""

    verdict: Verdict
    numbers: tuple[Number, ...]
    reported: Metrics | None

    @property
    def waits(self) -> bool:
        """Whether main's code has yet to measure or compare something."""
        return self.verdict.state == "pending" and self.verdict.summary.startswith(judgement.WAITS)


@dataclass(frozen=True, slots=True)
class Compared:
    """What main's code found in the data of a pull request, and what it has yet to look at."""

    test_set_faults: Sequence[str] | None = None
    """`None` where the test set is main's, or nobody looked yet."""
    leaked: Mapping[str, int] = field(default_factory=dict)
    asks: tuple[Ask, ...] = ()
    waits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judging:
    """What it takes. `root` is the checkout of main, whose code measures."""

    repository: git.Repository
    store: Store
    root: Path

    def judge(self, main: CommitTree, tree: CommitTree, declared: Declaration, asks: Sequence[Ask] = ()) -> Judged:
        """Judge a commit whose lock is fresh and whose history leads to main's.

        `asks`: what an owner has to approve besides what the declaration says.
        """
        found, compared, faults = None, Compared(), []
        try:
            faults += remote.faults(main, FOLDER, self._objects(tree, declared))
            if not faults:
                found = Measurements(self.store, self.root).look(main, tree, declared)
                compared = self._compared(main, tree, declared)
        except Unacceptable as error:
            faults.append(str(error))
        except ResultError as error:
            faults.append(f"what main's evaluation left cannot be believed: {error}")
        reported = None
        try:
            reported = evidence.metrics(tree)
        except Unacceptable as error:
            faults.append(str(error))
        changes = self._scope(main, tree, declared, compared, asks)
        verdict = judgement.judge(
            found, declared.metrics, changes, problems=faults, leaked=compared.leaked, waits=compared.waits
        )
        return Judged(verdict, self._numbers(found, reported), reported)

    def judge_unmeasured(
        self, main: CommitTree, tree: CommitTree, declared: Declaration, asks: Sequence[Ask] = ()
    ) -> Verdict | None:
        """Judge a commit that leaves the pipeline alone; `None` where nothing of it is the gate's."""
        return judgement.unmeasured(self._scope(main, tree, declared, Compared(), asks))

    def _numbers(self, found: Evaluation | None, reported: Metrics | None) -> tuple[Number, ...]:
        return tuple(judgement.numbers(found, reported.values if reported else None))

    def _objects(self, tree: CommitTree, declared: Declaration) -> dict[str, str]:
        """All that the store must hold, MD5 by path."""
        line = pipeline.load(tree, FOLDER)
        return {**looks.training(tree, declared).objects, **lock.remote_objects(tree, line)}

    def _base(self, main: CommitTree, tree: CommitTree) -> CommitTree:
        base = self.repository.merge_base(main.commit, tree.commit)
        assert base is not None
        return CommitTree(self.repository, base)

    def _compared(self, main: CommitTree, tree: CommitTree, declared: Declaration) -> Compared:
        """Raises `Unacceptable`, `ResultError`."""
        changed = looks.test_set(main, self._base(main, tree), tree, declared)
        training = looks.new_training(main, tree, declared, changed is not None)
        if changed is None and not training.objects and not training.unknown:
            return Compared()
        rows = measurements.read(measurements.test_set(main, declared), declared.limits.test_set_bytes)
        kept = Findings(self.store, Measurements(self.store, self.root).evaluator(declared), rows.sha256)
        faults, new, waits = None, None, []
        if changed is not None:
            faults = changed.faults
            if changed.located is not None:
                new = measurements.read(changed.located, declared.limits.test_set_bytes).sha256
                growth = kept.growth(new)
                faults = None if growth is None else tuple(growth.against(declared.test_set.growth))
                waits += [judgement.UNCOMPARED] if growth is None else []
        leaked, asks = {}, [Ask(path, Kind.UNKNOWN, why) for path, why in training.unknown.items()]
        if training.objects:
            leaks = kept.leaks(findings.data(training.objects, declared.limits.training_data_bytes, new))
            if leaks is None:
                waits.append(judgement.UNSEARCHED)
            else:
                leaked = {
                    looks.source(path, training.objects, tree): count for path, count in sorted(leaks.rows.items())
                }
                asks += [
                    Ask(looks.source(path, training.objects, tree), Kind.UNKNOWN, f"it {why}")
                    for path, why in sorted(leaks.unread.items())
                ]
        return Compared(faults, leaked, tuple(asks), tuple(waits))

    def _scope(
        self, main: CommitTree, tree: CommitTree, declared: Declaration, compared: Compared, asks: Sequence[Ask]
    ) -> Scope:
        """What of the pull request main judges, and what an owner has to approve."""
        before, changes = self._base(main, tree), []
        for path in self.repository.changed(before.commit, tree.commit):
            if path in READ:
                try:
                    old, new = (
                        None if text is None else parse_yaml(text, path)
                        for text in (before.read(path), tree.read(path))
                    )
                except Unacceptable as error:
                    return Scope(refused=(str(error),))
                changes.append(Change(path, old, new))
            else:
                changes.append(Change(path))
        found = scope.scope(changes, declared, FOLDER, compared.test_set_faults)
        return Scope(found.judged, (*found.owner, *compared.asks, *asks), found.refused)
