"""Package a trained model for release: a Bento, and the two reproducible image layers that hold it.

The layer of dependencies follows `requirements/serve.txt` alone, so it is stored, pushed and pulled once; the layer of
the Bento is small. Both unpack under `/opt/classifier` on a base image that has Python 3.11 anywhere on its PATH. On
one machine the same input gives the same bytes; packages for another processor, or another zlib, may give others.
"""

import argparse
import compileall
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from py_compile import PycInvalidationMode

from digits.errors import UserError, run

PYTHON = (3, 11)
HOME = Path("/opt/classifier")
SITE_PACKAGES = HOME / "site-packages"
# Without a folder: whoever starts the image looks on its PATH, which the base sets to where its own Python is. With the
# version: another one could not load what was compiled for this one.
ENTRYPOINT = ("python" + ".".join(map(str, PYTHON)), str(HOME / "bento" / "src" / "run.py"))
ENVIRONMENT = {
    "PYTHONPATH": str(SITE_PACKAGES),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "BENTOML_HOME": "/tmp/bentoml",  # noqa: S108 - the only place that a read-only root file system leaves writable
    "BENTOML_DO_NOT_TRACK": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}
USER = "1000:1000"
PORT = 3000

SERVICE = Path(__file__).resolve().parents[2] / "service"
PACKAGE_MODULES = ("__init__.py", "errors.py", "picture.py")
"""What the service needs of `digits`."""
TIME = 0  # seconds since 1970; the time of every file in a layer
CREATED = re.compile(r"^(\s*creation_time: ).*$", re.MULTILINE)
UNUSED = ("tests", "test", "__pycache__")
"""Directories of packages that a server never imports."""


def digest(path: Path) -> str:
    """Return `sha256:<hex>` of a file; of a model it is what the service reports as `model_digest`."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def package(model_dir: Path, requirements: Path, out: Path) -> Path:
    """Build the Bento of `model_dir/model.onnx` into the missing directory `out` and return `out`.

    Its version follows from the model, the service's code and the requirements. `bentoml serve <out>` serves it too.

    Raises:
        UserError: the model or the requirements are missing, `out` exists, or BentoML refuses the service.
    """
    model = model_dir / "model.onnx"
    for path, fix in ((model, "fetch it with `dvc pull`"), (requirements, "restore it from git")):
        if not path.is_file():
            raise UserError(f"{path}: missing; {fix}")
    if out.exists():
        raise UserError(f"{out}: exists already; name a path that does not")
    with tempfile.TemporaryDirectory() as scratch:
        context, home = Path(scratch, "context"), Path(scratch, "home")
        (context / "digits").mkdir(parents=True)
        for name in ("service.py", "run.py", "index.html", "README.md"):
            shutil.copyfile(SERVICE / name, context / name)
        for name in PACKAGE_MODULES:
            shutil.copyfile(Path(__file__).with_name(name), context / "digits" / name)
        shutil.copyfile(requirements, context / "requirements.txt")
        built = subprocess.run(
            [sys.executable, str(SERVICE / "build.py"), str(context), str(model.resolve()), _version(context, model)],
            env=os.environ | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "true"},
            capture_output=True,
            text=True,
        )
        if built.returncode:
            raise UserError(f"{SERVICE / 'service.py'}: BentoML cannot build it:\n{built.stderr.strip()}")
        bento = Path(built.stdout.strip().splitlines()[-1])
        shutil.copytree(bento, out, ignore=shutil.ignore_patterns(*UNUSED))
        shutil.copytree(home / "models", out / "models")
    for document in (out / "bento.yaml", *out.glob("models/*/*/model.yaml")):
        document.write_text(CREATED.sub(r"\g<1>'1970-01-01T00:00:00+00:00'", document.read_text()))
    return out


def _version(context: Path, model: Path) -> str:
    files = [model, *sorted(path for path in context.rglob("*") if path.is_file())]
    return hashlib.sha256("".join(map(digest, files)).encode()).hexdigest()[:12]


def dependencies_layer(requirements: Path, cache: Path) -> Path:
    """Return the layer of the locked packages, `cache/<name by the lock's hash>.tar.gz`, made if it is not there.

    Raises:
        UserError: another Python than 3.11 runs this, or uv cannot install the packages.
    """
    if sys.version_info[:2] != PYTHON:
        raise UserError(f"python {sys.version.split()[0]} cannot compile for the image; run this with Python 3.11")
    recipe = digest(requirements) + digest(Path(__file__))
    layer = cache / f"dependencies-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar.gz"
    if layer.exists():
        return layer
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        target = Path(scratch, "site-packages")
        command = ["uv", "pip", "install", "--quiet", "--no-config", "--require-hashes", "--only-binary", ":all:"]
        command += ["--python", sys.executable, "--target", str(target), "--requirement", str(requirements)]
        if subprocess.run(command).returncode:
            raise UserError(f"{requirements}: uv cannot install it (see above); refresh the lock or check the network")
        for name in UNUSED:
            for directory in list(target.rglob(name)):
                shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(target / "bin", ignore_errors=True)  # scripts that name this machine's Python
        (target / ".lock").unlink(missing_ok=True)
        _compile(target, SITE_PACKAGES)
        _write_layer({SITE_PACKAGES: target}, layer)
    return layer


def bento_layer(bento: Path, layer: Path) -> Path:
    """Write the layer of a Bento that `package` made to `layer` (.tar.gz) and return it."""
    _compile(bento / "src", HOME / "bento" / "src")
    _write_layer({HOME / "bento": bento}, layer)
    return layer


def _compile(directory: Path, final: Path) -> None:
    """Compile for the place where the files will lie, valid whatever their time stamps are."""
    compileall.compile_dir(
        directory, stripdir=directory, prependdir=final, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )


def _write_layer(content: dict[Path, Path], layer: Path) -> None:
    """Write directories as a gzipped tar: sorted, owned by root, one time stamp, no group or other write."""
    layer.parent.mkdir(parents=True, exist_ok=True)
    partial = layer.with_name(f".{layer.name}.{os.getpid()}")
    with (
        partial.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=TIME) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for place, source in content.items():
            for parent in reversed([place, *list(place.parents)[:-1]]):
                archive.addfile(_entry(parent, tarfile.DIRTYPE, 0o755))
            for path in sorted(source.rglob("*")):
                name = place / path.relative_to(source)
                if path.is_symlink():
                    entry = _entry(name, tarfile.SYMTYPE, 0o777)
                    entry.linkname = str(path.readlink())
                    archive.addfile(entry)
                elif path.is_dir():
                    archive.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
                else:
                    entry = _entry(name, tarfile.REGTYPE, 0o755 if path.stat().st_mode & 0o100 else 0o644)
                    entry.size = path.stat().st_size
                    with path.open("rb") as file:
                        archive.addfile(entry, file)
    partial.replace(layer)  # a killed run leaves no half-written layer under the final name


def _entry(name: Path, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(str(name).lstrip("/"))
    entry.type, entry.mode, entry.mtime = kind, mode, TIME
    entry.uname = entry.gname = "root"
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description="Package a trained model as two image layers.")
    parser.add_argument("model", type=Path, help="directory with model.onnx")
    parser.add_argument("requirements", type=Path, help="locked packages of the service (requirements/serve.txt)")
    parser.add_argument("out", type=Path, help="directory for bento/ and bento.tar.gz")
    parser.add_argument("--cache", type=Path, help="directory that keeps the layer of dependencies (default: OUT)")
    arguments = parser.parse_args()
    bento = package(arguments.model, arguments.requirements, arguments.out / "bento")
    print(bento_layer(bento, arguments.out / "bento.tar.gz"))
    print(dependencies_layer(arguments.requirements, arguments.cache or arguments.out))


if __name__ == "__main__":
    run(main)
