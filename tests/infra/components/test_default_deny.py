"""Each namespace denies by default, once what is allowed has been said."""

import pulumi

from components.default_deny import DefaultDeny
from components.namespaces import Namespaces, NamespacesArgs
from recording import record

POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def test_s1_every_namespace_has_one_after_what_it_waits_for() -> None:
    def build() -> None:
        namespaces = Namespaces("stages", NamespacesArgs(["dev", "prod"], {}))
        DefaultDeny("deny", namespaces.names, pulumi.ResourceOptions(depends_on=[namespaces]))

    recorded = record(build)
    first = recorded.one("kubernetes:core/v1:Namespace", "stages-dev").urn
    for name in ("dev", "prod"):
        policy = recorded.one(POLICY, f"deny-{name}")
        assert policy.inputs["metadata"]["namespace"] == name
        assert policy.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    # Pulumi registers no child of a component before what the component waits for is made.
    assert first in recorded.one("ml-platform:index:DefaultDeny", "deny").dependencies
