"""What main has measured of models, kept under what a measurement belongs to: model, evaluator, test set.

`ci.fetch` decides under which key a measurement is written, before the model is loaded; no credential of a job that
runs a branch's code reaches these keys.
"""

from dataclasses import dataclass
from pathlib import Path

from ci import document, lock, pipeline, remote
from ci.document import DocumentError
from ci.evidence import FOLDER, MAIN
from ci.failure import Unacceptable
from ci.store import Store
from ci.tree import Tree
from mlplatform.evaluation import declaration, identity, result
from mlplatform.evaluation.declaration import Declaration, DeclarationError
from mlplatform.evaluation.identity import Identity
from mlplatform.evaluation.result import Evaluation, Measured, ResultError
from mlplatform.objects import content
from mlplatform.objects.bundle import Bundle
from mlplatform.objects.content import Content, ObjectFault
from mlplatform.objects.verify import Reader, Sink

PREFIX = "measurements"
DECLARATION = f"{FOLDER}/{declaration.FILE}"
MODEL = f"{FOLDER}/model/model.onnx"


class Unmeasurable(Unacceptable):
    """Main's own files cannot be used to measure."""


@dataclass(frozen=True, slots=True)
class Located:
    """An object of DVC's and where it lies: in a remote, or in what a run left until the gate takes it from there."""

    reader: Reader
    md5: str

    def read(self, most_bytes: int, sink: Sink | None = None) -> Content:
        """Its content, checked; raises `ObjectFault`."""
        return content.read(self.reader, self.md5, most_bytes, sink)


def rules(main: Tree) -> Declaration | None:
    """Main's declaration, `None` where it has none. Raises `Unmeasurable`."""
    text = main.read(DECLARATION)
    if text is None:
        return None
    try:
        return declaration.parse(document.parse_yaml(text, DECLARATION), f"{MAIN}'s {DECLARATION}")
    except DeclarationError as error:
        raise Unmeasurable(str(error)) from None


def model(main: Tree, tree: Tree, left: Bundle | None = None) -> Located | None:
    """The model that a commit's lock names, in what its run `left` or else in main's remote; `None` without a name.

    Raises `DocumentError`.
    """
    line = pipeline.load(tree, FOLDER)
    md5 = lock.remote_objects(tree, line).get(MODEL)
    return Located(remote.either(left, main, FOLDER), md5) if md5 else None


def test_set(main: Tree, declared: Declaration) -> Located:
    """Main's test set. Raises `DocumentError`."""
    source = f"{declared.test_set.path}.dvc"
    text = main.read(source)
    if text is None:
        raise DocumentError(f"{MAIN} has no {source}, which {DECLARATION} names: restore it")
    pointer = lock.pointer(text, declared.test_set.path)
    return Located(remote.reader(main, FOLDER, pointer.remote), pointer.md5)


@dataclass(frozen=True, slots=True)
class Measurements:
    """What is kept in a bucket. `root` is the checkout of main, whose code measures."""

    store: Store
    root: Path

    def identity(self, sha256: str, declared: Declaration, test_set_sha256: str) -> Identity:
        """To what a measurement belongs that main makes now. Raises `Unmeasurable`."""
        return Identity(sha256, self.evaluator(declared), test_set_sha256)

    def evaluator(self, declared: Declaration) -> str:
        """The SHA-256 of main's code that measures and compares. Raises `Unmeasurable`."""
        try:
            return identity.evaluator(self.root, declared)
        except DeclarationError as error:
            raise Unmeasurable(str(error)) from None

    def kept(self, belongs_to: Identity, declared: Declaration) -> Evaluation | None:
        """The measurement of exactly this, `None` while there is none.

        Raises `ResultError` where what is kept must not be believed.
        """
        key = belongs_to.key(PREFIX)
        if not self.store.has(key):
            return None
        found = result.parse(self.store.get(key, result.MOST_BYTES), declared)
        if found.identity(found.candidate) != belongs_to:
            raise ResultError("the measurement that is kept is one of other files")
        return found

    def look(self, main: Tree, tree: Tree, declared: Declaration) -> Evaluation | None:
        """A commit's model beside main's on the same rows, `None` while either is not measured.

        The baseline is `None` where main's model lies nowhere.

        Raises:
            ResultError: what is kept must not be believed.
            Unacceptable: a file of main or the commit cannot be used.
        """
        rows = read(test_set(main, declared), declared.limits.test_set_bytes)
        candidate, baseline = model(main, tree), model(main, main)
        if candidate is None:
            raise Unmeasurable(f"{FOLDER}/dvc.lock names no {MODEL}")
        new = self.identity(read(candidate, declared.limits.model_bytes).sha256, declared, rows.sha256)
        found = self.kept(new, declared)
        if found is None:
            return None
        try:
            before = baseline.read(declared.limits.model_bytes) if baseline else None
        except ObjectFault as fault:
            if fault.kind != "missing":
                raise Unmeasurable(f"{MAIN}'s model: {fault}: {remote.REPAIR}") from None
            before = None
        if before is None:
            return found.model_copy(update={"baseline": None})
        old = self.identity(before.sha256, declared, rows.sha256)
        if kept := self.kept(old, declared):
            return result.beside(found, kept)
        return found if found.baseline and found.identity(found.baseline) == old else None

    def of_main(self, main: Tree, declared: Declaration) -> Measured | None:
        """Main's model as main's evaluator measured it, `None` while it has not.

        Raises:
            Unacceptable: it was refused, or it or a file of main cannot be used.
        """
        located = model(main, main)
        if located is None:
            return None
        rows = read(test_set(main, declared), declared.limits.test_set_bytes)
        belongs_to = self.identity(read(located, declared.limits.model_bytes).sha256, declared, rows.sha256)
        try:
            found = self.kept(belongs_to, declared)
        except ResultError as error:
            raise Unmeasurable(f"{MAIN}'s model: {error}") from None
        if found is None:
            return None
        if not isinstance(found.candidate, Measured):
            raise Unmeasurable(f"{MAIN}'s evaluator refused {MAIN}'s model: {found.candidate.refused}")
        return found.candidate


def read(located: Located, most_bytes: int) -> Content:
    """An object's hash and size. Raises `Unmeasurable`."""
    try:
        return located.read(most_bytes)
    except ObjectFault as fault:
        raise Unmeasurable(f"{fault}: {remote.REPAIR}") from None
