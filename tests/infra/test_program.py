"""The whole program, recorded: what each stack is made of, without an engine."""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest

import example
import host_state
import program
from recording import Recording
from runner_harness.process import tool
from settings import ROOT, cluster_names

pytestmark = pytest.mark.tools

STACKS = ("local", *program.AWS_STACKS)
ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]\b")
# A secret of the stack's own settings.
CONFIG = {"ml-platform:forgeToken": "forge-token-0123", "ml-platform:webhookSecret": "webhook-secret-0123"}
# Whose resources a process that ran the program as one stack has imported. Every service is in sys.modules, but lazy.
SERVICES = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
import program
program.run(sys.argv[2])
parts = [name.split(".") for name in sys.modules if name.startswith("pulumi_aws.")]
print(json.dumps([name[1] for name in parts if len(name) == 3]))
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state")
    host_state.write(path)
    return path


@pytest.fixture(scope="module")
def recordings(state: Path) -> dict[str, Recording]:
    """Every stack of the example, on a host whose state is there."""
    tool("kustomize")
    with pytest.MonkeyPatch.context() as patch, example.instead():
        patch.setenv("ML_PLATFORM_STATE_DIR", str(state))
        return {stack: program.run(stack, CONFIG if stack in program.STAGES else None) for stack in STACKS}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recorded(recordings: dict[str, Recording], stack: str) -> Recording:
    return recordings[stack]


def test_every_cluster_is_a_stack() -> None:
    assert set(STACKS) == set(cluster_names(example.EXAMPLE))


def test_the_urns_are_these(stack: str, recorded: Recording) -> None:
    """A renamed resource is deleted and made anew."""
    path = program.golden(stack)
    known = path.read_text().split("\n")[:-1]
    assert program.urns(stack, recorded) == known, (
        f"where a rename is meant, give the resource its old name as an alias (pulumi.ResourceOptions.aliases) in the"
        f" same commit; then write the new list to {path.relative_to(ROOT)}"
    )


def test_stages_differ_only_where_their_settings_do(recordings: dict[str, Recording]) -> None:
    """Each has its own name in some, and its own zones in others."""

    def alike(stage: str) -> set[str]:
        return {re.sub(rf"\b{stage}\b", "STAGE", urn) for urn in recordings[stage].urns()}

    for stage in program.STAGES:
        assert all(ZONE.search(urn) for urn in alike("dev") ^ alike(stage)), stage


def test_every_resource_names_its_provider(recorded: Recording) -> None:
    """Default providers are disabled in Pulumi.yaml; without one a resource could not even be registered."""
    for item in recorded:
        if not item.type.startswith(("pulumi:", "ml-platform:")):
            assert item.provider, item.urn


def test_everything_on_aws_that_takes_tags_says_whose_it_is(stack: str, recorded: Recording) -> None:
    if stack == "local":
        return
    for item in recorded:
        if item.type.startswith("aws:"):
            service, _, name = item.type.removeprefix("aws:").partition("/")
            accepted = inspect.signature(
                getattr(importlib.import_module(f"pulumi_aws.{service}"), f"{name.partition(':')[2]}Args")
            ).parameters
            for key, wire in (("tags", "tags"), ("resource_tags", "resourceTags")):
                if key in accepted:
                    found = item.inputs.get(wire, {})
                    assert found.get("Environment") == stack, item.urn
                    assert {"Project", "Component", "ManagedBy"} <= set(found), item.urn


def test_roles_stay_below_the_stacks_path_and_boundary(stack: str, recorded: Recording) -> None:
    for role in recorded.of("aws:iam/role:Role"):
        assert role.inputs["path"] == f"/ml-platform/{stack}/"
        assert role.inputs["permissionsBoundary"].endswith(f":policy/ml-platform-boundary-{stack}")


def test_what_cannot_be_had_again_is_protected_and_nothing_else_is(recordings: dict[str, Recording]) -> None:
    protected = {stack: {item.type for item in found if item.protect} for stack, found in recordings.items()}
    cluster = {"aws:eks/cluster:Cluster", "aws:kms/key:Key"}
    assert protected["shared"] == {"aws:s3/bucket:Bucket", "aws:ecr/repository:Repository"}
    assert protected["prod"] == cluster
    assert protected["local"] == {"aws:s3/bucket:Bucket"}
    assert protected["dev"] == set()


def test_objects_of_a_cluster_are_gone_with_it(stack: str, recorded: Recording) -> None:
    if stack not in program.STAGES:
        return
    cluster = recorded.one("aws:eks/cluster:Cluster", "cluster").urn
    objects = [item for item in recorded if item.type.startswith("kubernetes:")]
    assert len(objects) > 50
    assert {item.deleted_with for item in objects} == {cluster}


def _readable(value: object, path: str, secrets: frozenset[str], values: set[str]) -> list[str]:
    """The paths below which a secret can be read."""
    match value:
        case dict():
            return [
                found
                for key, item in value.items()
                for found in _readable(item, f"{path}.{key}".lstrip("."), secrets, values)
            ]
        case list():
            return [found for item in value for found in _readable(item, f"{path}[]", secrets, values)]
        case str() if path not in secrets and any(known in value for known in values):
            return [path]
    return []


def test_every_secret_is_secret_wherever_it_goes(recorded: Recording) -> None:
    values = {host_state.secret(name) for name in host_state.SECRETS} | set(CONFIG.values())
    for item in recorded:
        assert _readable(item.inputs, "", item.secrets, values) == [], item.urn


def test_the_stacks_own_secrets_arrive(recordings: dict[str, Recording]) -> None:
    for stage in program.STAGES:
        secret = recordings[stage].one("kubernetes:core/v1:Secret", "argocd-secret-argocd-secret").inputs
        # Of every kind of webhook, so that none is taken unsigned.
        assert set(secret["stringData"].values()) == {"webhook-secret-0123"}
        assert {"webhook.github.secret", "webhook.gitlab.secret"} < set(secret["stringData"])
        repository = recordings[stage].one("kubernetes:core/v1:Secret", "gitops-repository").inputs
        assert repository["stringData"]["password"] == "forge-token-0123"


def test_names_are_given_once(stack: str, recorded: Recording) -> None:
    objects = [
        (item.type, item.inputs["metadata"].get("namespace"), item.inputs["metadata"]["name"])
        for item in recorded
        if item.type.startswith("kubernetes:")
    ]
    assert len(set(objects)) == len(objects)
    assert len(objects) > 60 or stack == "shared" or stack in program.STAGES


@pytest.mark.parametrize(
    ("stack", "used", "unused"),
    [
        ("local", {"s3"}, {"ec2", "eks", "ecr", "iam", "kms"}),
        ("shared", {"s3", "ecr", "iam"}, {"ec2", "eks"}),
        ("dev", {"ec2", "eks", "iam", "kms", "cloudwatch"}, {"s3", "ecr"}),
    ],
)
def test_a_stack_imports_only_the_services_that_it_uses(
    stack: str, used: set[str], unused: set[str], state: Path
) -> None:
    folders = json.dumps([str(ROOT / "infra"), str(ROOT / "src"), str(ROOT / "tests" / "support")])
    environment = {**os.environ, "ML_PLATFORM_STATE_DIR": str(state)}
    done = subprocess.run(
        [sys.executable, "-c", SERVICES, folders, stack], env=environment, check=True, capture_output=True, text=True
    )
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    assert used <= imported
    assert imported.isdisjoint(unused)


def test_a_mistake_is_one_message_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host_state.write(tmp_path)
    (tmp_path / "secrets" / "forge-bot-token").unlink()
    monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(tmp_path))
    with pytest.raises(pulumi.RunError, match="forge-bot-token: cannot be read"):
        program.run("local")


def test_the_program_stays_short() -> None:
    assert len(program.PROGRAM.read_text().splitlines()) <= 60
