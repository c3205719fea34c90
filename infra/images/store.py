"""Brings images into the local registry: present, else from the cache, else pulled, else built; then pushed."""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from images import build, upstream
from images.catalog import Image, images
from images.errors import ImageError
from images.inputs import Hasher, tool
from images.registry import Registry
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


class Store:
    """The images of one cache directory. Made by `opened`, which lets one run at a time work on it."""

    def __init__(self, paths: Paths, report: Callable[[str], None], refresh: bool) -> None:
        self.root = paths.cache / "images"
        self._paths = paths
        self._report = report
        self._refresh = refresh
        self._fresh: set[str] = set()
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
        with ThreadPoolExecutor(WORKERS) as pool:
            for future in [pool.submit(self._bring, images()[name], registry) for name in names]:
                try:
                    outcomes.append(future.result())
                except ImageError as error:
                    problems.append(str(error))
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
            registry.push(layout, image.repository, [image.tag, inputs_tag])
            how += ", pushed"
        seconds = time.monotonic() - started
        self._report(f"image {image.path}: {how} ({build.size(layout) / 1e6:.1f} MB, {seconds:.1f} s)")
        return Outcome(image.name, digest, changed)

    def _layout(self, image: Image, inputs: str) -> tuple[Path, str]:
        """The OCI layout of an image, made if need be, and how it was had."""
        target = self.root / image.name / inputs
        with self._locks[image.name]:
            if target.is_dir() and (image.name in self._fresh or not self._refresh):
                os.utime(target)
                return target, "cached"
            work = self._work / image.name
            made = work / "layout"
            work.mkdir(parents=True)
            if upstream.pull(image, made, tool("crane", self._paths)):
                how = "pulled"
            else:
                base = self._layout(images()[image.base], self._hasher.image(image.base))[0] if image.base else None
                if not image.pushed:
                    self._report(f"image {image.path}: building, which takes a minute")
                build.build(image, base, work, made, self._paths)
                how = "built"
            target.parent.mkdir(exist_ok=True)
            build.remove(target)
            made.rename(target)
            build.remove(work)
            self._fresh.add(image.name)
            self._forget_older(target.parent)
            return target, how

    def _forget_older(self, folder: Path) -> None:
        newest_first = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for layout in newest_first[KEPT:]:
            build.remove(layout)
