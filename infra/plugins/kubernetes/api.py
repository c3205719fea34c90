"""A small Kubernetes API client: apply, get and delete, with a kubeconfig's client certificate or token.

An `aws eks get-token` credential is made here too, so that the offline plugin does not need the AWS command line.
"""

import base64
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import yaml

from plugins.kubernetes.kinds import Kind
from plugins.server import ProviderError

FIELD_MANAGER = "pulumi-ml-platform"
TIMEOUT_SECONDS = 30.0
# The server refuses requests for a new kind while it prepares its storage, and any while it is overloaded.
RETRIED = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
RETRIES = 30
CONNECTION_RETRIES = 3


class NotFoundError(Exception):
    """The object, or its whole kind, is not there."""


class UnreachableError(ProviderError):
    """The API server gave no answer."""


class Api:
    """One API server. Requests never go through a proxy: the server is on this host or in a private network."""

    def __init__(self, kubeconfig: str, context: str | None = None) -> None:
        cluster, user = _select(_document(kubeconfig), context)
        self.server = str(cluster["server"])
        # A new access entry is not known to all of a cluster's API servers at once.
        self._retried = RETRIED | {httpx.codes.UNAUTHORIZED} if "exec" in user else RETRIED
        self._client = httpx.Client(
            base_url=self.server,
            auth=_bearer(user),
            # Connections that are opened at once share what the handshake starts with, and can spoil it for each other.
            transport=httpx.HTTPTransport(verify=_tls(cluster, user), retries=CONNECTION_RETRIES, trust_env=False),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    def apply(self, kind: Kind, body: dict[str, Any], manager: str = FIELD_MANAGER) -> dict[str, Any]:
        """Server-side apply as a field manager; unknown fields are refused by the server, by name. Returns the object
        as it is then.
        """
        metadata = body["metadata"]
        try:
            return self._send(
                "PATCH",
                _path(kind, metadata.get("namespace"), metadata["name"]),
                params={"fieldManager": manager, "force": "true", "fieldValidation": "Strict"},
                headers={"Content-Type": "application/apply-patch+yaml"},
                json=body,
            )
        except NotFoundError as error:
            raise ProviderError(
                f"{kind.name} {metadata['name']}: its namespace or its kind is not there ({error})"
            ) from None

    def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any]:
        """The live object. Raises NotFoundError."""
        return self._send("GET", _path(kind, namespace, name))

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Ask for deletion; what the object owns goes in the background. Raises NotFoundError."""
        self._send("DELETE", _path(kind, namespace, name), json={"propagationPolicy": "Background"})

    def _send(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = self._request(method, path, **options)
        for _ in range(RETRIES):
            if response.status_code not in self._retried:
                break
            time.sleep(_retry_after(response))
            response = self._request(method, path, **options)
        if response.status_code == httpx.codes.NOT_FOUND:
            raise NotFoundError(f"{path}: {_message(response)}")
        if response.is_error:
            raise ProviderError(f"{method} {path}: {_message(response)}")
        document: dict[str, Any] = response.json()
        return document

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise UnreachableError(
                f"the Kubernetes API at {self.server} does not answer ({error}); start the platform with scripts/up"
            ) from None


def _bearer(user: dict[str, Any]) -> Callable[[httpx.Request], httpx.Request] | None:
    """Adds a token to each request: the user's own, or one made for an EKS cluster."""
    if "exec" in user:
        from plugins.kubernetes.eks_token import from_exec

        token: Callable[[], str] = from_exec(user["exec"]).value
    elif "token" in user:
        token = lambda: str(user["token"])  # noqa: E731 - one of two ways to the same thing
    else:
        return None

    def authorized(request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {token()}"
        return request

    return authorized


def _retry_after(response: httpx.Response) -> float:
    """The seconds that the server asks us to wait, in bounds."""
    given = response.headers.get("Retry-After", "")
    return min(float(given), 10.0) if given.isdigit() else 1.0


def _path(kind: Kind, namespace: str | None, name: str) -> str:
    scope = f"/namespaces/{quote(namespace or 'default')}" if kind.namespaced else ""
    return f"{kind.root}{scope}/{kind.plural}/{quote(name, safe='')}"


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError):
        return f"{response.status_code} {response.text[:500]}"


def _document(kubeconfig: str) -> dict[str, Any]:
    """A kubeconfig given as a path or as text, the way the official provider takes it."""
    text = kubeconfig
    if "\n" not in kubeconfig and not kubeconfig.lstrip().startswith("{"):
        try:
            text = Path(kubeconfig).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            raise ProviderError(
                f"{kubeconfig}: cannot be read ({error.strerror}); scripts/up writes it when the cluster starts"
            ) from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ProviderError(f"the kubeconfig is not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise ProviderError("the kubeconfig is not a mapping; scripts/up writes a new one")
    return document


def _select(document: dict[str, Any], context: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        name = context or document["current-context"]
        chosen = _named(document["contexts"], name)["context"]
        return _named(document["clusters"], chosen["cluster"])["cluster"], _named(document["users"], chosen["user"])[
            "user"
        ]
    except (KeyError, TypeError, StopIteration):
        raise ProviderError("the kubeconfig has no usable context; scripts/up writes a new one") from None


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def _tls(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    authority = _material(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
    certificate, key = _material(user, "client-certificate"), _material(user, "client-key")
    if certificate and key:
        # OpenSSL reads a client certificate from a file only.
        with tempfile.NamedTemporaryFile(prefix="kubernetes-client-") as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _material(section: dict[str, Any], key: str) -> bytes | None:
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data)
    return Path(section[key]).read_bytes() if key in section else None
