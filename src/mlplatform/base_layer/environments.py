"""The Python environments of jobs: made once from a lock, at the place where they are used, and never changed."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlplatform.base_layer import locked, manifest
from mlplatform.base_layer.folders import BaseLayerError, Folders, freeze, say
from mlplatform.base_layer.tools import Tools

# What the jobs of the loop run in, the quickest to make first.
GROUPS = ("ci", "evaluate", "ops", "release", "ml")
# What the repository's own checks run in. Jobs of main make them: scripts/up has nobody wait for them.
CHECKS = ("dev", "dev-ml")
# Files of so many bytes are worth a look whether another environment has them.
_LARGE = 2**20


def key_of(lock: bytes) -> str:
    """What tells a lock from others of its group."""
    return hashlib.sha256(lock).hexdigest()[:12]


def name_of(lock: Path, tag: str = sys.implementation.cache_tag) -> str:
    """How the environment of a lock is named for one version of Python: `ml-0123456789ab-cpython-311`."""
    return f"{lock.stem}-{key_of(lock.read_bytes())}-{tag}"


@dataclass(frozen=True)
class Environments(Folders):
    """The environments in one folder. `hashed`: their manifests hold hashes, and their files are made read-only."""

    hashed: bool

    def make(self, locks: Iterable[Path]) -> list[str]:
        """Make those that are missing; returns their names. Raises BaseLayerError."""
        missing = {name: lock for lock in locks if not self.find(name := name_of(lock))}
        if not missing:
            return []
        with self.alone():
            # Another maker may have made them while this one waited.
            made = [name for name in missing if not self.find(name)]
            for name in made:
                self._make(name, missing[name])
            return made

    def forget_locks(self, locks: Iterable[Path]) -> list[str]:
        """Remove environments that no lock has named for long; returns their names."""
        return self.forget(name_of(lock) for lock in locks)

    def share(self, name: str, recorded: Mapping[str, str]) -> int:
        """Make large files of an environment one with the same ones of others, for torch takes gigabytes; returns the
        bytes that this spares. What is not what its own manifest says is not shared."""
        known: dict[str, Path] = {}
        for other in self.names():
            known |= {digest: self.root / other / path for path, digest in manifest.read(self.manifest(other)).items()}
        spared = 0
        for path, digest in recorded.items():
            own, same = self.root / name / path, known.get(digest)
            if same is None or own.is_symlink() or own.stat().st_size < _LARGE:
                continue
            # Packages that were installed from one cache are one already, and a rename of one to itself does nothing.
            if own.samefile(same):
                continue
            if _is_executable(own) == _is_executable(same) and manifest.entry(same) == digest:
                link = self.scratch / "same"
                os.link(same, link)
                link.replace(own)
                spared += own.stat().st_size
        return spared

    def _make(self, name: str, lock: Path) -> None:
        began = time.monotonic()
        say(f"making the environment {name}")
        venv, scratch = self.root / name, self.scratch
        scratch.mkdir(exist_ok=True)
        uv = _Uv(lock, venv, scratch, self.hashed)
        uv.create()
        uv.install()
        recorded = {}
        if self.hashed:
            recorded = manifest.of(venv)
            self.share(name, recorded)
            freeze(venv)
            # A machine that loses power must not remember the manifest and forget the files.
            os.sync()
            # Files were replaced since they were recorded: by the same ones, or this environment is not to be used.
            if problems := manifest.problems(venv, recorded):
                raise BaseLayerError(
                    f"the environment {name} is not as it was made ({'; '.join(problems)}): make it again"
                )
        manifest.write(self.manifest(name), recorded)
        say(f"made the environment {name} in {time.monotonic() - began:.0f} s")


@dataclass(frozen=True)
class _Uv:
    lock: Path
    venv: Path
    scratch: Path
    own_cache: bool

    def create(self) -> None:
        python = getattr(sys, "_base_executable", sys.executable)
        self._run("venv", "--no-project", "--python", python, str(self.venv))

    def install(self) -> None:
        wheels, sources = locked.split(self.lock.read_text(encoding="utf-8"))
        self._install(wheels, "--only-binary", ":all:")
        if sources:
            self._install(sources, "--no-build-isolation")

    def _install(self, text: str, *options: str) -> None:
        part = self.scratch / self.lock.name
        part.write_text(text, encoding="utf-8")
        python = str(self.venv / "bin" / "python")
        always = ("--require-hashes", "--no-deps", "--compile-bytecode")
        self._run("pip", "install", *always, *options, "--python", python, "--requirement", str(part))

    def _run(self, *arguments: str) -> None:
        environment = {
            **os.environ,
            "UV_PYTHON_DOWNLOADS": "never",
            # Code is never compiled again, in a folder that cannot be written, whatever the clock says of its files.
            "PYC_INVALIDATION_MODE": "UNCHECKED_HASH",
        }
        if self.own_cache:
            # On the same mount, so that packages are linked and not copied; what others cached is not taken.
            environment["UV_CACHE_DIR"] = str(self.scratch / "uv")
        try:
            done = subprocess.run(["uv", "--quiet", *arguments], env=environment, check=False)
        except OSError as error:
            raise BaseLayerError(f"uv cannot be started: {error.strerror}") from None
        if done.returncode:
            raise BaseLayerError(
                f"the environment of requirements/{self.lock.name} could not be made, as the lines above say: check "
                "that the package index answers, and that each package has a wheel for this Python"
            )


@dataclass(frozen=True)
class Place:
    """Where a job finds environments: the base layer, and a folder of its own. `mount` is the runner's /cache."""

    mount: Path

    @property
    def base(self) -> Environments:
        return Environments(self.mount / "base" / "environments", hashed=True)

    @property
    def own(self) -> Environments:
        return Environments(self.mount / "environments", hashed=False)

    @property
    def tools(self) -> Tools:
        return Tools(self.mount / "base" / "tools")

    @property
    def has_base(self) -> bool:
        return (self.mount / "base").is_dir()

    @property
    def may_write(self) -> bool:
        """Whether this job may write to the base layer, which the runner decides by how it mounts it."""
        return os.access(self.mount / "base", os.W_OK)

    def environment(self, lock: Path) -> Path:
        """The environment of a lock, made where it is missing: in the base layer by whoever may. Raises
        BaseLayerError."""
        if not lock.is_file():
            raise _lacks(lock)
        name = name_of(lock)
        if found := self.base.find(name) or self.own.find(name):
            return found
        chosen = self.base if self.may_write else self.own
        if self.has_base and not self.may_write:
            say(f"the base layer has no environment {name}: this job makes its own, which goes with its pod")
        chosen.make([lock])
        return chosen.root / name


def locks(root: Path, groups: Sequence[str] = GROUPS) -> list[Path]:
    """The locks of groups in a checkout. Raises BaseLayerError where one is missing."""
    found = _locks(root, groups)
    for path in found:
        if not path.is_file():
            raise _lacks(path)
    return found


def present(root: Path, groups: Sequence[str] = GROUPS) -> list[Path]:
    """The locks of those groups that a checkout has one of. Raises BaseLayerError where it has none."""
    wanted = _locks(root, groups)
    found = [path for path in wanted if path.is_file()]
    if not found:
        raise _lacks(wanted[0])
    return found


def _locks(root: Path, groups: Sequence[str]) -> list[Path]:
    return [root / "requirements" / f"{group}.txt" for group in groups]


def _lacks(path: Path) -> BaseLayerError:
    return BaseLayerError(f"{path} is missing: it names the packages of an environment; run scripts/lock")


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o111)
