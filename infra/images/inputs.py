"""What an image is made of, as one hash: equal inputs mean that there is nothing to build."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from images.catalog import Image, images
from images.errors import ImageError
from settings import ROOT, Paths

# Raise it when the builder itself comes to make something else of the same inputs.
FORMAT = 1
ELF = b"\x7fELF"


def requirements_file(group: str) -> Path:
    return ROOT / "requirements" / f"{group}.txt"


def tool(name: str, paths: Paths) -> Path:
    """A program of the toolchain: `<cache>/bin/<name>`. Raises ImageError."""
    path = paths.bin / name
    if not path.is_file():
        raise ImageError(f"{path}: is missing; scripts/up builds the tools, or run python -m toolchain install {name}")
    with path.open("rb") as stream:
        if stream.read(len(ELF)) != ELF:
            raise ImageError(f"{path.resolve()}: is a script, which cannot go into an image; put the real {name} there")
    return path.resolve()


def beside(name: str, relative: str, paths: Paths) -> Path:
    """A file that came with a tool, by its path from the tool's folder. Raises ImageError."""
    path = tool(name, paths).parent / relative
    if not path.is_file():
        raise ImageError(f"{path}: is missing; remove {path.parent} and run python -m toolchain install {name}")
    return path


def host_program(name: str) -> Path:
    """A program that a Debian package put on this machine. Raises ImageError."""
    path = shutil.which(name)
    if not path:
        raise ImageError(f"{name}: is not on PATH; install it with: apt-get install {name}")
    return Path(path).resolve()


def tree(root: Path) -> Iterator[Path]:
    """The files below `root` (or the file itself) that belong in an image, in a stable order."""
    if root.is_file():
        yield root
        return
    if not root.is_dir():
        raise ImageError(f"{_shown(root)}: is missing from the checkout; restore it with git")
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


class Hasher:
    """Hashes inputs. A file's digest is remembered by its size and times, since the tools are hundreds of megabytes."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._memory_file = paths.cache / "images" / "digests.json"
        try:
            self._memory: dict[str, str] = json.loads(self._memory_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._memory = {}
        self._used: dict[str, str] = {}

    def image(self, name: str) -> str:
        """The input hash of an image: 64 hexadecimal digits, the same on every host. Raises ImageError."""
        image = images()[name]
        inputs = {
            "format": FORMAT,
            "recipe": self._trees(_recipe_files(image)),
            "base": self.image(image.base) if image.base else None,
            "upstream": image.upstream,
            "digest": image.digest,
            "arguments": dict(image.arguments),
            "tools": {name: self.file(tool(name, self._paths)) for name in image.tools},
            "beside": {name: self.file(beside(*source, self._paths)) for name, source in image.beside.items()},
            "host": {name: self.file(host_program(name)) for name in image.host},
            "files": {target: self._trees([(source, tree(source))]) for target, source in image.files.items()},
            "requirements": self.file(requirements_file(image.requirements)) if image.requirements else None,
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()

    def file(self, path: Path) -> str:
        """A file's sha256."""
        status = path.stat()
        key = f"{path}:{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"
        if key not in self._used:
            self._used[key] = self._memory.get(key) or _sha256(path)
        return self._used[key]

    def save(self) -> None:
        """Keep what was hashed for the next run, and forget the rest."""
        if self._used != self._memory:
            self._memory_file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._memory_file.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(self._memory | self._used, indent=1), encoding="utf-8")
            temporary.replace(self._memory_file)

    def _trees(self, roots: Iterable[tuple[Path, Iterable[Path]]]) -> list[tuple[str, bool, str]]:
        return [
            (str(path.relative_to(root)), os.access(path, os.X_OK), self.file(path))
            for root, files in roots
            for path in files
        ]


def _recipe_files(image: Image) -> list[tuple[Path, Iterable[Path]]]:
    """The Containerfile and what lies beside it; not what lies deeper, which `files` names where it matters."""
    if not (image.recipe / "Containerfile").is_file():
        raise ImageError(f"{_shown(image.recipe / 'Containerfile')}: is missing from the checkout; restore it with git")
    return [(image.recipe, sorted(path for path in image.recipe.iterdir() if path.is_file()))]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
