"""Builds one image with buildah, without a daemon, into an OCI layout."""

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

from images import debian
from images.catalog import Image
from images.commands import run
from images.inputs import beside, host_program, requirements_file, tool
from settings import Paths

# Times in images: equal inputs give equal bytes. Zip files cannot say anything before 1980.
TIMESTAMP = 315_619_200
CAP_NET_BIND_SERVICE = 10


def build(image: Image, base: Path | None, work: Path, target: Path, *, log: Path, paths: Paths) -> None:
    """Build `image` upon the OCI layout `base` into the OCI layout `target`.

    `work` is an empty directory on the same disk; what the programs say goes to `log`. Raises ImageError.
    """
    context = work / "context"
    _fill_context(image, context, work, log, paths)
    volumes: list[str] = []
    if image.base:
        packages = work / "packages"
        debian.write_settings(packages, debian.host_mirror())
        volumes = [f"--volume={packages}:{debian.MOUNT}:ro"]
    if base:
        # A name without the cache's path, which would end up in the image's history and so in its digest.
        (work / "base").symlink_to(base)
    environment = _private_storage(work)
    policy = f"--signature-policy={work}/policy.json"
    run(
        [
            "buildah",
            "bud",
            policy,
            "--format=oci",
            "--layers=false",
            f"--timestamp={TIMESTAMP}",
            *volumes,
            *(["--from=oci:base"] if base else []),
            *(f"--build-arg={name}={value}" for name, value in image.arguments.items()),
            f"--tag={image.name}:built",
            str(context),
        ],
        image.name,
        log=log,
        environment=environment,
        folder=work,
    )
    run(
        ["buildah", "push", policy, f"{image.name}:built", f"oci:{target}"],
        image.name,
        log=log,
        environment=environment,
    )
    if base:
        _share_blobs(target, base)


def digest(layout: Path) -> str:
    """The manifest digest of the one image in an OCI layout."""
    index = json.loads((layout / "index.json").read_text(encoding="utf-8"))
    (manifest,) = index["manifests"]
    value: str = manifest["digest"]
    return value


def intact(layout: Path) -> bool:
    """Whether an OCI layout has every blob in full, which a power cut may have undone."""
    try:
        blobs = layout / "blobs" / "sha256"
        manifest = json.loads((blobs / digest(layout).removeprefix("sha256:")).read_text(encoding="utf-8"))
        return all(
            (blobs / blob["digest"].removeprefix("sha256:")).stat().st_size == blob["size"]
            for blob in (manifest["config"], *manifest["layers"])
        )
    except (OSError, ValueError, KeyError):
        return False


def size(layout: Path) -> int:
    """Bytes of an OCI layout: what is pushed and pulled, compressed."""
    return sum(blob.stat().st_size for blob in (layout / "blobs").rglob("*") if blob.is_file())


def _share_blobs(layout: Path, base: Path) -> None:
    """Keep the layers that an image has from its base once on the disk."""
    for blob in (base / "blobs" / "sha256").iterdir():
        copy = layout / "blobs" / "sha256" / blob.name
        if copy.exists():
            copy.unlink()
            copy.hardlink_to(blob)


def _fill_context(image: Image, context: Path, work: Path, log: Path, paths: Paths) -> None:
    context.mkdir(parents=True)
    for path in image.recipe.iterdir():
        if path.is_file():
            shutil.copy(path, context)
    for name in image.tools:
        shutil.copy(tool(name, paths), context / name)
    for name, (program, relative) in image.beside.items():
        shutil.copy(beside(program, relative, paths), context / name)
    for name in image.host:
        shutil.copy(host_program(name), context / name)
    for name in image.bind_low_ports:
        _permit_low_ports(context / name)
    for name, source in image.files.items():
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, context / name)
    if image.requirements:
        _install_requirements(image.requirements, context / "packages", log, paths)
    if image.name == "debian":
        debian.make_base(context / "rootfs.tar", work, log, debian.host_mirror())


def _permit_low_ports(program: Path) -> None:
    """What `setcap cap_net_bind_service=+ep` does, without needing its package (struct vfs_cap_data, revision 2)."""
    program.chmod(0o755)
    revision_2_effective = 0x02000001
    os.setxattr(
        program, "security.capability", struct.pack("<5I", revision_2_effective, 1 << CAP_NET_BIND_SERVICE, 0, 0, 0)
    )


def _install_requirements(group: str, target: Path, log: Path, paths: Paths) -> None:
    """Install a locked group for the images' Python; on this host, whose index, proxy and CA settings uv follows."""
    run(
        [
            str(tool("uv", paths)),
            "pip",
            "install",
            "--quiet",
            f"--target={target}",
            "--python-version=3.11",
            "--only-binary=:all:",
            "--require-hashes",
            "--no-deps",
            "--link-mode=copy",
            f"--requirements={requirements_file(group)}",
        ],
        f"requirements/{group}.txt",
        log=log,
        environment={"UV_CACHE_DIR": str(paths.cache / "uv")},
    )


def _private_storage(work: Path) -> dict[str, str]:
    """Files and variables that keep buildah within `work`, whatever containers/ settings the host has."""
    (work / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{work}/storage"\nrunroot = "{work}/run"\n', encoding="utf-8"
    )
    (work / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}\n', encoding="utf-8")
    (work / "registries.conf").write_text("", encoding="utf-8")
    (work / "containers.conf").write_text("", encoding="utf-8")
    (work / "tmp").mkdir()
    return {
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": "vfs",
        "CONTAINERS_STORAGE_CONF": f"{work}/storage.conf",
        "CONTAINERS_REGISTRIES_CONF": f"{work}/registries.conf",
        "CONTAINERS_CONF": f"{work}/containers.conf",
        "TMPDIR": str(work / "tmp"),
    }


def remove(work: Path) -> None:
    """Delete a work directory, also what a build left in it without write permission."""
    if work.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", str(work)], check=True)
