"""What the bot that merges is given: its token, the list of people, where the forge is, and a port to wake it at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import network_policies, objects
from components.manifest import Manifest
from components.network_policies import Endpoint

# What its pod is found by, and where it listens.
POD = {"app.kubernetes.io/component": "bot"}
PORT = 8080


@dataclass(frozen=True)
class BotArgs:
    """`secret`: `token` and `webhook-secret`. `people`: the JSON that `mlplatform.pulls.rules.People` reads.
    `facts`: its variables. `node_port`: where the forge, a process of the node, wakes it."""

    namespace: str
    secret: Mapping[str, str]
    people: str
    facts: Mapping[str, str]
    node_port: int
    service_cidr: str
    forge: Sequence[Endpoint]


class Bot(pulumi.ComponentResource):
    """The bot's namespaced surroundings; the bot itself is Argo CD's."""

    def __init__(self, name: str, args: BotArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:Bot", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for document in documents(args):
            Manifest(f"{name}-{document['metadata']['name']}", document, child)
        self.register_outputs({})


def documents(args: BotArgs) -> list[objects.Document]:
    """It connects to the forge and to DNS, and to nothing else. Nothing but the node connects to it."""
    egress = [network_policies.to_dns(args.service_cidr), *network_policies.to_endpoints(args.forge)]
    return [
        network_policies.policy("bot-egress", args.namespace, {"matchLabels": POD}, egress=egress),
        objects.config_map("cluster-facts", args.namespace, args.facts),
        objects.config_map("people", args.namespace, {"people.json": args.people}),
        objects.secret("bot-merge", args.namespace, args.secret),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "bot-node", "namespace": args.namespace},
            "spec": {
                "type": "NodePort",
                "selector": dict(POD),
                "ports": [{"name": "http", "port": 80, "targetPort": PORT, "nodePort": args.node_port}],
            },
        },
    ]
