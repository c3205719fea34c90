"""Everything that is in the emulated account, by service and kind: what a stack made, and what it forgot to take away.

AWS's own managed things, and what is deleted but still shown (a NAT gateway, a key in its waiting time), do not count.
"""

from collections.abc import Callable, Iterator
from typing import Any

from emulator.process import Emulator

Lister = Callable[[Emulator], Iterator[str]]
GONE = frozenset({"deleted", "deleting", "PendingDeletion"})


def inventory(aws: Emulator) -> dict[str, set[str]]:
    """The names or ids by kind (`ec2 vpc`); kinds of which there is nothing are left out."""
    found = {kind: set(lister(aws)) for kind, lister in LISTERS.items()}
    return {kind: names for kind, names in found.items() if names}


def left_over(aws: Emulator, before: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is there now and was not there `before`."""
    now = inventory(aws)
    return {kind: rest for kind, names in now.items() if (rest := names - before.get(kind, set()))}


def _listed(service: str, operation: str, items: str, name: str, **arguments: Any) -> Lister:
    """A lister of the items that one operation answers with, page by page."""

    def listed(aws: Emulator) -> Iterator[str]:
        client = aws.client(service)
        pages = client.get_paginator(operation).paginate(**arguments) if client.can_paginate(operation) else None
        for page in pages or [getattr(client, operation)(**arguments)]:
            for item in page[items]:
                if isinstance(item, str):
                    yield item
                elif not GONE & {item.get("State"), item.get("state"), item.get("Status")}:
                    yield str(item[name])

    return listed


def _keys(aws: Emulator) -> Iterator[str]:
    client = aws.client("kms")
    for name in _listed("kms", "list_keys", "Keys", "KeyId")(aws):
        about = client.describe_key(KeyId=name)["KeyMetadata"]
        if about["KeyManager"] == "CUSTOMER" and about["KeyState"] not in GONE:
            yield name


def _aliases(aws: Emulator) -> Iterator[str]:
    names = _listed("kms", "list_aliases", "Aliases", "AliasName")(aws)
    return (name for name in names if not name.startswith("alias/aws/"))


def _of_clusters(operation: str, items: str, name: str = "") -> Lister:
    """A lister of what belongs to each EKS cluster."""

    def listed(aws: Emulator) -> Iterator[str]:
        for cluster in aws.client("eks").list_clusters()["clusters"]:
            for item in _listed("eks", operation, items, name, clusterName=cluster)(aws):
                yield f"{cluster}/{item}"

    return listed


def _policies_of_entries(aws: Emulator) -> Iterator[str]:
    client = aws.client("eks")
    for cluster in client.list_clusters()["clusters"]:
        for principal in client.list_access_entries(clusterName=cluster)["accessEntries"]:
            found = client.list_associated_access_policies(clusterName=cluster, principalArn=principal)
            for policy in found["associatedAccessPolicies"]:
                yield f"{cluster}/{principal}/{policy['policyArn']}"


def _policies_of_roles(aws: Emulator) -> Iterator[str]:
    client = aws.client("iam")
    for role in _listed("iam", "list_roles", "Roles", "RoleName")(aws):
        for name in client.list_role_policies(RoleName=role)["PolicyNames"]:
            yield f"{role}/{name}"
        for policy in client.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            yield f"{role}/{policy['PolicyArn']}"


def _routes(aws: Emulator) -> Iterator[str]:
    for table in aws.client("ec2").describe_route_tables()["RouteTables"]:
        for route in table["Routes"]:
            if route.get("GatewayId") != "local":
                to = route.get("DestinationCidrBlock") or route.get("DestinationPrefixListId")
                yield f"{table['RouteTableId']}/{to}"


LISTERS: dict[str, Lister] = {
    "cloudwatch log group": _listed("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "ec2 address": _listed("ec2", "describe_addresses", "Addresses", "AllocationId"),
    "ec2 endpoint": _listed("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    "ec2 flow log": _listed("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    "ec2 internet gateway": _listed("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "ec2 launch template": _listed("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    "ec2 NAT gateway": _listed("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    "ec2 network interface": _listed("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    "ec2 route": _routes,
    "ec2 route table": _listed("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    "ec2 security group": _listed("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    "ec2 subnet": _listed("ec2", "describe_subnets", "Subnets", "SubnetId"),
    "ec2 vpc": _listed("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    "ecr creation template": _listed(
        "ecr", "describe_repository_creation_templates", "repositoryCreationTemplates", "prefix"
    ),
    "ecr pull-through rule": _listed(
        "ecr", "describe_pull_through_cache_rules", "pullThroughCacheRules", "ecrRepositoryPrefix"
    ),
    "ecr repository": _listed("ecr", "describe_repositories", "repositories", "repositoryName"),
    "eks access entry": _of_clusters("list_access_entries", "accessEntries"),
    "eks access policy": _policies_of_entries,
    "eks add-on": _of_clusters("list_addons", "addons"),
    "eks cluster": _listed("eks", "list_clusters", "clusters", "name"),
    "eks node group": _of_clusters("list_nodegroups", "nodegroups"),
    "eks pod identity": _of_clusters("list_pod_identity_associations", "associations", "associationId"),
    "iam OIDC provider": _listed("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList", "Arn"),
    "iam policy": _listed("iam", "list_policies", "Policies", "Arn", Scope="Local"),
    "iam role": _listed("iam", "list_roles", "Roles", "RoleName"),
    "iam role policy": _policies_of_roles,
    "kms alias": _aliases,
    "kms key": _keys,
    "s3 bucket": _listed("s3", "list_buckets", "Buckets", "Name"),
}
