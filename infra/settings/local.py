"""The facts of a cluster on one Linux machine (`provider: local`)."""

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from settings.fields import Address, Bucket, Cidr, DnsLabel, HostPort, HttpUrl, Port, Region, Repository, Stage
from settings.people import DEFAULT, People
from settings.section import Section, refuse_duplicates

RUNNER_POOLS = ("ml-cpu", "ml-gpu")


class Kubernetes(Section):
    node_address: Address
    api_port: Port
    pod_cidr: Cidr
    service_cidr: Cidr

    @property
    def api_url(self) -> str:
        return f"https://{self.node_address}:{self.api_port}"

    @property
    def dns_address(self) -> str:
        """The cluster DNS service's address: by kubeadm's convention the tenth of the service range."""
        return str(ipaddress.IPv4Network(self.service_cidr)[10])

    @model_validator(mode="after")
    def _ranges_apart(self) -> Self:
        pods, services = ipaddress.IPv4Network(self.pod_cidr), ipaddress.IPv4Network(self.service_cidr)
        if pods.overlaps(services):
            raise ValueError(f"podCidr {pods} and serviceCidr {services} overlap; choose two ranges apart")
        for key, network in (("podCidr", pods), ("serviceCidr", services)):
            if network.prefixlen > 24:
                raise ValueError(f"{key} {network} is too small; use /24 or wider")
            if ipaddress.IPv4Address(self.node_address) in network:
                raise ValueError(f"nodeAddress {self.node_address} lies inside {key} {network}; choose one outside it")
        return self


class ObjectStore(Section):
    endpoint: HttpUrl
    region: Region
    data_bucket: Bucket
    models_bucket: Bucket

    @model_validator(mode="after")
    def _buckets_apart(self) -> Self:
        if self.data_bucket == self.models_bucket:
            raise ValueError(f"dataBucket and modelsBucket are both {self.data_bucket!r}; they need a bucket each")
        return self


class Registry(Section):
    host: HostPort


class Forge(Section):
    kind: Literal["gitea"]
    url: HttpUrl
    repository: Repository

    @property
    def clone_url(self) -> str:
        return f"{self.url}/{self.repository}.git"


class ArgoCD(Section):
    node_port: Annotated[int, Field(ge=30000, le=32767)]


class Bot(Section):
    """`node_port`: where the forge wakes the bot that merges."""

    node_port: Annotated[int, Field(ge=30000, le=32767)] = 30444


class Runners(Section):
    pools: Annotated[list[Literal["ml-cpu", "ml-gpu"]], Field(min_length=1)]

    @model_validator(mode="after")
    def _pools_once(self) -> Self:
        refuse_duplicates("pools", self.pools)
        return self


class LocalCluster(Section):
    """The platform on one machine: what it is called, which stages it hosts, and the services it uses."""

    name: DnsLabel
    provider: Literal["local"]
    stages: Annotated[list[Stage], Field(min_length=1)]
    kubernetes: Kubernetes
    object_store: ObjectStore
    registry: Registry
    forge: Forge
    argocd: ArgoCD
    runners: Runners
    bot: Bot = Field(default_factory=Bot)
    people: People = Field(default_factory=lambda: People.model_validate(DEFAULT))

    @model_validator(mode="after")
    def _stages_once(self) -> Self:
        refuse_duplicates("stages", self.stages)
        return self

    @model_validator(mode="after")
    def _ports_apart(self) -> Self:
        """On one machine every service listens on the node address, so each needs a port of its own."""
        ports = {
            "kubernetes.apiPort": self.kubernetes.api_port,
            "objectStore.endpoint": urlsplit(self.object_store.endpoint).port,
            "registry.host": int(self.registry.host.partition(":")[2] or 80),
            "forge.url": urlsplit(self.forge.url).port,
            "argocd.nodePort": self.argocd.node_port,
            "bot.nodePort": self.bot.node_port,
        }
        taken: dict[int | None, str] = {}
        for key, port in ports.items():
            if port in taken:
                raise ValueError(f"{key} and {taken[port]} both use port {port}; give each its own")
            taken[port] = key
        return self
