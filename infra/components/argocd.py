"""Argo CD: upstream's manifests, its own secret, and a port of the node for its server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import objects
from components.manifest import Manifest

NAMESPACE = "argocd"
# Argo CD's server, whose certificate is its own.
SERVER_TARGET_PORT = 8080

# The kinds that the other objects need before they can be made or run.
FIRST = (
    "CustomResourceDefinition",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
)


@dataclass(frozen=True)
class ArgoCDArgs:
    """`documents`: what `argocd_install` built. `admin_password_hash`: bcrypt. `webhook_secrets`: by Argo CD's key."""

    documents: Sequence[dict[str, Any]]
    node_port: int
    admin_password_hash: str
    webhook_secrets: dict[str, str]


class ArgoCD(pulumi.ComponentResource):
    """Argo CD in the namespace `argocd`; `ready` are the objects that its custom resources must wait for."""

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: ArgoCDArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:ArgoCD", name, None, opts)
        first: list[pulumi.Resource] = []
        last: list[pulumi.Resource] = []
        secret = objects.secret(
            "argocd-secret",
            NAMESPACE,
            {"admin.password": args.admin_password_hash, **args.webhook_secrets},
            labels={"app.kubernetes.io/name": "argocd-secret", "app.kubernetes.io/part-of": "argocd"},
        )
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "argocd-server-node", "namespace": NAMESPACE},
            "spec": {
                "type": "NodePort",
                "selector": {"app.kubernetes.io/name": "argocd-server"},
                "ports": [{"name": "https", "port": 443, "targetPort": SERVER_TARGET_PORT, "nodePort": args.node_port}],
            },
        }
        for document in sorted([*args.documents, secret, service], key=lambda item: item["kind"] not in FIRST):
            after = [] if document["kind"] in FIRST else first
            options = pulumi.ResourceOptions(parent=self, depends_on=after)
            resource = Manifest(f"{name}-{document['kind']}-{document['metadata']['name']}".lower(), document, options)
            (first if document["kind"] in FIRST else last).append(resource)
        self.ready = [*first, *last]
        self.register_outputs({})
