"""The upstream registries: pulling an image by its pinned digest, and pinning."""

import platform
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
        error.close()
        if error.code != 401:
            return False
        headers = error.headers
    except OSError:
        return False
    return "Docker-Distribution-Api-Version" in headers or "Www-Authenticate" in headers


def pull(image: Image, target: Path, crane: Path) -> None:
    """Pull `image` by its pinned digest, for this machine's architecture, into the OCI layout `target`.

    Raises ImageError where its registry does not answer or does not have it.
    """
    if not reachable(image.registry):
        raise ImageError(f"{image.registry} does not answer")
    machine = platform.machine()
    architecture = ARCHITECTURES.get(machine, machine)
    source = f"{image.registry}/{image.repository}@{image.digest}"
    run(
        [str(crane), "pull", "--format=oci", f"--platform=linux/{architecture}", source, str(target)],
        f"{image.registry}: {image.repository} cannot be pulled",
    )


def current_digest(image: Image, crane: Path) -> str:
    """The digest that the image's tag has upstream now. Raises ImageError."""
    if not reachable(image.registry):
        raise ImageError(f"{image.registry} does not answer")
    return run([str(crane), "digest", image.upstream], image.upstream).strip()
