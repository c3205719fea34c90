"""Whether a stack's state and the emulated account agree: no thing that the state does not know, and none missing."""

from collections.abc import Callable, Iterable
from typing import Any

from emulator.inventory import left_over
from emulator.process import Emulator

Resource = dict[str, Any]
Name = Callable[[Resource], str]


def _id(resource: Resource) -> str:
    return str(resource["id"])


def _slashed(resource: Resource) -> str:
    return _id(resource).replace(":", "/", 1)


def _pod_identity(resource: Resource) -> str:
    return f"{resource['inputs']['clusterName']}/{resource['outputs']['associationId']}"


# Resource type -> kind of the inventory, and what the inventory calls it.
KINDS: dict[str, tuple[str, Name]] = {
    "aws:cloudwatch/logGroup:LogGroup": ("cloudwatch log group", _id),
    "aws:ec2/eip:Eip": ("ec2 address", _id),
    "aws:ec2/flowLog:FlowLog": ("ec2 flow log", _id),
    "aws:ec2/internetGateway:InternetGateway": ("ec2 internet gateway", _id),
    "aws:ec2/launchTemplate:LaunchTemplate": ("ec2 launch template", _id),
    "aws:ec2/natGateway:NatGateway": ("ec2 NAT gateway", _id),
    "aws:ec2/subnet:Subnet": ("ec2 subnet", _id),
    "aws:ec2/vpc:Vpc": ("ec2 vpc", _id),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("ec2 endpoint", _id),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": ("ecr pull-through rule", _id),
    "aws:ecr/repository:Repository": ("ecr repository", _id),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": ("ecr creation template", _id),
    "aws:eks/addon:Addon": ("eks add-on", _slashed),
    "aws:eks/cluster:Cluster": ("eks cluster", _id),
    "aws:eks/nodeGroup:NodeGroup": ("eks node group", _slashed),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": ("eks pod identity", _pod_identity),
    "aws:iam/role:Role": ("iam role", _id),
    "aws:kms/alias:Alias": ("kms alias", _id),
    "aws:kms/key:Key": ("kms key", _id),
    "aws:s3/bucket:Bucket": ("s3 bucket", _id),
}


def disagreements(aws: Emulator, resources: Iterable[Resource], before: dict[str, set[str]]) -> dict[str, set[str]]:
    """By kind, what only one of both has: the account, less what was there `before`, and the state's resources."""
    there = left_over(aws, before)
    known: dict[str, set[str]] = {kind: set() for kind, _ in KINDS.values()}
    for resource in resources:
        if resource["type"] in KINDS:
            kind, name = KINDS[resource["type"]]
            known[kind].add(name(resource))
    return {kind: differ for kind, names in known.items() if (differ := names ^ there.get(kind, set()))}
