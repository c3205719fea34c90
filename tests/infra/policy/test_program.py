"""The pack and the platform's own stacks: all of them pass, and each rule notices when one stops to."""

import copy
import json
import runpy
from collections.abc import Callable
from typing import Any

import pytest

import aws_stage
import host_state
import policy_engine
import program
from policy.registry import RULES
from policy_engine import Given
from recording import record
from runner_harness.process import tool
from settings import ROOT, AwsStage, Paths, load_cluster
from settings.aws import SystemNodes

pytestmark = pytest.mark.policy

ACCOUNT = program.shared().account
# A stage whose nodes are groups; no committed one is.
MANAGED = "dev, managed"
STACKS = ("local", *program.AWS_STACKS, MANAGED, ACCOUNT)
BOOTSTRAP = ROOT / "infra" / "bootstrap" / "__main__.py"
BUCKET = "aws:s3/bucket"
Mutation = Callable[[list[Given]], None]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Given]]:
    """What every stack is made of; that of the account's number is the bootstrap's."""
    tool("kustomize")
    state = tmp_path_factory.mktemp("state")
    host_state.write(state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_PLATFORM_STATE_DIR", str(state))
        recorded = {stack: program.run(stack) for stack in ("local", *program.AWS_STACKS)}
        recorded[MANAGED] = record(compose_managed, "dev", program.shared_outputs(program.shared()))
    recorded[ACCOUNT] = record(lambda: runpy.run_path(str(BOOTSTRAP)), stack=ACCOUNT, project="ml-platform-bootstrap")
    return {stack: policy_engine.of_record(found) for stack, found in recorded.items()}


def compose_managed() -> None:
    cluster = load_cluster("dev")
    assert isinstance(cluster, AwsStage)
    nodes = SystemNodes(instanceTypes=["m7i.large"], min=2, max=4)
    kubernetes = cluster.kubernetes.model_copy(update={"compute": "managed", "system_nodes": nodes})
    aws_stage.compose(cluster.model_copy(update={"kubernetes": kubernetes}), Paths.from_environment())


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_passes(stacks: dict[str, list[Given]], stack: str) -> None:
    assert policy_engine.judge(stacks[stack]) == []


def test_there_is_something_to_judge(stacks: dict[str, list[Given]]) -> None:
    """Each rule looks at some resource of some stack, or its silence would mean nothing."""
    types = {item.type for found in stacks.values() for item in found}
    assert [rule.name for rule in RULES if not any(rule.covers(type_) for type_ in types)] == []


def put(type_: str, *path: str | int, value: Any = None) -> Mutation:
    """Set a value in the first resource of a type, or take it away."""

    def mutate(resources: list[Given]) -> None:
        found: Any = first(resources, type_).inputs
        *above, last = path
        for part in above:
            found = found[part]
        if value is None:
            del found[last]
        else:
            found[last] = value

    return mutate


def without(type_: str) -> Mutation:
    """Take the first resource of a type away."""
    return lambda resources: resources.remove(first(resources, type_))


def unprotected(type_: str) -> Mutation:
    def mutate(resources: list[Given]) -> None:
        first(resources, type_).protect = False

    return mutate


def allowing(type_: str, **statement: Any) -> Mutation:
    """Add a statement to the policy of the first resource of a type."""

    def mutate(resources: list[Given]) -> None:
        key = "assumeRolePolicy" if type_ == "aws:iam/role:Role" else "policy"
        inputs = first(resources, type_).inputs
        document = json.loads(inputs[key])
        document["Statement"].append({"Effect": "Allow", **statement})
        inputs[key] = json.dumps(document)

    return mutate


def another(type_: str, name: str, **inputs: Any) -> Mutation:
    def mutate(resources: list[Given]) -> None:
        start = resources[0].urn.rsplit("::", 2)[0]
        resources.append(Given(f"{start}::{type_}::{name}", type_, name, inputs))

    return mutate


def gpu_group_without_taints(resources: list[Given]) -> None:
    for item in resources:
        if "NVIDIA" in str(item.inputs.get("amiType")):
            item.inputs["taints"] = []


def first(resources: list[Given], type_: str) -> Given:
    return next(item for item in resources if item.type == type_)


# One violation each, in a stack that passes: the rule that must notice, where, and what is done.
MUTATIONS: list[tuple[str, str, Mutation]] = [
    ("account", "prod", put("pulumi:providers:aws", "allowedAccountIds")),
    ("account", "dev", put("pulumi:providers:aws", "endpoints", value='[{"s3":"http://localhost"}]')),
    (
        "bucket-encryption",
        "shared",
        without(f"{BUCKET}ServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"),
    ),
    ("bucket-ownership", "shared", without(f"{BUCKET}OwnershipControls:BucketOwnershipControls")),
    (
        "bucket-public-access",
        "shared",
        put(f"{BUCKET}PublicAccessBlock:BucketPublicAccessBlock", "blockPublicPolicy", value=False),
    ),
    ("bucket-public-access", ACCOUNT, without(f"{BUCKET}PublicAccessBlock:BucketPublicAccessBlock")),
    ("bucket-tls", "shared", without(f"{BUCKET}Policy:BucketPolicy")),
    (
        "bucket-versioning",
        "local",
        put(f"{BUCKET}Versioning:BucketVersioning", "versioningConfiguration", "status", value="Suspended"),
    ),
    ("bucket-versioning", ACCOUNT, without(f"{BUCKET}Versioning:BucketVersioning")),
    ("cluster-encryption", "prod", put("aws:eks/cluster:Cluster", "encryptionConfig")),
    ("cluster-endpoint", "prod", put("aws:eks/cluster:Cluster", "vpcConfig", "endpointPublicAccess", value=True)),
    ("cluster-endpoint", "dev", put("aws:eks/cluster:Cluster", "vpcConfig", "endpointPublicAccess", value=True)),
    ("cluster-logs", "staging", put("aws:eks/cluster:Cluster", "enabledClusterLogTypes", value=["api"])),
    ("deletion", "prod", put("aws:kms/key:Key", "deletionWindowInDays", value=7)),
    ("deletion", "dev", put("aws:kms/key:Key", "deletionWindowInDays", value=1)),
    ("deletion", "shared", put("aws:s3/bucket:Bucket", "forceDestroy", value=True)),
    ("deletion", "shared", put("aws:ecr/repository:Repository", "forceDelete", value=True)),
    ("flow-logs", "prod", without("aws:ec2/flowLog:FlowLog")),
    (
        "gpu-limits",
        "dev",
        put("kubernetes:karpenter.sh/v1:NodePool", "spec", "template", "spec", "taints", value=[]),
    ),
    ("gpu-limits", "prod", put("kubernetes:karpenter.sh/v1:NodePool", "spec", "limits", value={"cpu": "8"})),
    ("gpu-limits", MANAGED, gpu_group_without_taints),
    ("instance-metadata", MANAGED, put("aws:eks/nodeGroup:NodeGroup", "launchTemplate")),
    (
        "instance-metadata",
        MANAGED,
        put("aws:ec2/launchTemplate:LaunchTemplate", "metadataOptions", "httpTokens", value="optional"),
    ),
    (
        "volume-encryption",
        MANAGED,
        put("aws:ec2/launchTemplate:LaunchTemplate", "blockDeviceMappings", 0, "ebs", "encrypted"),
    ),
    (
        "ingress",
        "dev",
        another("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "open", cidrIpv4="0.0.0.0/0", tags={}),
    ),
    ("key-rotation", "staging", put("aws:kms/key:Key", "enableKeyRotation")),
    ("least-privilege", "dev", allowing("aws:iam/rolePolicy:RolePolicy", Action="*", Resource="*")),
    ("least-privilege", "prod", allowing("aws:iam/rolePolicy:RolePolicy", Action="iam:*", Resource="*")),
    ("least-privilege", ACCOUNT, allowing("aws:iam/policy:Policy", Action="*", Resource="*")),
    (
        "least-privilege",
        "dev",
        another(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "administrator",
            policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
    ),
    ("protection", "prod", unprotected("aws:eks/cluster:Cluster")),
    ("protection", "shared", unprotected("aws:s3/bucket:Bucket")),
    ("protection", ACCOUNT, unprotected("aws:kms/key:Key")),
    ("repository-encryption", "shared", put("aws:ecr/repository:Repository", "encryptionConfigurations")),
    (
        "repository-scanning",
        "shared",
        without("aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration"),
    ),
    ("repository-tags", "shared", put("aws:ecr/repository:Repository", "imageTagMutability", value="MUTABLE")),
    ("required-tags", "dev", put("aws:ec2/subnet:Subnet", "tags", "Environment")),
    ("resource-policies", "shared", allowing(f"{BUCKET}Policy:BucketPolicy", Principal="*", Action="s3:GetObject")),
    ("resource-policies", "local", allowing(f"{BUCKET}Policy:BucketPolicy", Principal="*", Action="s3:GetObject")),
    ("reviewed-types", "dev", another("aws:rds/instance:Instance", "database", tags={})),
    ("role-boundary", "dev", put("aws:iam/role:Role", "permissionsBoundary")),
    ("role-trust", "dev", allowing("aws:iam/role:Role", Principal={"AWS": "*"}, Action="sts:AssumeRole")),
    (
        "role-trust",
        ACCOUNT,
        put("aws:iam/openIdConnectProvider:OpenIdConnectProvider", "clientIdLists", value=["everybody"]),
    ),
]


@pytest.mark.parametrize(
    ("rule", "stack", "mutate"), [pytest.param(*item, id=f"{item[0]} in {item[1]}") for item in MUTATIONS]
)
def test_one_violation_in_a_stack_is_noticed(
    stacks: dict[str, list[Given]], rule: str, stack: str, mutate: Mutation
) -> None:
    resources = copy.deepcopy(stacks[stack])
    mutate(resources)
    assert rule in {item.rule for item in policy_engine.judge(resources) if item.violated}


def test_every_rule_is_in_the_table() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in MUTATIONS}


def test_what_a_preview_does_not_know_is_never_passed_over(stacks: dict[str, list[Given]]) -> None:
    """Each value that the table changes, made unknown instead: the rule has something to say."""
    silent, tried = [], 0
    for rule, stack, mutate in MUTATIONS:
        changed = copy.deepcopy(stacks[stack])
        mutate(changed)
        keys = made_unknown(stacks[stack], changed)
        tried += bool(keys)
        if keys and rule not in {item.rule for item in policy_engine.judge(changed)}:
            silent.append((rule, stack, keys))
    assert silent == []
    assert tried > len(MUTATIONS) / 2


def made_unknown(before: list[Given], after: list[Given]) -> list[str]:
    """Have a preview not know what differs between two stacks; the keys, none where a resource came or went."""
    keys = []
    for old, new in zip(before, after, strict=False):
        if len(before) == len(after):
            for key in [key for key in old.inputs if old.inputs[key] != new.inputs.get(key)]:
                new.inputs[key] = policy_engine.UNKNOWN
                keys.append(key)
    return keys
