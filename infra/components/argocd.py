"""Argo CD: upstream's manifests, its own secret, and on one machine a port of the node for its server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components import network_policies, objects
from components.manifest import Manifest
from components.network_policies import Rule

NAMESPACE = "argocd"
# Argo CD's server, whose certificate is its own.
SERVER_TARGET_PORT = 8080

# The webhook's secret of each forge that Argo CD knows. One without a secret asks nobody for a signature.
WEBHOOK_KEYS = {
    "azuredevops": ("webhook.azuredevops.username", "webhook.azuredevops.password"),
    "bitbucket": ("webhook.bitbucket.uuid",),
    "bitbucketserver": ("webhook.bitbucketserver.secret",),
    "github": ("webhook.github.secret",),
    "gitlab": ("webhook.gitlab.secret",),
    "gogs": ("webhook.gogs.secret",),
}

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
class Reach:
    """What Argo CD's parts may connect to beside each other and DNS."""

    service_cidr: str
    api: Sequence[Rule]
    forge: Sequence[Rule]


@dataclass(frozen=True)
class ArgoCDArgs:
    """`documents`: what `argocd_install` built. `webhook_secrets`: by Argo CD's key. `admin_password_hash`: bcrypt;
    without one Argo CD makes a password up. `node_port`: where its server listens besides."""

    documents: Sequence[dict[str, Any]]
    reach: Reach
    webhook_secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    admin_password_hash: str | None = None
    node_port: int | None = None


class ArgoCD(pulumi.ComponentResource):
    """Argo CD in the namespace `argocd`; `ready` are the objects that its custom resources must wait for."""

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: ArgoCDArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:ArgoCD", name, None, opts)
        first: list[pulumi.Resource] = []
        last: list[pulumi.Resource] = []
        own = [secret(args), *policies(args.reach), *([server_on_nodes(args.node_port)] if args.node_port else [])]
        for document in sorted([*args.documents, *own], key=lambda item: item["kind"] not in FIRST):
            after = [] if document["kind"] in FIRST else first
            options = pulumi.ResourceOptions(parent=self, depends_on=after)
            resource = Manifest(f"{name}-{document['kind']}-{document['metadata']['name']}".lower(), document, options)
            (first if document["kind"] in FIRST else last).append(resource)
        self.ready = [*first, *last]
        self.register_outputs({})


def webhook_secrets(forge: str, secret: pulumi.Input[str], others: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """`secret` for the webhooks of `forge`, and `others`, which nobody knows, for those of every other kind."""
    return {key: secret if kind == forge else others for kind, keys in WEBHOOK_KEYS.items() for key in keys}


def policies(reach: Reach) -> list[objects.Document]:
    """Egress of each part; whom each admits is in upstream's own policies."""
    dns = network_policies.to_dns(reach.service_cidr)
    redis, repo_server = (
        network_policies.to_pods([f"argocd-{name}"], port) for name, port in (("redis", 6379), ("repo-server", 8081))
    )

    def egress(name: str, parts: Sequence[str], *rules: Rule) -> objects.Document:
        values = [f"argocd-{part}" for part in parts]
        pods = {"matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": values}]}
        return network_policies.policy(f"{name}-egress", NAMESPACE, pods, egress=[dns, *rules])

    controllers = ("application-controller", "applicationset-controller", "server")
    return [
        egress("controllers", controllers, redis, repo_server, *reach.api),
        # Before it starts, its password is read from the API server.
        egress("redis", ["redis"], *reach.api),
        egress("repo-server", ["repo-server"], redis, *reach.forge),
    ]


def secret(args: ArgoCDArgs) -> objects.Document:
    """The Secret that Argo CD keeps its own settings in; its server adds to it."""
    password = {"admin.password": args.admin_password_hash} if args.admin_password_hash else {}
    return objects.secret(
        "argocd-secret",
        NAMESPACE,
        {**password, **args.webhook_secrets},
        labels={"app.kubernetes.io/name": "argocd-secret", "app.kubernetes.io/part-of": "argocd"},
    )


def server_on_nodes(port: int) -> objects.Document:
    """A Service that makes a port of every node Argo CD's server."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "argocd-server-node", "namespace": NAMESPACE},
        "spec": {
            "type": "NodePort",
            "selector": {"app.kubernetes.io/name": "argocd-server"},
            "ports": [{"name": "https", "port": 443, "targetPort": SERVER_TARGET_PORT, "nodePort": port}],
        },
    }
