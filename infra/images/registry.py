"""The local registry: what it holds, and pushing to it. The password never stands on a command line."""

import base64
import json
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from images.commands import run
from images.errors import ImageError

USER = "platform"
TIMEOUT_SECONDS = 10
MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


@dataclass(frozen=True)
class Registry:
    """A registry that speaks plain HTTP at `host` (host:port) and wants a login."""

    host: str
    password: str
    crane: Path

    def digest(self, repository: str, tag: str) -> str | None:
        """The digest behind a tag, or None where there is no such tag. Raises ImageError."""
        return self._ask("HEAD", repository, tag)

    def delete(self, repository: str, digest: str) -> None:
        """Delete an image and the tags that name it; one that is gone already is fine. Raises ImageError.

        Its blobs stay until the registry's garbage is collected.
        """
        self._ask("DELETE", repository, digest)

    def _ask(self, method: str, repository: str, reference: str) -> str | None:
        """The digest that the registry answers with, or None where it has no such image."""
        request = urllib.request.Request(
            f"http://{self.host}/v2/{repository}/manifests/{reference}",
            method=method,
            headers={"Accept": MANIFEST_TYPES, "Authorization": f"Basic {self._basic()}"},
        )
        # The registry is on this host: no proxy reaches it.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                value: str | None = response.headers.get("Docker-Content-Digest")
                return value
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise self._refused(error.code) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ImageError(
                f"registry {self.host}: does not answer ({reason}); scripts/up starts it, scripts/doctor says more"
            ) from None

    def push(self, layout: Path, repository: str, tags: list[str], work: Path) -> None:
        """Push the one image of an OCI layout under each tag; `work` is for scratch files. Raises ImageError."""
        first, *others = tags
        name = f"{self.host}/{repository}"
        with self._login(work) as environment:
            run([str(self.crane), "push", "--insecure", str(layout), f"{name}:{first}"], name, environment=environment)
            for tag in others:
                run([str(self.crane), "tag", "--insecure", f"{name}:{first}", tag], name, environment=environment)

    def _refused(self, code: int) -> ImageError:
        if code in (401, 403):
            return ImageError(
                f"registry {self.host}: refuses the login of {USER}; secrets/registry-password in the state directory "
                "is not the registry's own: run scripts/up, which sets it"
            )
        return ImageError(f"registry {self.host}: answers HTTP {code}; its log is in the state directory under logs/")

    def _basic(self) -> str:
        return base64.b64encode(f"{USER}:{self.password}".encode()).decode()

    @contextmanager
    def _login(self, work: Path) -> Iterator[dict[str, str]]:
        """Variables under which crane is logged in, by a file that only we read and that goes afterwards."""
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="login-", dir=work) as folder:
            config = Path(folder) / "config.json"
            config.touch(mode=0o600)
            config.write_text(json.dumps({"auths": {self.host: {"auth": self._basic()}}}), encoding="utf-8")
            hosts = ",".join(filter(None, (os.environ.get("NO_PROXY"), self.host.partition(":")[0])))
            yield {"DOCKER_CONFIG": folder, "NO_PROXY": hosts, "no_proxy": hosts}
