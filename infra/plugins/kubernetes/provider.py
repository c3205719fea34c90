"""The table of kinds as a Pulumi provider."""

import base64
import os
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from plugins.kubernetes import checkpoint, drift
from plugins.kubernetes.kinds import BY_TOKEN, KINDS, Kind
from plugins.kubernetes.readiness import waiting_for
from plugins.server import Deadline, InitializationError, Problem, Provider, ProviderError, Row, unknown_properties
from plugins.wire import Difference, differences, is_unknown, sealed, secret

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct

    from plugins.kubernetes.api import Api

VERSION = "4.34.2"
POLL_SECONDS = 0.5
SKIP_AWAIT = "pulumi.com/skipAwait"
# What of a Secret is one, whether or not the program says so.
CONFIDENTIAL = ("data", "stringData")


class Kubernetes(Provider):
    """Objects of one cluster, owned through one field manager."""

    name = "kubernetes"
    version = VERSION
    keeps_secrets = True
    settings = frozenset(
        {
            "clusterIdentifier",
            "context",
            "deleteUnreachable",
            "enableConfigMapMutable",
            "enableSecretMutable",
            "enableServerSideApply",
            "kubeconfig",
        }
    )

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}

    def configure(self, settings: dict[str, Any]) -> None:
        if settings.get("enableServerSideApply") == "false":
            raise ProviderError("enableServerSideApply: the offline plugin always applies server-side; remove it")
        for name in ("enableConfigMapMutable", "enableSecretMutable"):
            if settings.get(name) == "false":
                raise ProviderError(f"{name}: the offline plugin always changes data in place; set it to true")
        self._settings = settings

    @cached_property
    def api(self) -> "Api":
        # Not at module level: a preview without changes needs no HTTP client.
        from plugins.kubernetes.api import Api

        kubeconfig = self._settings.get("kubeconfig") or os.environ.get("KUBECONFIG")
        if not kubeconfig:
            raise ProviderError("kubeconfig: is not set on the provider; give it a path or the file's text")
        return Api(kubeconfig, self._settings.get("context"))

    @property
    def deletes_unreachable(self) -> bool:
        """Whether objects of a cluster that is gone for good may be forgotten."""
        setting = self._settings.get("deleteUnreachable") or os.environ.get("PULUMI_K8S_DELETE_UNREACHABLE")
        return setting == "true"

    def row(self, token: str) -> Row | None:
        kind = BY_TOKEN.get(token)
        return ObjectRow(self, kind) if kind else None

    def tokens(self) -> list[str]:
        return [kind.token for kind in KINDS]

    def sealed(self, values: dict[str, Any], given: "Struct") -> dict[str, Any]:
        made = values.get(checkpoint.INPUTS)
        if made is None:
            # Inputs: as the program marked them, or, where nothing is known of it, whole.
            return sealed(values, given) if given.fields else _secrets(values)
        return {**sealed(_secrets(values), given), checkpoint.INPUTS: sealed(_secrets(made), given)}


class ObjectRow(Row):
    """One kind of object. Its identifier is `namespace/name`, or `name` outside namespaces."""

    def __init__(self, provider: Kubernetes, kind: Kind) -> None:
        self.provider, self.kind = provider, kind

    def check(self, inputs: dict[str, Any]) -> Iterable[Problem]:
        yield from unknown_properties(inputs, {"apiVersion", "kind", "metadata", *self.kind.fields}, self.kind.token)
        for key, value in (("apiVersion", self.kind.api_version), ("kind", self.kind.name)):
            if inputs.get(key, value) != value:
                yield Problem(key, f"is {inputs[key]!r}, but the type is {self.kind.token}; write {value!r}")
        metadata = inputs.get("metadata")
        if is_unknown(metadata):
            return
        if not isinstance(metadata, dict) or not metadata.get("name"):
            yield Problem("metadata.name", "is missing; the offline plugin makes no names up, set it")
        elif self.kind.namespaced and not metadata.get("namespace"):
            yield Problem("metadata.namespace", f"is missing; say in which namespace {metadata['name']!r} lives")
        elif not self.kind.namespaced and "namespace" in metadata:
            yield Problem("metadata.namespace", f"{self.kind.name} lives in no namespace; remove it")

    def changes(self, olds: dict[str, Any], news: dict[str, Any]) -> Iterable[Difference]:
        name = self.kind.name
        found = differences(checkpoint.normal(olds, name), checkpoint.normal(news, name))
        return [change for change in found if not checkpoint.means_the_same(change, self.kind)]

    def replaces(self, change: Difference, olds: dict[str, Any]) -> bool:
        path = ".".join(str(part) for part in change.path)
        if olds.get("immutable") is True and path.partition(".")[0] in {
            "data",
            "binaryData",
            "stringData",
            "immutable",
        }:
            return True
        prefixes = ("apiVersion", "kind", "metadata.name", "metadata.namespace", *self.kind.immutable)
        # A whole parent that comes or goes takes the immutable field with it.
        return any(f"{path}.".startswith(f"{item}.") or f"{item}.".startswith(f"{path}.") for item in prefixes)

    def same_identity(self, olds: dict[str, Any], news: dict[str, Any]) -> bool:
        return _identity(olds) == _identity(news)

    def create(self, inputs: dict[str, Any], deadline: Deadline) -> tuple[str, dict[str, Any]]:
        live = self.provider.api.apply(self.kind, self._body(inputs), self._manager(inputs, {}))
        identifier = "/".join(part for part in _identity(inputs) if part)
        return identifier, self._ready(identifier, inputs, live, deadline, {})

    def read(
        self, identifier: str, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        from plugins.kubernetes.api import NotFoundError

        try:
            live = self.provider.api.get(self.kind, *_parse(identifier))
        except NotFoundError:
            return None
        if not inputs:
            inputs = self._imported(live)
        now = drift.merged(self._object(inputs), live, self._expected(outputs))
        now = {key: value for key, value in now.items() if key in inputs}
        return now, self._outputs(now, live, outputs)

    def update(
        self,
        identifier: str,
        olds: dict[str, Any],
        news: dict[str, Any],
        deadline: Deadline,
        outputs: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        live = self.provider.api.apply(self.kind, self._body(news), self._manager(news, outputs or {}))
        return self._ready(identifier, news, live, deadline, outputs or {})

    def delete(self, identifier: str, inputs: dict[str, Any], deadline: Deadline) -> None:
        from plugins.kubernetes.api import NotFoundError, UnreachableError

        namespace, name = _parse(identifier)
        try:
            self.provider.api.delete(self.kind, namespace, name)
            while True:
                live = self.provider.api.get(self.kind, namespace, name)
                if not deadline.wait(POLL_SECONDS):
                    raise ProviderError(
                        f"{self.kind.name} {identifier} is still there after {deadline.seconds:.0f} s"
                        f" (finalizers: {_finalizers(live)}); run the command again when they are done"
                    )
        except NotFoundError:
            return
        except UnreachableError:
            if not self.provider.deletes_unreachable:
                raise

    def _object(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"apiVersion": self.kind.api_version, "kind": self.kind.name, **inputs}

    def _body(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What is sent: a Secret's text as data, because the server does not track who owns text."""
        body = self._object(inputs)
        text = body.pop("stringData", None) if self.kind.name == "Secret" else None
        if text:
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in text.items()}
            body["data"] = {**body.get("data", {}), **encoded}
        return body

    def _manager(self, inputs: dict[str, Any], outputs: dict[str, Any]) -> str:
        from plugins.kubernetes.api import FIELD_MANAGER

        return checkpoint.manager(inputs, outputs, FIELD_MANAGER)

    def _ready(
        self,
        identifier: str,
        inputs: dict[str, Any],
        live: dict[str, Any],
        deadline: Deadline,
        outputs: dict[str, Any],
    ) -> dict[str, Any]:
        """Wait until the object is ready. Raises InitializationError when it does not become so in time."""
        annotations = inputs["metadata"].get("annotations") or {}
        while annotations.get(SKIP_AWAIT) != "true" and (reason := waiting_for(live)):
            if not deadline.wait(POLL_SECONDS):
                stop = "cancelled" if deadline.cancelled.is_set() else f"not ready after {deadline.seconds:.0f} s"
                raise InitializationError(
                    identifier,
                    self._outputs(inputs, live, outputs),
                    [f"{self.kind.name} {identifier} is {stop}: {reason}"],
                )
            live = self.provider.api.get(self.kind, *_parse(identifier))
        return self._outputs(inputs, live, outputs)

    def _outputs(self, inputs: dict[str, Any], live: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
        first = str(before.get(checkpoint.API_VERSION) or self.kind.api_version)
        return checkpoint.outputs(self._object(inputs), live, first, self._manager(inputs, before))

    def _expected(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """What the server made of inputs when they were applied, by path."""
        made, live = checkpoint.parsed(outputs)
        if made is None:
            return dict(outputs.get(checkpoint.REWRITTEN) or {})
        return drift.rewritten(self._object(made), live)

    def _imported(self, live: dict[str, Any]) -> dict[str, Any]:
        kept = {"name", "namespace", "labels", "annotations"}
        metadata = {key: value for key, value in live["metadata"].items() if key in kept}
        return self._object({"metadata": metadata, **{key: live[key] for key in self.kind.fields if key in live}})


def _secrets(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("kind") != "Secret":
        return values
    return {key: secret(value) if key in CONFIDENTIAL else value for key, value in values.items()}


def _identity(inputs: dict[str, Any]) -> tuple[str, str]:
    metadata = inputs.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _parse(identifier: str) -> tuple[str | None, str]:
    namespace, _, name = identifier.rpartition("/")
    return namespace or None, name


def _finalizers(live: dict[str, Any]) -> str:
    names = [*(live["metadata"].get("finalizers") or []), *((live.get("spec") or {}).get("finalizers") or [])]
    return ", ".join(names) or "none"
