"""What still exists of an environment on AWS, by its tags: after `scripts/down` it must be nothing.

The Resource Groups Tagging API knows most types; what it leaves out (IAM, log groups that a service made again, the
cluster itself) is asked for directly. Some of its answers are of things that are gone already, and are checked.
"""

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aws import naming
from cli.failure import Failure

Client = Callable[[str], Any]


def leftovers(stack: str, client: Client) -> list[str]:
    """The ARNs of everything that still exists of `stack`, sorted. Raises Failure.

    Args:
        stack: the environment's name, which is the value of its resources' tag `Environment`.
        client: makes a client of an AWS service, by its name.
    """
    try:
        found = {arn for arn in _tagged(stack, client) if not _is_going(arn, client)}
        for more in (_roles, _policies, _clusters, _repositories, _log_groups):
            found |= set(more(stack, client))
    except (BotoCoreError, ClientError) as error:
        raise Failure(
            f"what is left of {stack} cannot be listed: {error}",
            "give your role tag:GetResources, iam:List*, eks:DescribeCluster, ecr:Describe*, logs:DescribeLogGroups",
        ) from None
    return sorted(found)


def filters(stack: str) -> list[dict[str, Any]]:
    """What marks a thing as this environment's: our own tag, and those of controllers in its cluster."""
    cluster = naming.cluster(stack)
    return [
        {"Key": "Environment", "Values": [stack]},
        {"Key": f"kubernetes.io/cluster/{cluster}"},
        {"Key": "eks:eks-cluster-name", "Values": [cluster]},
        {"Key": "elbv2.k8s.aws/cluster", "Values": [cluster]},
        {"Key": "aws:eks:cluster-name", "Values": [cluster]},
    ]


def _tagged(stack: str, client: Client) -> Iterator[str]:
    pages = client("resourcegroupstaggingapi").get_paginator("get_resources")
    for wanted in filters(stack):
        for page in pages.paginate(TagFilters=[wanted]):
            for entry in page["ResourceTagMappingList"]:
                yield entry["ResourceARN"]


def _is_going(arn: str, client: Client) -> bool:
    """Whether AWS has ended it and only still shows it, for up to an hour or a key's whole deletion window."""
    service, _, rest = arn.split(":", 5)[2], None, arn.split(":", 5)[5]
    kind, _, name = rest.partition("/")
    match service, kind:
        case "kms", "key":
            state = client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
            return state in ("PendingDeletion", "PendingReplicaDeletion")
        case "ec2", "instance":
            return _ended(client("ec2").describe_instances, "InstanceIds", name, _instance_state)
        case "ec2", "natgateway":
            return _ended(client("ec2").describe_nat_gateways, "NatGatewayIds", name, _gateway_state)
    return False


def _ended(describe: Callable[..., Any], argument: str, name: str, state: Callable[[Any], str]) -> bool:
    try:
        return state(describe(**{argument: [name]})) in ("terminated", "deleted", "")
    except ClientError as error:
        if "NotFound" in error.response.get("Error", {}).get("Code", ""):
            return True
        raise


def _instance_state(answer: Any) -> str:
    found = [one for group in answer["Reservations"] for one in group["Instances"]]
    return str(found[0]["State"]["Name"]) if found else ""


def _gateway_state(answer: Any) -> str:
    return str(answer["NatGateways"][0]["State"]) if answer["NatGateways"] else ""


def _roles(stack: str, client: Client) -> Iterator[str]:
    for page in client("iam").get_paginator("list_roles").paginate(PathPrefix=naming.role_path(stack)):
        yield from (role["Arn"] for role in page["Roles"])


def _policies(stack: str, client: Client) -> Iterator[str]:
    pages = client("iam").get_paginator("list_policies")
    for page in pages.paginate(Scope="Local", PathPrefix=naming.role_path(stack)):
        yield from (policy["Arn"] for policy in page["Policies"])


def _clusters(stack: str, client: Client) -> Iterator[str]:
    eks = client("eks")
    try:
        yield eks.describe_cluster(name=naming.cluster(stack))["cluster"]["arn"]
    except eks.exceptions.ResourceNotFoundException:
        return


def _repositories(stack: str, client: Client) -> Iterator[str]:
    ecr = client("ecr")
    for page in ecr.get_paginator("describe_repositories").paginate():
        for repository in page["repositories"]:
            tags = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
            if {"Key": "Environment", "Value": stack} in tags:
                yield repository["repositoryArn"]


def _log_groups(stack: str, client: Client) -> Iterator[str]:
    """EKS makes its group again, without our tags, when a last line comes after the group was deleted."""
    pages = client("logs").get_paginator("describe_log_groups")
    for page in pages.paginate(logGroupNamePrefix=f"/aws/eks/{naming.cluster(stack)}/"):
        yield from (group["arn"].removesuffix(":*") for group in page["logGroups"])
