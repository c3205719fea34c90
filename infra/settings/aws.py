"""The facts of a cluster on AWS that hosts stages (`provider: aws`)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aws import cidr
from settings.aws_fields import (
    ROLE,
    Account,
    Capacity,
    ClusterName,
    CpuInstanceType,
    GpuFamily,
    LogDays,
    PublicCidr,
    RoleArn,
    VpcCidr,
)
from settings.fields import DnsLabel, Region, Repository, Stage
from settings.section import Section, refuse_duplicates

PRODUCTION = "prod"


class Network(Section):
    """A VPC. `nat`: one gateway, one a zone, or none, with interface endpoints to AWS's services in its place."""

    cidr: VpcCidr
    zones: Annotated[list[str], Field(min_length=2)]
    nat: Literal["one", "per-zone", "none"]
    flow_log_days: LogDays

    @model_validator(mode="after")
    def _zones_fit(self) -> Self:
        refuse_duplicates("zones", self.zones)
        if len(self.zones) > cidr.MOST_ZONES:
            raise ValueError(f"zones lists {len(self.zones)}; list {cidr.MOST_ZONES} at most")
        return self


class SystemNodes(Section):
    """The node group that carries the cluster's own pods where AWS does not manage one."""

    instance_types: Annotated[list[CpuInstanceType], Field(min_length=1)]
    min: Annotated[int, Field(ge=1, le=100)]
    max: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        refuse_duplicates("instanceTypes", self.instance_types)
        if self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}; swap them or raise max")
        return self


class EksSettings(Section):
    """The EKS cluster. `public_cidrs`: who reaches its API from outside the VPC; nobody when empty."""

    # Those in EKS's standard support: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
    version: Literal["1.34", "1.35"]
    compute: Literal["auto", "managed"]
    public_cidrs: Annotated[list[PublicCidr], Field(max_length=40)]
    log_days: LogDays
    administrators: Annotated[list[RoleArn], Field(min_length=1)]
    system_nodes: SystemNodes | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        refuse_duplicates("publicCidrs", self.public_cidrs)
        refuse_duplicates("administrators", self.administrators)
        return self

    @model_validator(mode="after")
    def _nodes_follow_compute(self) -> Self:
        if self.compute == "managed" and not self.system_nodes:
            raise ValueError("systemNodes is missing, and compute: managed needs it; add it or write compute: auto")
        if self.compute == "auto" and self.system_nodes:
            raise ValueError("systemNodes says nothing to compute: auto; remove it or write compute: managed")
        return self


class Gpu(Section):
    """The GPU node pool. `limit`: the most GPUs that it may have at once."""

    families: Annotated[list[GpuFamily], Field(min_length=1)]
    capacity: Annotated[list[Capacity], Field(min_length=1)]
    limit: Annotated[int, Field(ge=1, le=256)]

    @model_validator(mode="after")
    def _has_fallback(self) -> Self:
        refuse_duplicates("families", self.families)
        refuse_duplicates("capacity", self.capacity)
        if "on-demand" not in self.capacity:
            raise ValueError("capacity has spot alone; add on-demand, which runs when there is no spot capacity")
        return self


class GitHub(Section):
    """The repository that the cluster follows, and whose workflows may assume its roles.

    GitHub writes both numbers into the tokens of repositories made or renamed since July 2026, and of those that opted
    in; `gh api repos/<owner>/<name> --jq '.owner.id, .id'` tells them.
    """

    kind: Literal["github"]
    # Another server issues its tokens elsewhere, and the roles' trust names the issuer.
    url: Literal["https://github.com"]
    repository: Repository
    owner_id: Annotated[int, Field(ge=1)] | None = None
    repository_id: Annotated[int, Field(ge=1)] | None = None

    @property
    def clone_url(self) -> str:
        return f"{self.url}/{self.repository}.git"

    @property
    def claim(self) -> str:
        """The repository as the subject of GitHub's tokens names it."""
        if self.owner_id is None:
            return self.repository
        owner, _, name = self.repository.partition("/")
        return f"{owner}@{self.owner_id}/{name}@{self.repository_id}"

    @model_validator(mode="after")
    def _both_numbers(self) -> Self:
        if (self.owner_id is None) != (self.repository_id is None):
            raise ValueError("ownerId and repositoryId belong together; write both, or neither for an older repository")
        return self


class StageRetention(Section):
    key_deletion_days: Annotated[int, Field(ge=7, le=30)]


class AwsStage(Section):
    """A cluster of its own for one or more stages, and the network around it."""

    name: ClusterName
    provider: Literal["aws"]
    account: Account
    region: Region
    shared: DnsLabel
    stages: Annotated[list[Stage], Field(min_length=1)]
    network: Network
    kubernetes: EksSettings
    gpu: Gpu | None = None
    forge: GitHub
    retention: StageRetention
    protect: bool

    @property
    def hosts_production(self) -> bool:
        return PRODUCTION in self.stages

    @model_validator(mode="after")
    def _stages_once(self) -> Self:
        refuse_duplicates("stages", self.stages)
        return self

    @model_validator(mode="after")
    def _zones_in_region(self) -> Self:
        for zone in self.network.zones:
            if zone[:-1] != self.region or not zone[-1:].islower():
                raise ValueError(
                    f"network.zones has {zone!r}, which is no zone of {self.region}; write {self.region}a or the like"
                )
        return self

    @model_validator(mode="after")
    def _administrators_of_account(self) -> Self:
        for role in self.kubernetes.administrators:
            found = ROLE.fullmatch(role)
            if found and found[1] != self.account:
                raise ValueError(
                    f"kubernetes.administrators has {role}, of another account; name a role of {self.account}"
                )
        return self

    @model_validator(mode="after")
    def _production_is_guarded(self) -> Self:
        if self.hosts_production and not self.protect:
            raise ValueError(f"protect is false where stage {PRODUCTION} is hosted; write protect: true")
        if self.hosts_production and self.kubernetes.public_cidrs:
            raise ValueError(
                f"kubernetes.publicCidrs is not empty where stage {PRODUCTION} is hosted; write publicCidrs: []"
            )
        return self
