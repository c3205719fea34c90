"""Whether a `dvc.lock` is fresh: it records what `dvc.yaml`, its dependencies and parameters are now.

Says the same as `dvc status`, from the files of a commit alone and in milliseconds. Where it differs it errs on the
side of stale, so a lock is never called fresh by mistake.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ci.document import DocumentError, mapping, parse_yaml, resolve, sequence
from ci.pipeline import PIPELINE, Output, Pipeline, Stage
from ci.tree import Tree


def problems(tree: Tree, pipeline: Pipeline) -> list[str]:
    """Why the pipeline's lock is not fresh in `tree`, one sentence each; empty when it is."""
    text = tree.read(pipeline.lock_path)
    if text is None:
        return [f"{pipeline.lock_path} is missing"]
    try:
        locked = _locked_stages(text, pipeline.lock_path)
    except DocumentError as error:
        return [str(error)]
    found = [f"stage {name}: in the lock but not in {PIPELINE}" for name in locked if name not in _names(pipeline)]
    outputs = {output.path: output for stage in pipeline.stages for output in stage.outputs}
    hashes = {path: entry.md5 for stage in locked.values() for path, entry in stage.outputs.items()}
    for stage in pipeline.stages:
        if stage.name not in locked:
            found.append(f"stage {stage.name}: never run")
            continue
        found += [
            f"stage {stage.name}: {why}" for why in _stage_problems(tree, stage, locked[stage.name], outputs, hashes)
        ]
    return found


def remote_objects(tree: Tree, pipeline: Pipeline) -> dict[str, str]:
    """MD5 by path (with `.dir` for a folder) of the outputs that must lie in DVC's remote."""
    text = tree.read(pipeline.lock_path)
    if text is None:
        return {}
    locked = _locked_stages(text, pipeline.lock_path)
    cached = {output.path for stage in pipeline.stages for output in stage.outputs if output.cached}
    return {path: entry.md5 for stage in locked.values() for path, entry in stage.outputs.items() if path in cached}


def tracked_inputs(tree: Tree, pipeline: Pipeline) -> dict[str, str]:
    """MD5 by path (with `.dir` for a folder) of the inputs that `.dvc` files track."""
    texts = {path: tree.read(f"{path}.dvc") for path in sorted(pipeline.inputs())}
    return {path: pointer(text, path).md5 for path, text in texts.items() if text is not None}


@dataclass(frozen=True, slots=True)
class _Entry:
    md5: str


@dataclass(frozen=True, slots=True)
class _LockedStage:
    command: Any
    dependencies: dict[str, _Entry]
    parameters: dict[str, dict[str, Any]]
    outputs: dict[str, _Entry]


def _names(pipeline: Pipeline) -> set[str]:
    return {stage.name for stage in pipeline.stages}


def _stage_problems(
    tree: Tree, stage: Stage, locked: _LockedStage, outputs: dict[str, Output], hashes: dict[str, str]
) -> Iterator[str]:
    if stage.command != locked.command:
        yield "its command changed"
    for path in sorted(set(stage.dependencies) ^ set(locked.dependencies)):
        yield f"dependency {path} was {'added' if path in stage.dependencies else 'removed'}"
    for path in stage.dependencies:
        if path not in locked.dependencies:
            continue
        # Another stage's output is what that stage's entry says; it may lie in DVC's remote.
        now = hashes.get(path) if path in outputs else _md5(tree, path)
        if now is None:
            yield f"dependency {path} is missing"
        elif now != locked.dependencies[path].md5:
            yield f"dependency {path} changed"
    yield from _parameter_problems(tree, stage, locked)
    for path in sorted({output.path for output in stage.outputs} ^ set(locked.outputs)):
        yield f"output {path} is {'not in the lock' if path not in locked.outputs else 'no longer written'}"
    for output in stage.outputs:
        if output.path in locked.outputs and not output.cached:
            now = _md5(tree, output.path)
            if now is None:
                yield f"output {output.path} is missing"
            elif now != locked.outputs[output.path].md5:
                yield f"output {output.path} is not the one that the lock records"


def _parameter_problems(tree: Tree, stage: Stage, locked: _LockedStage) -> Iterator[str]:
    wanted: dict[str, set[str | None]] = {}
    for file, key in stage.parameters:
        wanted.setdefault(file, set()).add(key)
    for file in sorted(set(locked.parameters) - set(wanted)):
        yield f"parameters of {file} are no longer read"
    for file, keys in sorted(wanted.items()):
        text = tree.read(file)
        if text is None:
            yield f"{file} is missing"
            continue
        content = mapping(parse_yaml(text, file), file)
        now = dict(content) if None in keys else {}
        for key in keys - {None}:
            assert key is not None
            try:
                now[key] = _lookup(content, key)
            except KeyError:
                yield f"{file} has no parameter {key}"
        recorded = locked.parameters.get(file, {})
        # A top-level key of YAML may be a number or a date, which do not sort among texts.
        for key in sorted(set(now) | set(recorded), key=str):
            if key not in recorded:
                yield f"parameter {key} was added"
            elif key not in now:
                yield f"parameter {key} was removed"
            elif not _same(now[key], recorded[key]):
                yield f"parameter {key} changed"


def _same(one: Any, other: Any) -> bool:
    """Equal in value and type; `==` alone takes 1, 1.0 and True for equal."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        typed = {(type(key), key): value for key, value in other.items()}
        return len(one) == len(other) and all(
            (type(key), key) in typed and _same(value, typed[type(key), key]) for key, value in one.items()
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return repr(one) == repr(other)  # also for what is not equal to itself: .nan


def _lookup(content: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(content, dict) or part not in content:
            raise KeyError(key)
        content = content[part]
    return content


def _md5(tree: Tree, path: str) -> str | None:
    """The hash that DVC gives a path: that of a file, of a folder, or the recorded one of what a `.dvc` file tracks."""
    content = tree.read(path)
    if content is not None:
        return _digest(content)
    text = tree.read(f"{path}.dvc")
    if text is not None:
        return pointer(text, path).md5
    files = tree.files(path)
    if not files:
        return None
    entries = []
    for name in files:
        text = tree.read(name)
        if text is None:
            return None
        entries.append({"md5": _digest(text), "relpath": name.removeprefix(f"{path}/")})
    entries.sort(key=lambda entry: entry["relpath"])
    return _digest(json.dumps(entries, sort_keys=True).encode()) + ".dir"


def _digest(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a `.dvc` file says of its path: the MD5 (with `.dir` for a folder), the size in bytes where it says one, and
    the remote where it is not the default one."""

    md5: str
    size: int | None = None
    remote: str = ""


def pointer(text: bytes, path: str) -> Pointer:
    """Read the `.dvc` file of a path. Raises `DocumentError`."""
    source = f"{path}.dvc"
    entries = mapping(parse_yaml(text, source), source).get("outs")
    name = PurePosixPath(path).name
    if isinstance(entries, list):
        for entry in entries:
            if isinstance(entry, dict) and entry.get("path") == name and isinstance(entry.get("md5"), str):
                size, remote = entry.get("size"), entry.get("remote")
                return Pointer(entry["md5"], size if type(size) is int else None, str(remote or ""))
    raise DocumentError(f"{source}: names no hash of {name}: run dvc add {path}")


def _locked_stages(text: bytes, source: str) -> dict[str, _LockedStage]:
    content = mapping(parse_yaml(text, source), source)
    if content.get("schema") != "2.0":
        raise DocumentError(f"{source}: schema must be '2.0': write it with dvc repro")
    folder = str(PurePosixPath(source).parent)
    stages = {}
    for name, entry in mapping(content.get("stages") or {}, f"{source}: stages").items():
        where = f"{source}: stage {name}"
        stage = mapping(entry, where)
        parameters = {
            resolve(folder, file, where): mapping(values or {}, f"{where}: params")
            for file, values in mapping(stage.get("params") or {}, f"{where}: params").items()
        }
        dependencies, outputs = (_entries(folder, stage.get(key), f"{where}: {key}") for key in ("deps", "outs"))
        stages[str(name)] = _LockedStage(stage.get("cmd"), dependencies, parameters, outputs)
    return stages


def _entries(folder: str, entries: Any, where: str) -> dict[str, _Entry]:
    found = {}
    for entry in sequence(entries, where):
        md5 = mapping(entry, where).get("md5")
        plain = md5.removesuffix(".dir") if isinstance(md5, str) else ""
        if entry.get("hash") != "md5" or len(plain) != 32 or set(plain) - set("0123456789abcdef"):
            raise DocumentError(f"{where}: {entry.get('path')}: needs hash md5 and an MD5 of 32 hexadecimal digits")
        found[resolve(folder, entry.get("path"), where)] = _Entry(str(md5))
    return found
