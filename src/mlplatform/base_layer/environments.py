"""The Python environments of jobs: made once from a lock, at the place where they are used, and never changed.

An environment that has its manifest beside it is whole. One maker works at a time; the kernel lets go of its lock
however it ends, and what it left without a manifest is removed by the next.
"""

import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlplatform.base_layer import locked, manifest

# What jobs run in, the quickest to make first.
GROUPS = ("ci", "evaluate", "ops", "release", "ml")
DAY = 24 * 3600
# How long what main names no more is kept, for branches that still do.
KEPT_SECONDS = 14 * DAY
_SCRATCH = ".making"
_SUFFIX = ".json"


class BaseLayerError(Exception):
    """An environment cannot be made; the message says what to do."""


def say(text: str) -> None:
    """A line of a job's log."""
    print(text, file=sys.stderr, flush=True)


def key_of(lock: bytes) -> str:
    """What tells a lock from others of its group."""
    return hashlib.sha256(lock).hexdigest()[:12]


def name_of(lock: Path, tag: str = sys.implementation.cache_tag) -> str:
    """How the environment of a lock is named for one version of Python: `ml-0123456789ab-cpython-311`."""
    return f"{lock.stem}-{key_of(lock.read_bytes())}-{tag}"


@dataclass(frozen=True)
class Environments:
    """The environments in one folder. `hashed`: their manifests hold hashes, and their files are made read-only."""

    root: Path
    hashed: bool

    def find(self, name: str) -> Path | None:
        """The folder of a whole environment."""
        return self.root / name if self._manifest(name).is_file() else None

    def make(self, locks: Iterable[Path]) -> list[str]:
        """Make those that are missing; returns their names. Raises BaseLayerError."""
        missing = {name: lock for lock in locks if not self.find(name := name_of(lock))}
        if not missing:
            return []
        with self._alone():
            # Another maker may have made them while this one waited.
            made = [name for name in missing if not self.find(name)]
            for name in made:
                self._make(name, missing[name])
            return made

    def check(self) -> dict[str, list[str]]:
        """Hold every environment against its manifest, remove those that differ and say how, by name."""
        with self._alone():
            found = {}
            for path in sorted(self.root.glob(f"*{_SUFFIX}")):
                name = path.name.removesuffix(_SUFFIX)
                try:
                    wrong = manifest.problems(self.root / name, manifest.read(path))
                except (OSError, ValueError) as error:
                    wrong = [str(error)]
                if wrong:
                    found[name] = wrong
                    self.remove(name)
            return found

    def forget(self, locks: Iterable[Path], seconds: float = KEPT_SECONDS) -> list[str]:
        """Remove environments that no lock has named for so long, by this function's own calls; returns their names.

        The manifest's time of change says when its environment was named last, for whoever made it named it then.
        """
        with self._alone():
            named = {name_of(lock) for lock in locks}
            removed = []
            for path in sorted(self.root.glob(f"*{_SUFFIX}")):
                name = path.name.removesuffix(_SUFFIX)
                if name in named:
                    os.utime(path)
                elif time.time() - path.stat().st_mtime > seconds:
                    self.remove(name)
                    removed.append(name)
            return removed

    def remove(self, name: str) -> None:
        """Remove an environment: first what says that it is whole."""
        self._manifest(name).unlink(missing_ok=True)
        _remove(self.root / name)

    def _manifest(self, name: str) -> Path:
        return self.root / f"{name}{_SUFFIX}"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        # Whoever can open a file can lock it, also where he cannot write; so nobody may open it for reading.
        with os.fdopen(os.open(self.root / ".lock", os.O_WRONLY | os.O_CREAT, 0o200), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another job makes environments: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._tidy()
            try:
                yield
            finally:
                _remove(self.root / _SCRATCH)

    def _tidy(self) -> None:
        """Remove what a maker left that was killed."""
        for path in self.root.iterdir():
            if path.name == _SCRATCH or (path.is_dir() and not self._manifest(path.name).exists()):
                _remove(path)

    def _make(self, name: str, lock: Path) -> None:
        began = time.monotonic()
        say(f"making the environment {name}")
        venv, scratch = self.root / name, self.root / _SCRATCH
        scratch.mkdir(exist_ok=True)
        uv = _Uv(lock, venv, scratch, self.hashed)
        uv.create()
        uv.install()
        recorded = {}
        if self.hashed:
            _freeze(venv)
            recorded = manifest.of(venv)
            # A machine that loses power must not remember the manifest and forget the files.
            os.sync()
        manifest.write(self._manifest(name), recorded)
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
    def has_base(self) -> bool:
        return (self.mount / "base").is_dir()

    @property
    def may_write(self) -> bool:
        """Whether this job may write to the base layer, which the runner decides by how it mounts it."""
        return os.access(self.mount / "base", os.W_OK)

    def environment(self, lock: Path) -> Path:
        """The environment of a lock, made where it is missing: in the base layer by whoever may. Raises
        BaseLayerError."""
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
    found = [root / "requirements" / f"{group}.txt" for group in groups]
    for path in found:
        if not path.is_file():
            raise BaseLayerError(f"{path} is missing: it names the packages of an environment; run scripts/lock")
    return found


def _freeze(folder: Path) -> None:
    """Take away the right to write, so that nothing is changed by mistake."""
    for top, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(top, name)
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~0o222)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        for top, folders, _ in os.walk(path):
            Path(top).chmod(0o700)
            for name in folders:
                if not Path(top, name).is_symlink():
                    Path(top, name).chmod(0o700)
        shutil.rmtree(path)
