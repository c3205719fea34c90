"""Namespaces that admit restricted pods only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import objects
from components.manifest import Manifest

# https://kubernetes.io/docs/concepts/security/pod-security-standards/
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}


@dataclass(frozen=True)
class NamespacesArgs:
    """The namespaces to make, and labels for all of them."""

    names: Sequence[str]
    labels: Mapping[str, str]


class Namespaces(pulumi.ComponentResource):
    """One namespace a name, under Pod Security's `restricted` standard."""

    names: list[str]

    def __init__(self, name: str, args: NamespacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:Namespaces", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for namespace in args.names:
            Manifest(f"{name}-{namespace}", objects.namespace(namespace, {**RESTRICTED, **args.labels}), child)
        self.names = list(args.names)
        self.register_outputs({"names": self.names})
