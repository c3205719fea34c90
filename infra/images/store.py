"""Brings images into the local registry: present, else from the cache, else pulled, else built; then pushed."""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock

from images import build, commands, upstream
from images.catalog import Image, images
from images.errors import ImageError
from images.inputs import Hasher, tool
from images.registry import Registry
from mlplatform.toolchain import first_use
from mlplatform.toolchain.first_use import FirstUse, Trusted, TrustError
from settings import Paths

# Two at a time: one waits for the network or the disk while the other computes.
WORKERS = 2
# Layouts of an image that stay in the cache: the current one, and one for a checkout that goes back.
KEPT = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one image: its digest, and whether the registry had to change for it."""

    name: str
    digest: str
    changed: bool


def trusted(paths: Paths) -> list[Trusted]:
    """Upstream's images that this host trusts because it used them first. Raises TrustError."""
    known = {entry.name: entry for entry in FirstUse(paths.state / first_use.FILE).all()}
    return [known[image.upstream] for image in images().values() if not image.digest and image.upstream in known]


class Store:
    """The images of one cache directory. Made by `opened`, which lets one run at a time work on it."""

    def __init__(self, paths: Paths, report: Callable[[str], None], refresh: bool) -> None:
        self.root = paths.cache / "images"
        self._paths = paths
        self._report = report
        self._refresh = refresh
        self._fresh: set[str] = set()
        self._failed: dict[str, ImageError] = {}
        self._noticed = Event()
        self._first_use = FirstUse(paths.state / first_use.FILE)
        self._hasher = Hasher(paths)
        self._locks: Mapping[str, Lock] = {name: Lock() for name in images()}

    @classmethod
    @contextmanager
    def opened(cls, paths: Paths, report: Callable[[str], None], refresh: bool = False) -> Iterator["Store"]:
        """A store that only this run works on; waits for another run. Clears what a killed run left.

        With `refresh` every image is made again, for newer Debian packages.
        """
        store = cls(paths, report, refresh)
        store.root.mkdir(parents=True, exist_ok=True)
        with (store.root / "lock").open("w") as lock:
            os.set_inheritable(lock.fileno(), True)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report("images: another run is at work; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            build.remove(store._work)
            try:
                yield store
            finally:
                build.remove(store._work)
                store._hasher.save()

    def bring(self, names: Iterable[str], registry: Registry | None) -> list[Outcome]:
        """See that `registry` holds each named image, or that the cache does where it is None.

        Raises ImageError once all are tried.
        """
        outcomes, problems = [], []
        pool = ThreadPoolExecutor(WORKERS)
        try:
            for future in [pool.submit(self._bring, images()[name], registry) for name in names]:
                try:
                    outcomes.append(future.result())
                except ImageError as error:
                    problems.append(str(error))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            commands.stop_all()
            raise
        finally:
            pool.shutdown()
        if problems:
            raise ImageError("\n".join(dict.fromkeys(problems)))
        return outcomes

    @property
    def _work(self) -> Path:
        return self.root / "work"

    def _bring(self, image: Image, registry: Registry | None) -> Outcome:
        started = time.monotonic()
        inputs = self._hasher.image(image.name)
        # The second tag says of which inputs the first was made, also to a host that lost its cache.
        inputs_tag = f"inputs-{inputs[:16]}"
        if registry and not self._refresh:
            held = registry.digest(image.repository, inputs_tag)
            if held and held == registry.digest(image.repository, image.tag):
                self._report(f"image {image.path}: present")
                return Outcome(image.name, held, False)
        layout, how = self._layout(image, inputs)
        digest = build.digest(layout)
        changed = False
        if registry:
            changed = registry.digest(image.repository, image.tag) != digest
            registry.push(layout, image.repository, [image.tag, inputs_tag], self._work)
            how += ", pushed"
        seconds = time.monotonic() - started
        self._report(f"image {image.path}: {how} ({build.size(layout) / 1e6:.1f} MB, {seconds:.1f} s)")
        return Outcome(image.name, digest, changed)

    def _layout(self, image: Image, inputs: str) -> tuple[Path, str]:
        """The OCI layout of an image, made if need be, and how it was had."""
        target = self.root / image.name / inputs
        with self._locks[image.name]:
            if build.intact(target) and (image.name in self._fresh or not self._refresh):
                os.utime(target)
                return target, "cached"
            if image.name in self._failed:
                raise self._failed[image.name]
            work = self._work / image.name
            made = work / "layout"
            work.mkdir(parents=True)
            try:
                how = "pulled" if self._pull(image, made) else self._build(image, work, made)
            except ImageError as error:
                self._failed[image.name] = error
                raise
            target.parent.mkdir(exist_ok=True)
            build.remove(target)
            made.rename(target)
            build.remove(work)
            self._fresh.add(image.name)
            self._forget_older(target.parent)
            return target, how

    def _build(self, image: Image, work: Path, target: Path) -> str:
        base = self._layout(images()[image.base], self._hasher.image(image.base))[0] if image.base else None
        if not image.pushed:
            self._report(f"image {image.path}: building, which takes a minute")
        log = self.root / "logs" / f"{image.name}.log"
        log.parent.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        build.build(image, base, work, target, log=log, paths=self._paths)
        return "built"

    def _pull(self, image: Image, target: Path) -> bool:
        if not image.registry:
            return False
        try:
            self._pull_by_digest(image, target, tool("crane", self._paths))
        except (ImageError, TrustError) as error:
            build.remove(target)
            # Said once: where one registry cannot be reached, the others mostly cannot either.
            if not self._noticed.is_set():
                self._noticed.set()
                self._report(f"images: {error}; building what cannot be pulled")
            return False
        return True

    def _pull_by_digest(self, image: Image, target: Path, crane: Path) -> None:
        """By the pinned digest; without one by that which the tag had when this host first used it."""
        if image.digest:
            upstream.pull(image, target, crane)
            return
        known = self._first_use.get(image.upstream)
        digest = f"sha256:{known.sha256}" if known else upstream.current_digest(image, crane)
        self._first_use.check_writable()
        upstream.pull(replace(image, digest=digest), target, crane)
        self._first_use.record(image.upstream, digest.removeprefix("sha256:"), image.registry)

    def _forget_older(self, folder: Path) -> None:
        newest_first = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for layout in newest_first[KEPT:]:
            build.remove(layout)
