"""Which of a pull request's data main's code has to compare, and where the findings are kept.

`ci.fetch` brings what is to be compared, `ci.compare` compares it, and the gate reads the findings.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ci import lock, measurements, pipeline
from ci.document import DocumentError, mapping, parse_yaml, resolve, sequence
from ci.evidence import FOLDER
from ci.measurements import PREFIX, Located
from ci.pipeline import Pipeline
from ci.store import Store
from ci.tree import Tree
from mlplatform.evaluation import findings, result
from mlplatform.evaluation.declaration import Declaration
from mlplatform.evaluation.findings import Growth, Leaks

# What a change of the file's content changes in its `.dvc` file.
CONTENT_KEYS = frozenset({"md5", "size"})


@dataclass(frozen=True, slots=True)
class TestSet:
    """The test set that a pull request puts in the place of main's. Where `faults` says something, its content need
    not be looked at."""

    __test__ = False  # no class of tests

    located: Located | None
    faults: tuple[str, ...] = ()


def test_set(main: Tree, base: Tree, tree: Tree, declared: Declaration) -> TestSet | None:
    """The test set of a commit that left main at `base`, `None` where it changed none. Raises `DocumentError` about
    main's own files."""
    source = f"{declared.test_set.path}.dvc"
    text, own = tree.read(source), main.read(source)
    if text in (base.read(source), own):
        return None
    old = measurements.test_set(main, declared)
    if text is None or own is None:
        return TestSet(None, (f"{source} is gone",))
    try:
        new = lock.pointer(text, declared.test_set.path)
        if _besides_content(text, source) != _besides_content(own, source):
            return TestSet(None, ("its file says more than another content: run `dvc add` on main's",))
    except DocumentError as error:
        return TestSet(None, (str(error),))
    # In main's remote, whatever the commit's own configuration says.
    return TestSet(Located(old.reader, new.md5))


def _besides_content(text: bytes, source: str) -> str:
    content = mapping(parse_yaml(text, source), source)
    outputs = sequence(content.get("outs"), f"{source}: outs")
    if len(outputs) != 1:
        raise DocumentError(f"{source}: must name one file")
    of_output = {key: value for key, value in mapping(outputs[0], source).items() if key not in CONTENT_KEYS}
    return repr(sorted([*((content | {"outs": None}).items()), *of_output.items()], key=repr))


@dataclass(frozen=True, slots=True)
class Training:
    """What a commit's training reads, by main's declaration."""

    objects: Mapping[str, str]
    """MD5 (with `.dir` for a folder) by path."""
    unknown: Mapping[str, str]
    """Why main cannot tell what training reads, by the path that an owner has to look at."""


def training(tree: Tree, declared: Declaration) -> Training:
    """Of any commit. Raises `DocumentError`."""
    line = pipeline.load(tree, FOLDER)
    tracked = dict(_tracked(tree))
    known = tracked | lock.remote_objects(tree, line)
    objects, unknown = {}, {}
    for path in declared.training_data:
        if path in known:
            objects[path] = known[path]
        else:
            unknown[line.lock_path] = f"it names no {path}, which training reads"
    if declared.training_data:
        unknown |= _around(line, tracked.keys() - objects.keys(), declared)
    return Training(objects, unknown)


def _tracked(tree: Tree) -> Iterator[tuple[str, str]]:
    """Path and MD5 of all that `.dvc` files track."""
    for source in tree.files(FOLDER):
        if not source.endswith(".dvc"):
            continue
        content = mapping(parse_yaml(tree.read(source) or b"", source), source)
        for entry in sequence(content.get("outs"), f"{source}: outs"):
            path = resolve(str(PurePosixPath(source).parent), mapping(entry, source).get("path"), source)
            yield path, str(entry.get("md5"))


def _around(line: Pipeline, tracked: set[str], declared: Declaration) -> dict[str, str]:
    """Stages that read data which `.dvc` files track, and write none of what training may read."""
    found = {}
    for stage in line.stages:
        if any(_overlap(output.path, path) for output in stage.outputs for path in declared.training_data):
            continue
        for path in stage.dependencies:
            if any(_overlap(path, one) for one in tracked):
                found[f"{line.folder}/{pipeline.PIPELINE} (stage {stage.name})"] = (
                    f"it reads {path}, in which main does not look for rows of the test set"
                )
    return found


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def new_training(main: Tree, tree: Tree, declared: Declaration, test_set_changed: bool) -> Training:
    """What of a commit's training main has not looked at with its own. Raises `DocumentError`."""
    own, its = training(main, declared), training(tree, declared)
    unknown = {path: why for path, why in its.unknown.items() if own.unknown.get(path) != why}
    # Main's own data were compared with main's test set, but not with a new one.
    same = its.objects == own.objects and not test_set_changed
    return Training({} if same else its.objects, unknown)


@dataclass(frozen=True, slots=True)
class Findings:
    """What is kept of one evaluator's findings about one test set of main's."""

    store: Store
    evaluator: str
    test_set: str

    def growth_key(self, new: str) -> str:
        """Where it is kept what became of the test set."""
        return findings.growth_key(PREFIX, self.evaluator, self.test_set, new)

    def leaks_key(self, data: str) -> str:
        """Where it is kept what the training data show."""
        return findings.leaks_key(PREFIX, self.evaluator, self.test_set, data)

    def growth(self, new: str) -> Growth | None:
        """`None` while nobody has looked. Raises `ResultError` where what is kept must not be believed."""
        about = {"evaluator": self.evaluator, "test_set": self.test_set, "new": new}
        text = self._kept(self.growth_key(new))
        return None if text is None else findings.parse(text, Growth, about)

    def leaks(self, data: str) -> Leaks | None:
        """`None` while nobody has looked. Raises `ResultError` where what is kept must not be believed."""
        about = {"evaluator": self.evaluator, "test_set": self.test_set, "data": data}
        text = self._kept(self.leaks_key(data))
        return None if text is None else findings.parse(text, Leaks, about)

    def _kept(self, key: str) -> bytes | None:
        return self.store.get(key, result.MOST_BYTES) if self.store.has(key) else None


def source(path: str, objects: Mapping[str, str], tree: Tree) -> str:
    """A file of the training data with the file of git that names it."""
    top = next((one for one in objects if _overlap(one, path)), path)
    pointer = f"{top}.dvc"
    return f"{path} (of {pointer if tree.read(pointer) is not None else f'{FOLDER}/{pipeline.LOCK}'})"
