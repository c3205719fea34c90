"""The images that this host built hold Debian and our programs, and nothing of the host's own settings."""

import json
import re
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from images import build, debian
from images.catalog import images
from settings import Paths

pytestmark = pytest.mark.host

BUILT_ON_DEBIAN = [name for name, image in images().items() if image.base]
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s+(.+?)\s+-----END CERTIFICATE-----", re.DOTALL)


@cache
def layout(name: str) -> Path:
    """The image's layout as last used."""
    folder = Paths.from_environment().cache / "images" / name
    layouts = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
    assert layouts, f"{folder}: holds no image; scripts/up makes them"
    return layouts[-1]


def blob(name: str, digest: str) -> Path:
    return layout(name) / "blobs" / "sha256" / digest.removeprefix("sha256:")


def manifest(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(blob(name, build.digest(layout(name))).read_text())
    return document


def built_here(name: str) -> bool:
    configuration = json.loads(blob(name, manifest(name)["config"]["digest"]).read_text())
    return "io.buildah.version" in (configuration["config"].get("Labels") or {})


def files(name: str) -> dict[str, bytes]:
    """The image's settings and certificates by path; a later layer's file hides an earlier one's."""
    found: dict[str, bytes] = {}
    for layer in manifest(name)["layers"]:
        with tarfile.open(blob(name, layer["digest"])) as archive:
            for member in archive:
                path = member.name.removeprefix("./")
                if path.startswith(("etc/", "mnt/", "usr/share/ca-certificates/")):
                    stream = archive.extractfile(member) if member.isfile() else None
                    found[path] = stream.read() if stream else b""
    return found


@pytest.fixture(scope="module", params=BUILT_ON_DEBIAN)
def contents(request: pytest.FixtureRequest) -> dict[str, bytes]:
    name: str = request.param
    if not built_here(name):
        pytest.skip(f"{name} was pulled from upstream, whose matter its contents are")
    return files(name)


def test_only_debians_authorities_are_trusted(contents: dict[str, bytes]) -> None:
    shipped = {
        certificate
        for path, content in contents.items()
        if path.startswith("usr/share/ca-certificates/")
        for certificate in CERTIFICATE.findall(content)
    }
    trusted = set(CERTIFICATE.findall(contents["etc/ssl/certs/ca-certificates.crt"]))
    assert trusted
    assert trusted <= shipped


def test_no_setting_of_the_hosts_apt_stays(contents: dict[str, bytes]) -> None:
    assert contents["etc/apt/sources.list"] == b""
    assert not [path for path in contents if path.startswith("etc/apt/sources.list.d/") and contents[path]]
    mirror = debian.host_mirror().archive.encode()
    assert not [path for path, content in contents.items() if mirror in content]
    assert "etc/apt/apt.conf.d/99mmdebstrap" not in contents
    assert not [path for path in contents if path.startswith("mnt/") and path != "mnt/"]


def test_no_name_of_the_host_stays(contents: dict[str, bytes]) -> None:
    assert not {"etc/hostname", "etc/resolv.conf", "etc/machine-id"} & {path for path in contents if contents[path]}
