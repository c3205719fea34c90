"""Which images an app's overlay deploys.

Nothing is rendered: it is read, and whatever could bring in an image unseen is refused. So an overlay is its
`kustomization.yaml` with some of kustomize's keys, the app's base, and files beside it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.document import DocumentError, mapping, parse_manifests, parse_yaml, resolve, sequence, texts
from ci.tree import Tree
from mlplatform import pin
from mlplatform.releases import DIGEST, has_registry, overlay_folder

FILE = "kustomization.yaml"
# By which names kustomize finds it.
FILES = (FILE, "kustomization.yml", "Kustomization")
# Of the project's own services, whose images are facts of the cluster.
PLATFORM = "platform"
# Keys of kustomize's that bring in nothing but what is looked at here.
KEYS = (
    *("apiVersion", "kind", "resources", "images", "patches", "replicas", "labels", "commonLabels"),
    *("commonAnnotations", "configMapGenerator", "generatorOptions", "namePrefix", "nameSuffix"),
)
_IMAGE_KEYS = ("name", "newName", "digest")
_PATCH_KEYS = ("patch", "path", "target", "options")
# `fields` would write them anywhere, into a container too.
_LABEL_KEYS = ("pairs", "includeSelectors", "includeTemplates")
_OPERATION_KEYS = ("op", "path", "value")
# The others take a value from elsewhere in the object.
_OPERATIONS = ("add", "remove", "replace", "test")
_GENERATED_FROM = ("files", "envs")
_BY_DIGEST = re.compile(rf"([^@\s]+)@({DIGEST.pattern})")
_BY_NAME = re.compile(r"[^@\s:]+(?::\d+/[^@\s:]+)?")


@dataclass(frozen=True, slots=True)
class Content:
    """What an overlay says: the digest of each image that it lists by name, all that it deploys by the name in the
    registry and the digest, and why it is not understood, which is empty where it is."""

    pinned: Mapping[str, str] = field(default_factory=dict)
    images: frozenset[tuple[str, str]] = frozenset()
    problem: str = ""

    @property
    def digests(self) -> frozenset[str]:
        """Every digest that it deploys."""
        return frozenset(digest for _, digest in self.images)

    @property
    def elsewhere(self) -> Mapping[str, str]:
        """By digest, the name of each image that lies in a registry of somebody else's, and nowhere in ours."""
        ours = {digest for name, digest in self.images if not has_registry(name)}
        return {digest: name for name, digest in sorted(self.images) if digest not in ours}


def read(tree: Tree, app: str, environment: str) -> Content:
    """What an app's overlay of an environment says; one that is not there says nothing."""
    files = frozenset(tree.files(overlay_folder(app, environment)))
    if not files:
        return Content()
    reading = _Reading(tree, app, environment, files)
    problem = ""
    try:
        reading.read()
    except DocumentError as error:
        problem = str(error)
    return Content(reading.pinned, frozenset(reading.images), problem)


def names_in_base(tree: Tree, app: str) -> frozenset[str]:
    """Images that an app's base names without tag or digest, which each overlay has to give one.

    An owner approved what a base says, so one that cannot be read is none of this.
    """
    found = set()
    for path in tree.files(f"apps/{app}/base"):
        if path.endswith((".yaml", ".yml")):
            try:
                documents = parse_manifests(tree.read(path) or b"", path)
            except DocumentError:
                continue
            found |= {image for image in _images(documents) if isinstance(image, str) and _BY_NAME.fullmatch(image)}
    return frozenset(found)


def shared(tree: Tree, app: str) -> list[str]:
    """The folders from which what an app's environments share is made: its base, and those that this one or one of them
    names. Raises `DocumentError`."""
    found: set[str] = set()
    left = [f"apps/{app}/base"]
    while left:
        folder = left.pop()
        found.add(folder)
        left += sorted(_named(tree, folder) - found)
    return sorted(found)


def _named(tree: Tree, folder: str) -> set[str]:
    """The folders that a kustomization names, in whichever list."""
    content = next((text for name in FILES if (text := tree.read(f"{folder}/{name}")) is not None), None)
    if content is None:
        raise DocumentError(f"{folder}/{FILE}: is missing")
    lists = (
        value for value in mapping(parse_yaml(content, f"{folder}/{FILE}"), folder).values() if isinstance(value, list)
    )
    found = set()
    for entry in (one for value in lists for one in value if isinstance(one, str)):
        try:
            path = resolve(folder, entry, folder)
        except DocumentError:
            # It lies elsewhere, in another repository.
            continue
        if any(tree.read(f"{path}/{name}") is not None for name in FILES):
            found.add(path)
    return found


def _images(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for entry in value:
            yield from _images(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key == "image":
                yield entry
            else:
                yield from _images(entry)


@dataclass(slots=True)
class _Reading:
    """What has been read of an overlay. Its methods raise `DocumentError`."""

    tree: Tree
    app: str
    environment: str
    files: frozenset[str]
    pinned: dict[str, str] = field(default_factory=dict)
    images: set[tuple[str, str]] = field(default_factory=set)
    named: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    @property
    def folder(self) -> str:
        return overlay_folder(self.app, self.environment)

    @property
    def namespace(self) -> str:
        """Where the Application deploys."""
        return self.app if self.environment == PLATFORM else self.environment

    def read(self) -> None:
        path = f"{self.folder}/{FILE}"
        if path not in self.files:
            raise DocumentError(f"{path}: is missing: the overlay must have it, under this name")
        self.used |= {path, pin.path(self.app, self.environment)}
        documents = parse_manifests(self.tree.read(path) or b"", path)
        if len(documents) != 1:
            raise DocumentError(f"{path}: has {len(documents)} documents: keep one")
        content = mapping(documents[0], path)
        # First, so that they are known also where the rest is not understood.
        for entry in sequence(content.get("images"), f"{path}: images"):
            self._pin(entry, f"{path}: images")
        _known(content, KEYS, path, "what stages share lies in ../../base")
        if content.get("kind", "Kustomization") != "Kustomization":
            raise DocumentError(f"{path}: kind: must be Kustomization")
        for entry in sequence(content.get("labels"), f"{path}: labels"):
            _known(entry, _LABEL_KEYS, f"{path}: labels")
        self._look({key: value for key, value in content.items() if key != "images"}, path)
        self._resources(content, path)
        self._patches(content, path)
        self._generated(content, path)
        for name, where in self.named.items():
            if name not in self.pinned:
                raise DocumentError(f"{where}: image {name!r} has no digest: list it under `images` with one")
        for other in sorted(self.files - self.used):
            if not other.endswith(".md"):
                raise DocumentError(f"{other}: {FILE} names no such file: delete it, for Argo CD reads some unasked")

    def _pin(self, entry: Any, where: str) -> None:
        _known(entry, _IMAGE_KEYS, where, "pin images by `digest`")
        name, digest = entry.get("name"), entry.get("digest")
        deployed = entry.get("newName", name)
        named = isinstance(name, str) and isinstance(deployed, str)
        if not named or not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            raise DocumentError(
                f"{where}: each entry has `name` and a `digest` of the form sha256:<64 hexadecimal digits>"
            )
        self.pinned[name] = digest
        self.images.add((deployed, digest))

    def _resources(self, content: Mapping[str, Any], path: str) -> None:
        where = f"{path}: resources"
        for entry in texts(content.get("resources"), where):
            if resolve(self.folder, entry, where) != f"apps/{self.app}/base":
                self._manifest(self._own(entry, where))

    def _patches(self, content: Mapping[str, Any], path: str) -> None:
        where = f"{path}: patches"
        for entry in sequence(content.get("patches"), where):
            _known(entry, _PATCH_KEYS, where)
            if "path" in entry:
                self._manifest(self._own(entry["path"], where))
            if isinstance(patch := entry.get("patch", ""), str):
                self._manifest(where, patch.encode())
            else:
                raise DocumentError(f"{where}: patch: must be a text")

    def _generated(self, content: Mapping[str, Any], path: str) -> None:
        where = f"{path}: configMapGenerator"
        for entry in sequence(content.get("configMapGenerator"), where):
            for key in _GENERATED_FROM:
                for name in texts(mapping(entry, where).get(key), f"{where}: {key}"):
                    self._own(name.rpartition("=")[2], f"{where}: {key}")

    def _own(self, entry: Any, where: str) -> str:
        """The path of a file beside the kustomization."""
        path = resolve(self.folder, entry, where)
        if path not in self.files:
            raise DocumentError(f"{where}: {entry!r} is no file of {self.folder}: take ../../base and files beside it")
        if any(part.startswith(".") for part in path.removeprefix(f"{self.folder}/").split("/")):
            # Argo CD takes .argocd-source.yaml for parameters of its own.
            raise DocumentError(f"{path}: some read what begins with a dot unasked: give it another name")
        self.used.add(path)
        return path

    def _manifest(self, where: str, text: bytes | None = None) -> None:
        """Look at objects, or patches of them: of the file `where`, or of a text that stands there."""
        for document in parse_manifests((self.tree.read(where) or b"") if text is None else text, where):
            if isinstance(document, list):
                for operation in document:
                    self._operation(operation, where)
            elif document is not None:
                self._look(mapping(document, where), where)

    def _operation(self, operation: Any, where: str) -> None:
        """Look at an operation of a JSON patch."""
        _known(operation, _OPERATION_KEYS, where)
        if operation.get("op") not in _OPERATIONS or not isinstance(operation.get("path"), str):
            raise DocumentError(f"{where}: an operation has `path`, and an `op` of {', '.join(_OPERATIONS)}")
        value = operation.get("value")
        for part in reversed(operation["path"].split("/")):
            value = {part.replace("~1", "/").replace("~0", "~"): value}
        if operation["op"] != "remove":
            self._look(value, where)

    def _look(self, value: Any, where: str) -> None:
        """Look at all images and namespaces in a value, whatever it is."""
        if isinstance(value, list):
            for entry in value:
                self._look(entry, where)
        elif isinstance(value, dict):
            for key, entry in value.items():
                # Some readers take no notice of case.
                match key.casefold():
                    case "image":
                        self._image(entry, where)
                    case "namespace" if entry != self.namespace:
                        raise DocumentError(
                            f"{where}: namespace {entry!r}: the overlay deploys to {self.namespace} only"
                        )
                    case _:
                        self._look(entry, where)

    def _image(self, image: Any, where: str) -> None:
        # A volume made of an image has a mapping there, whose name kustomize leaves as it is.
        is_volume = isinstance(image, dict) and set(image) <= {"reference", "pullPolicy"}
        name = image.get("reference") if is_volume else image
        if isinstance(name, str) and (found := _BY_DIGEST.fullmatch(name)):
            self.images.add((found[1], found[2]))
        elif isinstance(name, str) and _BY_NAME.fullmatch(name) and not is_volume:
            self.named[name] = where
        else:
            raise DocumentError(
                f"{where}: image {name!r} is not by digest: write <name>@sha256:<64 hexadecimal digits>"
            )


def _known(entry: Any, keys: tuple[str, ...], where: str, fix: str = "") -> None:
    """Raises `DocumentError` where an entry is no mapping, or has another key."""
    if unknown := [key for key in mapping(entry, where) if key not in keys]:
        hint = f" ({fix})" if fix else ""
        raise DocumentError(f"{where}: {unknown[0]}: not read here: it may have {', '.join(keys)}{hint}")
