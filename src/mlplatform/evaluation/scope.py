"""Which of a pull request's changes main can judge by measuring, and which an owner has to approve.

Pure: the rules are main's declaration, and the pull request's files come as what they say.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import normpath
from typing import Any

from mlplatform.evaluation.declaration import FILE, Declaration, Kind

PARAMETERS, PIPELINE, LOCK = "params.yaml", "dvc.yaml", "dvc.lock"
WHY = {
    Kind.CONTRACT: "it says what a model takes and gives",
    Kind.SERVICE: "it prepares data outside of the model",
    Kind.EVALUATOR: "it decides how models are measured",
    Kind.GATE: "it decides what the gate allows",
    Kind.TEST_SET: "models are measured on it",
    Kind.UNKNOWN: f"main's {FILE} does not say what it is",
}
SECTIONS = {"contract": Kind.CONTRACT, "evaluator": Kind.EVALUATOR, "test_set": Kind.TEST_SET}
"""What the sections of the declaration are; the others rule the gate."""


@dataclass(frozen=True, slots=True)
class Change:
    """A changed path, from the repository's root; what a YAML file said before and says now, `None` where it is not."""

    path: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A change that an owner has to approve."""

    file: str
    kind: Kind
    reason: str

    def __str__(self) -> str:
        return f"main cannot judge {self.file}: {self.reason}: an owner's approval is asked"


@dataclass(frozen=True, slots=True)
class Scope:
    """The changes of a pull request to a project: what main judges, what an owner does, and what nobody should."""

    judged: tuple[str, ...] = ()
    owner: tuple[Ask, ...] = ()
    refused: tuple[str, ...] = ()


def scope(
    changes: Iterable[Change], rules: Declaration, folder: str, test_set_faults: Sequence[str] | None = None
) -> Scope:
    """Sort the changes of a pull request.

    Args:
        changes: every changed path. `params.yaml`, `dvc.yaml`, `dvc.lock` and `evaluation.yaml` come with what they
            say; other paths of the project are judged by their names, and paths elsewhere only where main lists them.
        rules: main's.
        folder: the project's folder.
        test_set_faults: what `Growth.against` says of the new test set, `None` while nobody looked.
    """
    return _Sorting(rules, folder, test_set_faults).sort(changes)


class _Malformed(Exception):
    pass


class _Sorting:
    def __init__(self, rules: Declaration, folder: str, test_set_faults: Sequence[str] | None) -> None:
        self._rules, self._folder, self._faults = rules, folder, test_set_faults
        self._documents = {
            f"{folder}/{FILE}": self._declaration,
            f"{folder}/{PARAMETERS}": self._parameters,
            f"{folder}/{PIPELINE}": self._stages,
            f"{folder}/{LOCK}": self._stages,
        }
        own = rules.evaluator
        test_set = rules.test_set.path
        self._exact = dict.fromkeys((test_set, f"{test_set}.dvc"), Kind.TEST_SET)
        self._exact |= dict.fromkeys((*own.files, own.lock), Kind.EVALUATOR)

    def sort(self, changes: Iterable[Change]) -> Scope:
        judged: list[str] = []
        asks: dict[str, Ask] = {}
        refused: list[str] = []
        for change in changes:
            try:
                found = list(self._of(change))
            except _Malformed as error:
                refused.append(f"{change.path}: {error}")
                continue
            for ask in found:
                asks.setdefault(ask.file, ask)
            if not found and self._concerns(change.path):
                judged.append(change.path)
        return Scope(tuple(judged), tuple(asks.values()), tuple(refused))

    def _of(self, change: Change) -> Iterator[Ask]:
        document = self._documents.get(change.path)
        if document:
            yield from document(change)
        else:
            yield from self._path(change.path)

    def _concerns(self, path: str) -> bool:
        return path.startswith(f"{self._folder}/") or _matches(path, self._rules.paths.judged)

    def _path(self, path: str) -> Iterator[Ask]:
        kind = self._kind(path)
        if kind is Kind.TEST_SET and path in self._exact and self._faults is not None:
            if self._faults:
                yield Ask(path, kind, f"{WHY[kind]}, and {'; '.join(self._faults)}")
        elif kind:
            yield Ask(path, kind, WHY[kind])

    def _kind(self, path: str) -> Kind | None:
        """Why main cannot judge a path, `None` where it can, or where it is no part of the project."""
        if path in self._exact:
            return self._exact[path]
        for kind, patterns in self._rules.paths.owner.items():
            if _matches(path, patterns):
                return Kind(kind)
        if _matches(path, self._rules.paths.judged):
            return None
        return Kind.UNKNOWN if path.startswith(f"{self._folder}/") else None

    def _declaration(self, change: Change) -> Iterator[Ask]:
        changed = _changed(change.before, change.after)
        for key in changed or ["text"]:
            kind = SECTIONS.get(key, Kind.GATE)
            yield Ask(f"{change.path} ({key})", kind, WHY[kind])

    def _parameters(self, change: Change) -> Iterator[Ask]:
        for key in _changed(change.before, change.after):
            if key not in self._rules.paths.parameters:
                kind = Kind.GATE if key == "gate" else Kind.UNKNOWN
                yield Ask(f"{change.path} ({key})", kind, WHY[kind])

    def _stages(self, change: Change) -> Iterator[Ask]:
        """Stages are training code, unless they touch what is not main's to judge."""
        before, after = (_stages(content) for content in (change.before, change.after))
        for name in sorted(before.keys() | after.keys()):
            old, new = before.get(name, {}), after.get(name, {})
            is_pipeline = change.path.endswith(PIPELINE)
            for path in sorted(_written(old) ^ _written(new) if is_pipeline else _moved(old, new)):
                whole = normpath(f"{self._folder}/{path}")
                # A stage that writes a folder writes what lies in it.
                within = [one for one in self._exact if is_pipeline and one.startswith(f"{whole}/")]
                for one in (whole, *within):
                    # What is no file of git shows only here; an unknown path is an output of the run itself.
                    if self._kind(one) not in (None, Kind.UNKNOWN):
                        yield from self._path(one)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _mapping(content: Any) -> Mapping[str, Any]:
    """Keys as texts."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _Malformed("must be a mapping")
    return {str(key): value for key, value in content.items()}


def _changed(before: Any, after: Any) -> list[str]:
    """The top-level keys that differ."""
    old, new = _mapping(before), _mapping(after)
    return sorted(key for key in old.keys() | new.keys() if repr(old.get(key)) != repr(new.get(key)))


def _stages(content: Any) -> dict[str, Mapping[str, Any]]:
    return {name: _mapping(stage) for name, stage in _mapping(_mapping(content).get("stages")).items()}


def _written(stage: Mapping[str, Any]) -> set[str]:
    """The paths that a stage of `dvc.yaml` writes."""
    found: set[str] = set()
    for kind in ("outs", "metrics", "plots"):
        entries = stage.get(kind) or []
        if not isinstance(entries, list):
            raise _Malformed(f"{kind}: must be a list")
        for entry in entries:
            found |= {str(path) for path in entry} if isinstance(entry, dict) else {str(entry)}
    return found


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """The paths whose content differs between two entries of `dvc.lock`."""
    return {path for path, _ in _contents(old) ^ _contents(new)}


def _contents(stage: Mapping[str, Any]) -> set[tuple[str, str]]:
    found = set()
    for kind in ("deps", "outs"):
        entries = stage.get(kind) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise _Malformed(f"{kind}: must be a list of mappings")
        found |= {(str(entry.get("path")), str(entry.get("md5"))) for entry in entries}
    return found
