"""Pulling an image by its pinned digest, where the machine reaches the upstream registry."""

import platform
import ssl
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

from images.catalog import Image
from images.commands import run
from images.errors import ImageError

PROBE_SECONDS = 3
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@cache
def reachable(registry: str) -> bool:
    """Whether a container registry answers at `registry`, and not a proxy in its place. Asked once a run."""
    scheme = "http" if registry.startswith("127.0.0.1:") else "https"
    try:
        # The address comes from the catalogue.
        with urllib.request.urlopen(f"{scheme}://{registry}/v2/", timeout=PROBE_SECONDS) as response:  # noqa: S310
            headers = response.headers
    except urllib.error.HTTPError as error:
        if error.code != 401:
            return False
        headers = error.headers
    except (OSError, ssl.SSLError):
        return False
    return "Docker-Distribution-Api-Version" in headers or "Www-Authenticate" in headers


def pull(image: Image, target: Path, crane: Path) -> bool:
    """Pull `image` by digest into the OCI layout `target`; False where it has no pin, or cannot be pulled."""
    if not image.digest or not reachable(image.registry):
        return False
    machine = platform.machine()
    source = f"{image.registry}/{image.repository}@{image.digest}"
    try:
        run(
            [
                str(crane),
                "pull",
                "--format=oci",
                f"--platform=linux/{ARCHITECTURES.get(machine, machine)}",
                source,
                str(target),
            ],
            image.name,
        )
    except ImageError:
        return False
    return True
