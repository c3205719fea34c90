"""Root file systems as base images with Python leave them, and the start of a program in one as in a container."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VERSION = "python{}.{}".format(*sys.version_info)
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_SYSTEM = f"/usr/sbin:/sbin:{os.defpath}"


@dataclass(frozen=True)
class Base:
    """A base image: below which folder its Python lies, other names of it, and the `Env` of its configuration."""

    prefix: str
    links: Mapping[str, str]
    environment: Mapping[str, str]


# As docker.io/library/python is made: nothing of Python below /usr but in /usr/local.
UPSTREAM = Base(
    "usr/local",
    {"usr/local/bin/python3": VERSION, "usr/local/bin/python": "python3"},
    {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
)
# As infra/images/python is made: Debian's, with links at upstream's places.
OWN = Base(
    "usr",
    {
        "usr/bin/python3": VERSION,
        **{f"usr/local/bin/{name}": f"/usr/bin/{VERSION}" for name in ("python", "python3", VERSION)},
    },
    {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
)
# Python, the libraries it needs, and nowhere else to look for programs.
DISTROLESS = Base("usr", {}, {"PATH": "/usr/bin"})


def lay_out(base: Base, root: Path) -> None:
    """Put this process's own Python, without packages, where `base` has its own."""
    prefix = root / base.prefix
    (prefix / "bin").mkdir(parents=True, exist_ok=True)
    program = Path(sys.base_prefix, "bin", VERSION)
    shutil.copy(program, prefix / "bin" / VERSION)
    for name, target in base.links.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    library = prefix / "lib" / VERSION
    unwanted = shutil.ignore_patterns("__pycache__", "config-*", "dist-packages", "site-packages", "test", "idlelib")
    shutil.copytree(sysconfig.get_paths()["stdlib"], library, ignore=unwanted, symlinks=True)
    _add_libraries(root, [program, *library.rglob("*.so"), *root.rglob("opt/**/*.so")])
    for folder in ("proc", "sys", "dev", "tmp"):
        (root / folder).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    root.chmod(0o755)


def command(root: Path, entry_point: Sequence[str]) -> list[str]:
    """What starts `entry_point` with `root` as its root file system, as no one special where this process is root.

    Its name is looked for on the PATH of the environment that the command gets, inside `root`.
    """
    if os.geteuid() == 0:
        return [_program("chroot"), "--userspec=1000:1000", str(root), *entry_point]
    return [_program("unshare"), "--map-root-user", _program("chroot"), str(root), *entry_point]


def _program(name: str) -> str:
    found = shutil.which(name, path=_SYSTEM)
    assert found, f"{name} is on no Debian's path"
    return found


def _add_libraries(root: Path, programs: Sequence[Path]) -> None:
    """The shared libraries that these load, beside none of their packages, and the loader's list of them."""
    done = subprocess.run([_program("ldd"), *map(str, programs)], capture_output=True, text=True)
    found = {Path(name) for name in _LIBRARY.findall(done.stdout) if not Path(name).is_relative_to(root)}
    for library in found:
        # A Python of one's own brings its library along; here that lies where ldconfig puts it.
        place = Path("/usr/local/lib") if library.is_relative_to(sys.base_prefix) else library.parent
        target = root / place.relative_to("/") / library.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (root / "etc").mkdir(exist_ok=True)
    folders = sorted({str(library.parent) for library in found if library.parts[1] != "root"} | {"/usr/local/lib"})
    (root / "etc" / "ld.so.conf").write_text("\n".join(folders) + "\n")
    build = [_program("ldconfig"), "-r", str(root)]
    if os.geteuid() != 0:
        build = [_program("unshare"), "--map-root-user", *build]
    subprocess.run(build, check=True, capture_output=True)
