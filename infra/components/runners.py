"""What the runner controller and its job pods are given: credentials by trust class, the host's network settings, the
cluster's facts, what they may connect to, and a cache that outlives the pods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import network_policies, objects
from components.manifest import Manifest
from components.network_policies import Endpoint, Rule
from settings import DOMAIN

CACHE = "ml-cache"
TRUST = f"{DOMAIN}/trust"
"""The label by which the controller says what a job may do; no job can write it."""
EVALUATION = "evaluation"
# Nothing measures a hostPath volume; a claim and a volume just have to name the same size.
CACHE_SIZE = "50Gi"


@dataclass(frozen=True)
class Reach:
    """What may be connected to. `controller`: the API server and the forge. `jobs`: the platform's services and the
    places beyond it that jobs need; `internet`: TCP 443 of public addresses too. `evaluation`: what is left to jobs
    that load a model which anybody made: the object store, and the forge, from which their code comes."""

    service_cidr: str
    controller: Sequence[Endpoint]
    jobs: Sequence[Endpoint]
    evaluation: Sequence[Endpoint]
    internet: bool


@dataclass(frozen=True)
class RunnersArgs:
    """`secrets`: values by Secret and key. `cache_path`: the folder of the host that job pods share."""

    namespace: str
    secrets: Mapping[str, Mapping[str, str]]
    facts: Mapping[str, str]
    certificates: str
    cache_path: str
    reach: Reach


class Runners(pulumi.ComponentResource):
    """The runner controller's namespaced surroundings; the controller itself is Argo CD's."""

    def __init__(self, name: str, args: RunnersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:Runners", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for document in policies(args):
            Manifest(f"{name}-{document['metadata']['name']}", document, child)
        for secret, values in args.secrets.items():
            Manifest(f"{name}-{secret}", objects.secret(secret, args.namespace, values), child)
        Manifest(f"{name}-facts", objects.config_map("cluster-facts", args.namespace, args.facts), child)
        certificates = {"ca-certificates.crt": args.certificates}
        Manifest(f"{name}-host-ca", objects.config_map("host-ca", args.namespace, certificates), child)
        volume = Manifest(f"{name}-cache-volume", cache_volume(args), child)
        Manifest(f"{name}-cache", cache_claim(args), pulumi.ResourceOptions(parent=self, depends_on=[volume]))
        self.register_outputs({})


def policies(args: RunnersArgs) -> list[objects.Document]:
    """What the controller and jobs may connect to, and nothing else: no pod, no node port, none of the host's services
    that is not listed; of the API server the controller alone."""
    dns = network_policies.to_dns(args.reach.service_cidr)
    internet = [network_policies.to_internet()] if args.reach.internet else []

    def egress(component: str, *rules: Rule, name: str = "", operator: str = "") -> objects.Document:
        pods: dict[str, Any] = {"matchLabels": {"app.kubernetes.io/component": component}}
        if operator:
            pods["matchExpressions"] = [{"key": TRUST, "operator": operator, "values": [EVALUATION]}]
        return network_policies.policy(f"{name or component}-egress", args.namespace, pods, egress=[dns, *rules])

    return [
        egress("controller", *network_policies.to_endpoints(args.reach.controller)),
        egress("job", *network_policies.to_endpoints(args.reach.jobs), *internet, operator="NotIn"),
        egress("job", *network_policies.to_endpoints(args.reach.evaluation), name=EVALUATION, operator="In"),
    ]


def cache_volume(args: RunnersArgs) -> objects.Document:
    """A folder of the one node; several pods may write to it at once."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": CACHE},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": {"storage": CACHE_SIZE},
            "claimRef": {"namespace": args.namespace, "name": CACHE},
            "hostPath": {"path": args.cache_path, "type": "Directory"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
        },
    }


def cache_claim(args: RunnersArgs) -> objects.Document:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CACHE, "namespace": args.namespace},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": CACHE_SIZE}},
            "storageClassName": "",
            "volumeName": CACHE,
        },
    }
