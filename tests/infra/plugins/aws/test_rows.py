"""Every resource type, from its creation to its end, against an emulated AWS."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from plugins.aws.fields import merged
from plugins.aws.provider import TYPES, Aws
from plugins.aws.row import ApiRow
from plugins.server import Deadline, ProviderError
from plugins.wire import differences

pytestmark = pytest.mark.tools

Inputs = dict[str, Any]
ACCOUNT, REGION = "123456789012", "eu-central-1"
TAGS = {"Project": "ml-platform", "Component": "test"}
ROLE_POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
SOON = 20.0


def trusted(service: str = "eks.amazonaws.com") -> str:
    principal = {"Service": service}
    statement = {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allowed(action: str) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [action], "Resource": "*"}]}
    )


def expiring(days: int) -> str:
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    return json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})


class World:
    """What the resources under test belong to, made when it is first asked for, and deleted in the end."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self._ids: dict[str, str] = {}
        self._made: list[tuple[ApiRow, str, Inputs]] = []

    def row(self, token: str) -> ApiRow:
        row = self.aws.row(token)
        assert row, token
        return row

    def make(self, token: str, inputs: Inputs, key: str = "") -> tuple[str, Inputs]:
        """Create a thing that lives as long as the world."""
        row = self.row(token)
        inputs = row.completed("world", {**inputs, **({"tags": TAGS} if row.type.tagging else {})}, {})
        identifier, outputs = row.create(inputs, Deadline(120))
        self._made.append((row, identifier, inputs))
        self._ids[key or token] = identifier
        return identifier, outputs

    def once(self, key: str, make: Callable[[], tuple[str, Inputs]]) -> str:
        if key not in self._ids:
            self._ids[key] = make()[0]
        return self._ids[key]

    @property
    def vpc(self) -> str:
        return self.once("vpc", lambda: self.make("aws:ec2/vpc:Vpc", {"cidrBlock": "10.9.0.0/16"}))

    def subnet(self, number: int = 0) -> str:
        zone, block = f"{REGION}{'ab'[number % 2]}", f"10.9.{number}.0/24"
        inputs = {"vpcId": self.vpc, "cidrBlock": block, "availabilityZone": zone}
        return self.once(f"subnet{number}", lambda: self.make("aws:ec2/subnet:Subnet", inputs))

    def address(self, number: int = 0) -> str:
        return self.once(f"address{number}", lambda: self.make("aws:ec2/eip:Eip", {}))

    def gateway(self, number: int = 0) -> str:
        kind, inputs = "aws:ec2/internetGateway:InternetGateway", {} if number else {"vpcId": self.vpc}
        return self.once(f"gateway{number}", lambda: self.make(kind, inputs))

    def table(self, number: int = 0) -> str:
        return self.once(f"table{number}", lambda: self.make("aws:ec2/routeTable:RouteTable", {"vpcId": self.vpc}))

    def group(self, number: int = 0) -> str:
        kind = "aws:ec2/securityGroup:SecurityGroup"
        return self.once(f"group{number}", lambda: self.make(kind, {"vpcId": self.vpc}))

    @property
    def role(self) -> str:
        return self.once("role", lambda: self.make("aws:iam/role:Role", {"assumeRolePolicy": trusted()}))

    def role_arn(self, number: int = 0) -> str:
        name = self.role if not number else self.once(f"role{number}", self._another_role)
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def _another_role(self) -> tuple[str, Inputs]:
        return self.make("aws:iam/role:Role", {"assumeRolePolicy": trusted("pods.eks.amazonaws.com")})

    def key(self, number: int = 0) -> str:
        return self.once(f"key{number}", lambda: self.make("aws:kms/key:Key", {"deletionWindowInDays": 7}))

    def key_arn(self, number: int = 0) -> str:
        return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{self.key(number)}"

    @property
    def log_group_arn(self) -> str:
        name = self.once("log group", lambda: self.make("aws:cloudwatch/logGroup:LogGroup", {}))
        return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"

    @property
    def bucket(self) -> str:
        return self.once("bucket", lambda: self.make("aws:s3/bucket:Bucket", {"bucket": "rows-world"}))

    @property
    def repository(self) -> str:
        return self.once("repository", lambda: self.make("aws:ecr/repository:Repository", {}))

    @property
    def cluster(self) -> str:
        return self.once("cluster", lambda: self.make("aws:eks/cluster:Cluster", managed(self, "rows-world")))

    def template(self, number: int = 0) -> str:
        kind, inputs = "aws:ec2/launchTemplate:LaunchTemplate", {"instanceType": "m7i.large"}
        return self.once(f"template{number}", lambda: self.make(kind, inputs))

    def entry(self) -> str:
        inputs = {"clusterName": self.cluster, "principalArn": self.role_arn()}
        self.once("entry", lambda: self.make("aws:eks/accessEntry:AccessEntry", inputs))
        return self.role_arn()

    def end(self) -> None:
        for row, identifier, inputs in reversed(self._made):
            row.delete(identifier, inputs, Deadline(60))


def managed(world: World, name: str) -> Inputs:
    """A cluster with all that a stack sets, without Auto Mode."""
    return {
        "name": name,
        "roleArn": world.role_arn(),
        "version": "1.33",
        "vpcConfig": {
            "subnetIds": [world.subnet(0), world.subnet(1)],
            "endpointPrivateAccess": True,
            "endpointPublicAccess": False,
        },
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        "encryptionConfig": {"provider": {"keyArn": world.key_arn()}, "resources": ["secrets"]},
        "enabledClusterLogTypes": ["audit", "api"],
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "elasticLoadBalancing": {"enabled": False}},
        "computeConfig": {"enabled": False},
        "storageConfig": {"blockStorage": {"enabled": False}},
        "upgradePolicy": {"supportType": "STANDARD"},
        "bootstrapSelfManagedAddons": False,
        "deletionProtection": False,
    }


@dataclass(frozen=True)
class Case:
    """A resource type: its inputs, what changes in place and to what, what needs a new one and what it would be.

    `untold` are properties whose change the emulator takes and does not tell again, and why that is so.
    """

    token: str
    inputs: Callable[[World], Inputs]
    changes: Callable[[World], list[Inputs]] = lambda world: []
    replacing: Inputs = field(default_factory=dict)
    untold: dict[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    stays: bool = False  # after it was deleted
    imported: bool = True  # by nothing but its identifier


def bucket_setting(name: str, before: Inputs, after: Inputs, **options: Any) -> Case:
    token = f"aws:s3/{name[0].lower()}{name[1:]}:{name}"
    return Case(
        token,
        lambda world: {"bucket": world.bucket, **before},
        lambda world: [after],
        {"bucket": "another"},
        **options,
    )


def sse(algorithm: str, **more: Any) -> Inputs:
    return {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": algorithm}, **more}]}


def expiry(days: int) -> Inputs:
    rules = [
        {"id": "old", "status": "Enabled", "filter": {}, "noncurrentVersionExpiration": {"noncurrentDays": days}},
        {"id": "markers", "status": "Enabled", "filter": {}, "expiration": {"expiredObjectDeleteMarker": True}},
        {
            "id": "parts",
            "status": "Enabled",
            "filter": {"prefix": "up/"},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
        },
    ]
    return {"rules": rules}


def rule(direction: str) -> Case:
    return Case(
        f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule",
        lambda world: {
            "securityGroupId": world.group(),
            "description": "HTTPS",
            "cidrIpv4": "10.9.0.0/16",
            "ipProtocol": "tcp",
            "fromPort": 443,
            "toPort": 443,
        },
        lambda world: [
            {"description": "TLS"},
            {"fromPort": 8443, "toPort": 8444},
            {"ipProtocol": "udp"},
            {"cidrIpv4": "10.8.0.0/16"},
        ],
        {"securityGroupId": "sg-0", "cidrIpv4": None},
        untold=dict.fromkeys(("cidrIpv6", "prefixListId", "referencedSecurityGroupId"), "one source at a time"),
        outputs=("arn", "securityGroupRuleId"),
    )


PRIVATE_BLOCK = {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True}
GROUP_NODES = {"scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 0}, "labels": {"a": "1", "b": "2"}}
TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}
VOLUME = {"encrypted": "true", "volumeType": "gp3", "volumeSize": 100, "deleteOnTermination": "true"}

CASES = (
    Case(
        "aws:ec2/vpc:Vpc",
        lambda world: {"cidrBlock": "10.7.0.0/16", "enableDnsHostnames": True, "enableDnsSupport": True},
        lambda world: [{"enableDnsHostnames": False}, {"enableDnsSupport": False}],
        {"cidrBlock": "10.6.0.0/16", "instanceTenancy": "dedicated"},
        outputs=("arn", "ownerId"),
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        lambda world: {
            "vpcId": world.vpc,
            "cidrBlock": "10.9.200.0/24",
            "availabilityZone": f"{REGION}a",
            "mapPublicIpOnLaunch": False,
        },
        lambda world: [{"mapPublicIpOnLaunch": True}],
        {"vpcId": "vpc-0", "cidrBlock": "10.9.201.0/24", "availabilityZone": f"{REGION}b"},
        outputs=("arn", "availabilityZoneId"),
    ),
    Case(
        "aws:ec2/internetGateway:InternetGateway",
        lambda world: {
            "vpcId": world.once("other vpc", lambda: world.make("aws:ec2/vpc:Vpc", {"cidrBlock": "10.5.0.0/16"}))
        },
        lambda world: [
            {"vpcId": world.once("third vpc", lambda: world.make("aws:ec2/vpc:Vpc", {"cidrBlock": "10.4.0.0/16"}))}
        ],
        outputs=("arn",),
    ),
    Case("aws:ec2/eip:Eip", lambda world: {"domain": "vpc"}, outputs=("publicIp", "allocationId", "arn")),
    Case(
        "aws:ec2/natGateway:NatGateway",
        lambda world: {"allocationId": world.address(), "subnetId": world.subnet(), "connectivityType": "public"},
        replacing={"allocationId": "eipalloc-0", "subnetId": "subnet-0", "connectivityType": "private"},
        outputs=("publicIp",),
    ),
    Case(
        "aws:ec2/routeTable:RouteTable",
        lambda world: {"vpcId": world.vpc},
        replacing={"vpcId": "vpc-0"},
        outputs=("arn",),
    ),
    Case(
        "aws:ec2/route:Route",
        lambda world: {
            "routeTableId": world.table(),
            "destinationCidrBlock": "0.0.0.0/0",
            "gatewayId": world.gateway(),
        },
        lambda world: [{"gatewayId": world.gateway(1)}],
        {"routeTableId": "rtb-0", "destinationCidrBlock": "10.0.0.0/8"},
        imported=False,
        untold=dict.fromkeys(
            ("natGatewayId", "transitGatewayId", "vpcEndpointId", "vpcPeeringConnectionId"), "one target at a time"
        ),
    ),
    Case(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        lambda world: {"routeTableId": world.table(), "subnetId": world.subnet(2)},
        replacing={"routeTableId": "rtb-0", "subnetId": "subnet-0"},
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        lambda world: {"vpcId": world.vpc, "description": "of a test"},
        replacing={"vpcId": "vpc-0", "description": "of another", "name": "another"},
        outputs=("arn", "name"),
    ),
    Case(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        lambda world: {"vpcId": world.vpc, "ingress": [], "egress": []},
        replacing={"vpcId": "vpc-0"},
        untold={"ingress": "empty is all there is", "egress": "empty is all there is"},
        stays=True,
    ),
    rule("Ingress"),
    rule("Egress"),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        lambda world: {
            "vpcId": world.vpc,
            "serviceName": f"com.amazonaws.{REGION}.s3",
            "vpcEndpointType": "Gateway",
            "routeTableIds": [world.table(), world.table(1)],
        },
        lambda world: [
            {"routeTableIds": [world.table(1), world.table(2)]},
            {"routeTableIds": [world.table(1)]},
            {"policy": allowed("s3:GetObject")},
        ],
        {"vpcId": "vpc-0", "serviceName": "com.amazonaws.eu-central-1.dynamodb", "vpcEndpointType": "Interface"},
        untold=dict.fromkeys(("subnetIds", "securityGroupIds", "privateDnsEnabled"), "of an interface endpoint"),
        outputs=("arn",),
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        lambda world: {
            "vpcId": world.vpc,
            "serviceName": f"com.amazonaws.{REGION}.ecr.api",
            "vpcEndpointType": "Interface",
            "subnetIds": [world.subnet(0), world.subnet(1)],
            "securityGroupIds": [world.group()],
            "privateDnsEnabled": True,
        },
        lambda world: [
            {"subnetIds": [world.subnet(1)]},
            {"securityGroupIds": [world.group(1)]},
        ],
        untold={
            "privateDnsEnabled": "moto does not change it",
            "routeTableIds": "of a gateway endpoint",
            "policy": "tried with the gateway endpoint",
        },
    ),
    Case(
        "aws:ec2/flowLog:FlowLog",
        lambda world: {
            "vpcId": world.vpc,
            "trafficType": "ALL",
            "logDestinationType": "cloud-watch-logs",
            "logDestination": world.log_group_arn,
            "iamRoleArn": world.role_arn(),
            "maxAggregationInterval": 60,
        },
        replacing={
            "vpcId": "vpc-0",
            "trafficType": "REJECT",
            "logDestinationType": "s3",
            "logDestination": "arn:aws:s3:::logs",
            "iamRoleArn": "arn:aws:iam::1:role/x",
            "maxAggregationInterval": 600,
        },
        outputs=("arn",),
    ),
    Case(
        "aws:ec2/launchTemplate:LaunchTemplate",
        lambda world: {
            "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
            "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": VOLUME}],
            "tagSpecifications": [{"resourceType": "instance", "tags": TAGS}],
            "updateDefaultVersion": True,
            "instanceType": "m7i.large",
        },
        lambda world: [
            {"metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "optional", "httpPutResponseHopLimit": 2}},
            {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {**VOLUME, "volumeSize": 200}}]},
            {"tagSpecifications": [{"resourceType": "volume", "tags": TAGS}]},
            {"instanceType": "m7i.xlarge", "imageId": "ami-1", "userData": "ZWNobw=="},
            {"vpcSecurityGroupIds": [world.group()]},
            {"description": "another"},
        ],
        {"name": "another"},
        untold={"tags": "moto keeps those that a template was made with"},
        outputs=("arn", "latestVersion", "defaultVersion", "name"),
    ),
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        lambda world: {"retentionInDays": 30},
        lambda world: [{"retentionInDays": 14}],
        {"name": "another", "logGroupClass": "INFREQUENT_ACCESS"},
        untold={"kmsKeyId": "moto lacks AssociateKmsKey"},
        outputs=("arn", "name"),
    ),
    Case(
        "aws:kms/key:Key",
        lambda world: {"description": "a key", "enableKeyRotation": True, "deletionWindowInDays": 7},
        lambda world: [
            {"description": "the key"},
            {"enableKeyRotation": False},
            {
                "policy": json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                                "Action": "kms:*",
                                "Resource": "*",
                            }
                        ],
                    }
                )
            },
        ],
        {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "RSA_2048", "multiRegion": True},
        outputs=("arn", "keyId"),
    ),
    Case(
        "aws:kms/alias:Alias",
        lambda world: {"targetKeyId": world.key()},
        lambda world: [{"targetKeyId": world.key(1)}],
        {"name": "alias/another"},
        outputs=("arn", "name", "targetKeyArn"),
    ),
    Case(
        "aws:iam/role:Role",
        lambda world: {
            "assumeRolePolicy": trusted(),
            "description": "a role",
            "maxSessionDuration": 7200,
            "permissionsBoundary": ROLE_POLICY,
        },
        lambda world: [
            {"assumeRolePolicy": trusted("ec2.amazonaws.com")},
            {"description": "the role", "maxSessionDuration": 3600},
            {"permissionsBoundary": "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"},
        ],
        {"name": "another", "path": "/ml/"},
        outputs=("arn", "name", "uniqueId"),
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        lambda world: {"role": world.role, "policy": allowed("s3:GetObject")},
        lambda world: [{"policy": allowed("s3:PutObject")}],
        {"role": "another", "name": "another"},
    ),
    Case(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        lambda world: {"role": world.role, "policyArn": ROLE_POLICY},
        replacing={"role": "another", "policyArn": "arn:aws:iam::aws:policy/Another"},
    ),
    Case(
        "aws:iam/policy:Policy",
        lambda world: {"policy": allowed("s3:GetObject"), "description": "a policy"},
        lambda world: [
            {"policy": allowed(f"s3:{one}Object")} for one in ("Put", "Delete", "Head", "Copy", "List", "Get")
        ],
        {"name": "another", "description": "another", "path": "/ml/"},
        outputs=("arn", "policyId"),
    ),
    Case(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        lambda world: {
            "url": "https://token.actions.githubusercontent.com",
            "clientIdLists": ["sts.amazonaws.com"],
            "thumbprintLists": ["6938fd4d98bab03faadb97b34396831e3780aea1"],
        },
        lambda world: [{"thumbprintLists": ["1c58a3a8518e8759bf075b76b750d4f2df264fcd"]}],
        {"url": "https://another.example.com"},
        untold={"clientIdLists": "moto lacks AddClientIDToOpenIDConnectProvider"},
        outputs=("arn",),
    ),
    Case(
        "aws:eks/cluster:Cluster",
        lambda world: managed(world, "rows-case"),
        lambda world: [
            {"version": "1.34"},
            {
                "vpcConfig": {
                    "subnetIds": [world.subnet(0), world.subnet(1), world.subnet(2)],
                    "securityGroupIds": [world.group()],
                    "endpointPrivateAccess": True,
                    "endpointPublicAccess": True,
                    "publicAccessCidrs": ["203.0.113.0/24"],
                }
            },
            {
                "accessConfig": {
                    "authenticationMode": "API_AND_CONFIG_MAP",
                    "bootstrapClusterCreatorAdminPermissions": False,
                }
            },
            {
                "computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": world.role_arn(1)},
                "storageConfig": {"blockStorage": {"enabled": True}},
                "kubernetesNetworkConfig": {
                    "serviceIpv4Cidr": "172.20.0.0/16",
                    "elasticLoadBalancing": {"enabled": True},
                },
            },
            {"enabledClusterLogTypes": ["scheduler"]},
            {"upgradePolicy": {"supportType": "EXTENDED"}},
            {"deletionProtection": True},
        ],
        {
            "name": "another",
            "roleArn": "arn:aws:iam::1:role/x",
            "encryptionConfig": {"provider": {"keyArn": "arn:aws:kms:eu-central-1:1:key/x"}, "resources": ["secrets"]},
            "bootstrapSelfManagedAddons": True,
        },
        outputs=("arn", "endpoint", "certificateAuthority", "identities"),
    ),
    Case(
        "aws:eks/nodeGroup:NodeGroup",
        lambda world: {
            "clusterName": world.cluster,
            "nodeRoleArn": world.role_arn(1),
            "subnetIds": [world.subnet(0), world.subnet(1)],
            "amiType": "AL2023_x86_64_NVIDIA",
            "capacityType": "SPOT",
            "instanceTypes": ["g6.xlarge"],
            "launchTemplate": {"id": world.template(), "version": "1"},
            "taints": [TAINT],
            "updateConfig": {"maxUnavailable": 1},
            "nodeRepairConfig": {"enabled": True},
            "version": "1.33",
            **GROUP_NODES,
        },
        lambda world: [
            {"scalingConfig": {"minSize": 0, "maxSize": 3, "desiredSize": 0}},
            {"labels": {"a": "2", "c": "3"}},
            {"taints": [{**TAINT, "effect": "NO_EXECUTE"}]},
            {"updateConfig": {"maxUnavailable": 2}},
            {"nodeRepairConfig": {"enabled": False}},
            {"launchTemplate": {"id": world.template(), "version": "$Latest"}},
        ],
        {
            "clusterName": "another",
            "nodeGroupName": "another",
            "nodeRoleArn": "arn:aws:iam::1:role/x",
            "subnetIds": ["subnet-0"],
            "amiType": "AL2023_x86_64_STANDARD",
            "capacityType": "ON_DEMAND",
            "instanceTypes": ["g5.xlarge"],
            "launchTemplate": {"id": "lt-0", "version": "1"},
            "diskSize": 50,
        },
        untold={
            "version": "follows the cluster's",
            "releaseVersion": "follows the cluster's",
        },
        outputs=("arn",),
    ),
    Case(
        "aws:eks/addon:Addon",
        lambda world: {
            "clusterName": world.cluster,
            "addonName": "coredns",
            "resolveConflictsOnCreate": "OVERWRITE",
            "resolveConflictsOnUpdate": "OVERWRITE",
        },
        lambda world: [
            {"configurationValues": json.dumps({"replicaCount": 3})},
            {"serviceAccountRoleArn": world.role_arn(1)},
        ],
        {"clusterName": "another", "addonName": "kube-proxy"},
        untold={"addonVersion": "which there are depends on the cluster's"},
        outputs=("arn",),
    ),
    Case(
        "aws:eks/accessEntry:AccessEntry",
        lambda world: {"clusterName": world.cluster, "principalArn": world.role_arn(2), "type": "STANDARD"},
        lambda world: [{"kubernetesGroups": ["readers"]}, {"userName": "somebody"}],
        {"clusterName": "another", "principalArn": "arn:aws:iam::1:role/x", "type": "EC2"},
        outputs=("accessEntryArn",),
    ),
    Case(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        lambda world: {
            "clusterName": world.cluster,
            "principalArn": world.entry(),
            "policyArn": VIEW,
            "accessScope": {"type": "namespace", "namespaces": ["b", "a"]},
        },
        replacing={
            "clusterName": "another",
            "principalArn": "arn:aws:iam::1:role/x",
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminPolicy",
            "accessScope": {"type": "cluster"},
        },
    ),
    Case(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        lambda world: {
            "clusterName": world.cluster,
            "namespace": "dev",
            "serviceAccount": "runner",
            "roleArn": world.role_arn(1),
        },
        lambda world: [
            {"roleArn": world.role_arn()},
            {"targetRoleArn": "arn:aws:iam::210987654321:role/data"},
            {"disableSessionTags": True},
        ],
        {"clusterName": "another", "namespace": "prod", "serviceAccount": "server"},
        outputs=("associationArn", "associationId"),
        imported=False,
    ),
    Case(
        "aws:s3/bucket:Bucket",
        lambda world: {"bucket": "rows-case", "forceDestroy": False},
        replacing={"bucket": "another"},
        outputs=("arn", "bucketDomainName"),
    ),
    bucket_setting(
        "BucketVersioning",
        {"versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
        stays=True,
    ),
    bucket_setting(
        "BucketPublicAccessBlock",
        {**PRIVATE_BLOCK, "restrictPublicBuckets": True},
        {
            "restrictPublicBuckets": False,
            "blockPublicAcls": False,
            "blockPublicPolicy": False,
            "ignorePublicAcls": False,
        },
    ),
    bucket_setting("BucketServerSideEncryptionConfiguration", sse("AES256"), sse("aws:kms", bucketKeyEnabled=True)),
    bucket_setting(
        "BucketOwnershipControls",
        {"rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    ),
    bucket_setting("BucketLifecycleConfiguration", expiry(30), expiry(60)),
    bucket_setting("BucketPolicy", {"policy": allowed("s3:GetObject")}, {"policy": allowed("s3:ListBucket")}),
    Case(
        "aws:ecr/repository:Repository",
        lambda world: {
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "AES256"}],
            "forceDelete": False,
        },
        lambda world: [{"imageTagMutability": "MUTABLE"}, {"imageScanningConfiguration": {"scanOnPush": False}}],
        {"name": "another", "encryptionConfigurations": [{"encryptionType": "KMS"}]},
        outputs=("arn", "repositoryUrl", "registryId"),
    ),
    Case(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        lambda world: {"repository": world.repository, "policy": expiring(14)},
        lambda world: [{"policy": expiring(7)}],
        {"repository": "another"},
    ),
    Case(
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        lambda world: {"repository": world.repository, "policy": allowed("ecr:BatchGetImage")},
        lambda world: [{"policy": allowed("ecr:PutImage")}],
        {"repository": "another"},
    ),
    Case(
        "aws:ecr/registryPolicy:RegistryPolicy",
        lambda world: {"policy": registry("ecr:CreateRepository")},
        lambda world: [{"policy": registry("ecr:ReplicateImage")}],
    ),
    Case(
        "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration",
        lambda world: {"scanType": "BASIC", "rules": [scanning("SCAN_ON_PUSH")]},
        lambda world: [
            {"rules": [scanning("MANUAL")]},
            {"scanType": "ENHANCED", "rules": [scanning("CONTINUOUS_SCAN")]},
        ],
        outputs=("registryId",),
    ),
    Case(
        "aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
        lambda world: {"ecrRepositoryPrefix": "quay.io", "upstreamRegistryUrl": "quay.io"},
        replacing={
            "ecrRepositoryPrefix": "another",
            "upstreamRegistryUrl": "registry.k8s.io",
            "upstreamRepositoryPrefix": "a",
        },
        untold={"credentialArn": "for registries that need one", "customRoleArn": "for registries that need one"},
    ),
    Case(
        "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate",
        lambda world: {
            "prefix": "quay.io",
            "appliedFors": ["PULL_THROUGH_CACHE"],
            "description": "caches",
            "imageTagMutability": "IMMUTABLE",
            "encryptionConfigurations": [{"encryptionType": "AES256"}],
            "lifecyclePolicy": expiring(14),
            "resourceTags": TAGS,
            "customRoleArn": world.role_arn(),
        },
        lambda world: [
            {"description": "mirrors"},
            {"imageTagMutability": "MUTABLE"},
            {"appliedFors": ["REPLICATION", "PULL_THROUGH_CACHE"]},
            {"encryptionConfigurations": [{"encryptionType": "KMS"}]},
            {"lifecyclePolicy": expiring(7), "repositoryPolicy": allowed("ecr:BatchGetImage")},
            {"resourceTags": {"Project": "other"}},
            {"customRoleArn": world.role_arn(1)},
        ],
        {"prefix": "another"},
    ),
)


def registry(action: str) -> str:
    principal, resource = {"AWS": "arn:aws:iam::210987654321:root"}, f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*"
    statement = {"Sid": "x", "Effect": "Allow", "Principal": principal, "Action": [action], "Resource": [resource]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def scanning(frequency: str) -> Inputs:
    return {"scanFrequency": frequency, "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}]}


def names(case: Case) -> str:
    return case.token.rpartition(":")[2]


@pytest.fixture(scope="module")
def world(aws: Aws) -> Iterator[World]:
    world = World(aws)
    yield world
    world.end()


def test_every_type_has_a_case() -> None:
    assert {case.token for case in CASES} == set(TYPES)


@pytest.mark.parametrize("case", CASES, ids=names)
def test_a_life(world: World, case: Case) -> None:
    """Create, read, change each property, see it drift, replace, delete, delete again."""
    row = world.row(case.token)
    tags = {"tags": {**TAGS, "Name": names(case)}} if row.type.tagging else {}
    inputs = row.completed(names(case).lower(), {**case.inputs(world), **tags}, {})
    assert list(row.check(inputs)) == []
    assert case.stays or row.find(inputs) == [] or not row.type.search
    identifier, outputs = row.create(inputs, Deadline(SOON))
    try:
        assert {name for name in case.outputs if not outputs.get(name)} == set()
        assert row.read(identifier, inputs, outputs) == (inputs, outputs)
        assert row.find(inputs) == [identifier]
        inputs = _changed(world, case, row, identifier, inputs)
        _replaced(case, row, inputs)
        if case.imported:
            imported = row.read(identifier, {}, {})
            assert imported
            assert list(row.check(imported[0])) == []
    finally:
        if inputs.get("deletionProtection"):
            row.update(identifier, inputs, {**inputs, "deletionProtection": False}, Deadline(SOON))
        row.delete(identifier, inputs, Deadline(SOON))
    assert case.stays or row.read(identifier, inputs, outputs) is None
    row.delete(identifier, inputs, Deadline(SOON))


def _changed(world: World, case: Case, row: ApiRow, identifier: str, inputs: Inputs) -> Inputs:
    """Change every property that can be changed, one after another; the inputs in the end."""
    changes = case.changes(world)
    if row.type.tagging and "tags" not in case.untold:
        changes = [*changes, {"tags": {**TAGS, "Project": "other", "Name": "x"}}, {"tags": {"Project": "other"}}]
    changeable = {one.name for one in row._fields if not (one.fixed or one.local or one.write_only)}
    nested = {one.name for one in row._fields if one.fields and all(inner.fixed for inner in one.fields)}
    tried = {name for change in changes for name in change}
    identity = set(row.type.named_by)
    assert changeable - nested - tried - case.untold.keys() - identity == set(), "properties that the case leaves out"
    for change in changes:
        news = {**inputs, **change}
        found = list(differences(inputs, news))
        assert found, change
        assert not [str(one) for one in found if row.replaces(one, inputs)], change
        outputs = row.update(identifier, inputs, news, Deadline(SOON))
        # The state still has the inputs of before: that they no longer hold is what a refresh tells.
        drifted, _ = row.read(identifier, inputs, outputs) or ({}, {})
        for name in change.keys() & inputs.keys():
            assert drifted[name] != inputs[name], f"{name} does not drift"
            one = next(one for one in row._fields if one.name == name)
            assert merged([one], {name: drifted[name]}, {name: change[name]}) == {name: drifted[name]}, name
        assert row.read(identifier, news, outputs) == (news, outputs)
        inputs = news
    return inputs


def _replaced(case: Case, row: ApiRow, inputs: Inputs) -> None:
    for name, value in case.replacing.items():
        news = {key: item for key, item in {**inputs, name: value}.items() if item is not None}
        assert any(row.replaces(one, inputs) for one in differences(inputs, news)), name
    fixed = {one.name for one in row._fields if one.fixed}
    assert fixed - case.replacing.keys() - {"domain"} == set() or case.token in {
        other.token for other in CASES if other is not case
    }


def test_an_unknown_property_is_refused_at_any_depth(aws: Aws) -> None:
    row = aws.row("aws:eks/cluster:Cluster")
    assert row
    inputs = {"roleArn": "r", "vpcConfig": {"subnetIds": ["s"], "endpointPublic": True}, "colour": "red"}
    assert [problem.path for problem in row.check(inputs)] == ["colour", "vpcConfig.endpointPublic"]


def test_a_create_that_fails_changes_nothing(world: World) -> None:
    row = world.row("aws:ec2/subnet:Subnet")
    inputs = {"vpcId": world.vpc, "cidrBlock": "192.168.0.0/24"}
    with pytest.raises(ProviderError, match=r"subnet: .*InvalidSubnet\.Range"):
        row.create(inputs, Deadline(1))
    assert row.find(inputs) == []
