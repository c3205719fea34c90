"""Documents of the small objects that several components make."""

from collections.abc import Mapping
from typing import Any

import pulumi

Document = dict[str, Any]


def _metadata(name: str, namespace: str | None, **more: Mapping[str, Any]) -> Document:
    scope = {"namespace": namespace} if namespace else {}
    return {"name": name, **scope, **{key: dict(value) for key, value in more.items() if value}}


def namespace(name: str, labels: Mapping[str, str]) -> Document:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": _metadata(name, None, labels=labels)}


def config_map(name: str, in_namespace: str, data: Mapping[str, pulumi.Input[str]]) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(name, in_namespace),
        "data": dict(data),
    }


def secret(
    name: str,
    in_namespace: str,
    data: Mapping[str, pulumi.Input[str]],
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, pulumi.Input[str]] | None = None,
) -> Document:
    """An opaque Secret; each of its values is kept encrypted in Pulumi's state."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(name, in_namespace, labels=labels or {}, annotations=annotations or {}),
        "type": "Opaque",
        "stringData": {key: pulumi.Output.secret(value) for key, value in data.items()},
    }
