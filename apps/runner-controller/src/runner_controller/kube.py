"""A small client of the Kubernetes API: the few calls on one namespace that the controller makes."""

import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# What is kept of one line. A row that the forge takes (60 kB) may be six times as long as act's JSON.
LONGEST_LINE = 512 * 1024


@dataclass(frozen=True)
class LogLine:
    """A line of a container's log, without the `cut` bytes by which it was too long.

    `gap`: the line that was read last is no longer there, so what came between the two is lost.
    """

    time: datetime
    text: str
    cut: int = 0
    gap: bool = False


class KubeError(Exception):
    """The API server refused a call or could not be reached."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed later: the server was away, overloaded, failed, or has just started.

        A server that has just started knows no accounts and roles yet. What an admission check forbids stays forbidden.
        """
        if self.status == 403:
            return " cannot " in str(self)
        return self.status in {0, 401, 429} or self.status >= 500


class KubeClient:
    """Calls on `namespace`. Every method raises KubeError; `status` is the HTTP code, 0 without an answer."""

    def __init__(self, server: str, namespace: str, token_file: Path, ca_file: Path) -> None:
        self._namespace = namespace
        self._token_file = token_file
        self._http = httpx.AsyncClient(
            base_url=server,
            verify=ssl.create_default_context(cafile=str(ca_file)),
            timeout=httpx.Timeout(15),
            limits=httpx.Limits(max_connections=None),
            # The API server is never behind the host's proxy.
            trust_env=False,
        )

    @classmethod
    def in_cluster(cls, environment: Mapping[str, str]) -> "KubeClient":
        """The client of the pod that this runs in. KUBERNETES_SERVICE_ACCOUNT_DIR replaces where its identity lies."""
        directory = Path(environment.get("KUBERNETES_SERVICE_ACCOUNT_DIR", str(_SERVICE_ACCOUNT)))
        host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
        return cls(
            server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
            namespace=(directory / "namespace").read_text().strip(),
            token_file=directory / "token",
            ca_file=directory / "ca.crt",
        )

    async def close(self) -> None:
        """End all connections."""
        await self._http.aclose()

    async def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object of a kind (plural, as in `pods`), or None."""
        try:
            return await self._call("GET", f"{kind}/{name}")
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, kind: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """The objects of a kind with all these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        items: list[dict[str, Any]] = (await self._call("GET", kind, params={"labelSelector": selector}))["items"]
        return items

    async def create(self, kind: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object and return it as the server holds it."""
        return await self._call("POST", kind, json=manifest)

    async def apply(self, kind: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object, or replace the one of that name."""
        try:
            return await self.create(kind, manifest)
        except KubeError as error:
            if error.status != 409:
                raise
        return await self._call("PUT", f"{kind}/{manifest['metadata']['name']}", json=manifest)

    async def delete(self, kind: str, name: str, grace_seconds: int | None = None) -> None:
        """Delete an object; nothing happens when it is gone. `grace_seconds` None leaves the object's own."""
        params = {} if grace_seconds is None else {"gracePeriodSeconds": str(grace_seconds)}
        try:
            await self._call("DELETE", f"{kind}/{name}", params=params)
        except KubeError as error:
            if error.status != 404:
                raise

    async def merge(self, kind: str, name: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a patch into an object (JSON merge patch: null takes a key away) and return the result."""
        return await self._call("PATCH", f"{kind}/{name}", json=patch, media_type="application/merge-patch+json")

    async def logs(self, pod: str, container: str, since: datetime | None) -> AsyncIterator[LogLine]:
        """Follow a container's log until it ends: each line written after `since`, the time of the last one read."""
        params = {"container": container, "follow": "true", "timestamps": "true"}
        if since is not None:
            params["sinceTime"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        path = f"/api/v1/namespaces/{self._namespace}/pods/{pod}/log"
        timeout = httpx.Timeout(15, read=None)
        try:
            request = self._http.stream("GET", path, params=params, headers=self._headers(), timeout=timeout)
            async with request as response:
                if response.status_code != 200:
                    body = (await response.aread()).decode(errors="replace")
                    raise KubeError(f"log of {pod}/{container}: {body[:300]}", response.status_code)
                # The server counts whole seconds: the line read last comes again, unless the kubelet rotated it away.
                missing = since is not None
                async for line, cut in lines(response.aiter_bytes()):
                    time, text = _split(line)
                    if since is None or time > since:
                        yield LogLine(time, text, cut, gap=missing)
                    missing = False
        except httpx.HTTPError as error:
            raise KubeError(f"log of {pod}/{container}: {type(error).__name__}: {error}") from error

    def _headers(self) -> dict[str, str]:
        # Read each time: the kubelet renews the token.
        return {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}

    async def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        media_type: str = "application/json",
    ) -> dict[str, Any]:
        url = f"/api/v1/namespaces/{self._namespace}/{path}"
        try:
            headers = self._headers() | {"Content-Type": media_type}
            response = await self._http.request(method, url, params=params, json=json, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise KubeError(f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status_code >= 300:
            try:
                message = response.json().get("message", "")
            except ValueError:
                message = response.text[:300]
            raise KubeError(f"{method} {path}: {response.status_code} {message}", response.status_code)
        answer: dict[str, Any] = response.json()
        return answer


async def lines(chunks: AsyncIterator[bytes], longest: int = LONGEST_LINE) -> AsyncIterator[tuple[str, int]]:
    """The lines in a stream, split at line feeds only; of each its first `longest` bytes, and how many are left out.

    Holds one line of that length at most, and looks at each byte once.
    """
    kept, cut = bytearray(), 0

    def take(part: memoryview) -> int:
        room = longest - len(kept)
        kept.extend(part[:room])
        return max(0, len(part) - room)

    async for chunk in chunks:
        view, start = memoryview(chunk), 0
        while (end := chunk.find(b"\n", start)) >= 0:
            cut += take(view[start:end])
            yield kept.decode(errors="replace"), cut
            kept.clear()
            start, cut = end + 1, 0
        cut += take(view[start:])
    if kept:
        yield kept.decode(errors="replace"), cut


def _split(line: str) -> tuple[datetime, str]:
    """The time and text of a log line; datetimes hold microseconds, the log nanoseconds."""
    stamp, _, text = line.partition(" ")
    seconds, _, fraction = stamp.rstrip("Z").partition(".")
    try:
        time = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC), line
    return time.replace(microsecond=int(fraction[:6].ljust(6, "0") or 0)), text
