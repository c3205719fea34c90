"""Namespaces whose pods reach nothing, and are reached by nothing, that no other policy admits."""

from collections.abc import Sequence

import pulumi

from components import network_policies
from components.manifest import Manifest


class DefaultDeny(pulumi.ComponentResource):
    """A policy a namespace. Made after the allowances, so that what runs already is not cut off in between."""

    def __init__(self, name: str, namespaces: Sequence[str], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:DefaultDeny", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for namespace in namespaces:
            Manifest(f"{name}-{namespace}", network_policies.default_deny(namespace), child)
        self.register_outputs({})
