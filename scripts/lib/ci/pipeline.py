"""What a `dvc.yaml` declares.

Read without DVC, because the commit may be anybody's: DVC would read its configuration and expand its templates. What
this module does not know (templates, foreach, wdir ...) it refuses by name.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ci.document import DocumentError, mapping, parse_yaml, resolve, sequence, texts
from ci.failure import Unacceptable
from ci.tree import Tree

PIPELINE = "dvc.yaml"
LOCK = "dvc.lock"
STAGE_KEYS = frozenset({"cmd", "deps", "params", "outs", "metrics", "plots", "desc", "meta"})
OUTPUT_KINDS = ("outs", "metrics", "plots")
# How an output is drawn or kept does not change what it is.
OUTPUT_OPTIONS = frozenset(
    {
        "cache",
        "persist",
        "desc",
        "type",
        "labels",
        "meta",
        "template",
        "x",
        "y",
        "x_label",
        "y_label",
        "title",
        "header",
    }
)


@dataclass(frozen=True, slots=True)
class Output:
    """What a stage writes. `path` is from the repository's root; `cached` ones lie in DVC's remote, others in git."""

    path: str
    cached: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of `dvc.yaml`; paths are from the repository's root."""

    name: str
    command: str | list[str]
    dependencies: tuple[str, ...]
    parameters: tuple[tuple[str, str | None], ...]
    """(file, key); a key of `None` stands for the whole file."""
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages of a `dvc.yaml`."""

    folder: str
    stages: tuple[Stage, ...]

    @property
    def lock_path(self) -> str:
        """Where the lock lies, from the repository's root."""
        return f"{self.folder}/{LOCK}"

    def in_git(self) -> frozenset[str]:
        """Outputs that git tracks: metrics and plots."""
        return frozenset(output.path for stage in self.stages for output in stage.outputs if not output.cached)

    def inputs(self) -> frozenset[str]:
        """Files that stages read and no stage writes."""
        written = {output.path for stage in self.stages for output in stage.outputs}
        read = {path for stage in self.stages for path in stage.dependencies}
        return frozenset((read | {file for stage in self.stages for file, _ in stage.parameters}) - written)


def load(tree: Tree, folder: str) -> Pipeline:
    """The pipeline in `folder`. Raises `DocumentError` where it is missing, malformed or uses what is not supported."""
    source = f"{folder}/{PIPELINE}"
    text = tree.read(source)
    if text is None:
        raise DocumentError(f"{source} is missing: restore it")
    content = mapping(parse_yaml(text, source), source)
    if unknown := sorted(set(content) - {"stages", "metrics", "plots", "params"}):
        raise DocumentError(f"{source}: the gate does not support {unknown[0]!r}: write the stages out in full")
    stages = mapping(content.get("stages") or {}, f"{source}: stages")
    return Pipeline(folder, tuple(_stage(folder, source, name, entry) for name, entry in stages.items()))


def affected(changed: Iterable[str], tree: Tree, folder: str) -> bool:
    """Whether changed paths touch the pipeline: anything in its folder, or a file outside that a stage of it reads."""
    paths = set(changed)
    if any(path.startswith(f"{folder}/") for path in paths):
        return True
    try:
        inputs = load(tree, folder).inputs()
    except Unacceptable:
        return False
    return any(path == top or path.startswith(f"{top}/") for path in paths for top in inputs)


def _stage(folder: str, source: str, name: Any, entry: Any) -> Stage:
    where = f"{source}: stage {name}"
    content = mapping(entry, where)
    if unknown := sorted(set(content) - STAGE_KEYS):
        raise DocumentError(
            f"{where}: the gate does not support {unknown[0]!r}: use only {', '.join(sorted(STAGE_KEYS))}"
        )
    command = content.get("cmd")
    if not isinstance(command, str) and not texts(command, f"{where}: cmd"):
        raise DocumentError(f"{where}: cmd is missing: write the command to run")
    # A command may hold a shell's ${VARIABLE}, but DVC itself would take it for its own template.
    if "${" in json.dumps(content, default=str):
        raise DocumentError(f"{where}: the gate does not support templates (${{...}}): write the value out")
    dependencies = tuple(resolve(folder, path, where) for path in texts(content.get("deps"), f"{where}: deps"))
    outputs = tuple(
        output for kind in OUTPUT_KINDS for output in _outputs(folder, content.get(kind), f"{where}: {kind}")
    )
    for output in outputs:
        # The bot commits what git tracks, so nothing outside the pipeline's own folder.
        if not output.path.startswith(f"{folder}/") or output.path in (f"{folder}/{PIPELINE}", f"{folder}/{LOCK}"):
            raise DocumentError(f"{where}: output {output.path} must lie under {folder}/ and be no file of DVC's own")
    assert isinstance(command, str | list)
    return Stage(str(name), command, dependencies, tuple(_parameters(folder, content.get("params"), where)), outputs)


def _outputs(folder: str, entries: Any, where: str) -> Iterator[Output]:
    for entry in sequence(entries, where):
        if isinstance(entry, str):
            yield Output(resolve(folder, entry, where), cached=True)
            continue
        for path, options in mapping(entry, where).items():
            settings = mapping(options or {}, f"{where}: {path}")
            if unknown := sorted(set(settings) - OUTPUT_OPTIONS):
                raise DocumentError(f"{where}: {path}: the gate does not support {unknown[0]!r}")
            yield Output(resolve(folder, path, where), cached=settings.get("cache", True) is not False)


def _parameters(folder: str, entries: Any, where: str) -> Iterator[tuple[str, str | None]]:
    for entry in sequence(entries, f"{where}: params"):
        if isinstance(entry, str):
            yield f"{folder}/params.yaml", entry
            continue
        for file, keys in mapping(entry, f"{where}: params").items():
            path = resolve(folder, file, where)
            if not path.endswith((".yaml", ".yml", ".json")):
                raise DocumentError(f"{where}: params: the gate reads YAML and JSON only, not {path}")
            if keys is None:
                yield path, None
            for key in texts(keys, f"{where}: params: {file}"):
                yield path, key
