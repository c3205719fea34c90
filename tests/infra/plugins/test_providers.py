"""The Kubernetes stand-in and Pulumi's own provider go on from each other's state, judged by Pulumi's.

Each test begins and ends with the whole stack `local` applied, whichever plugin wrote it last.
"""

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

import example
import host_state
import official_provider
import program
from control_plane.stack import Stack, local_stack
from mlplatform.plugins.record import Plugin
from plugins import install
from plugins.kubernetes.provider import Kubernetes
from plugins.wire import to_python, to_struct
from settings import Paths

pytestmark = pytest.mark.providers

MANAGER, KUBERNETES = "pulumi-ml-platform", metadata.version("pulumi-kubernetes")
CONFIG_MAP = "/api/v1/namespaces/runner-controller/configmaps/cluster-facts"
SECRET = "/api/v1/namespaces/runner-controller/secrets/bot"
UP = ("up", "--yes", "--skip-preview")
REFRESH = ("refresh", "--yes", "--skip-preview")


class Switched:
    """A stack whose plugin for Kubernetes is one or the other."""

    def __init__(self, stack: Stack, official: Path) -> None:
        self.stack, self._official = stack, official
        self._paths = Paths.from_environment(stack.environment)
        (self._slot,) = (slot for slot in install.slots(self._paths) if slot.name == "kubernetes")
        self._ours = self._slot.binary.read_text()

    def use(self, source: str) -> None:
        """Put a plugin into the slot."""
        self._slot.binary.unlink()
        if source == "official":
            self._slot.binary.symlink_to(self._official / official_provider.BINARY)
        else:
            self._slot.binary.write_text(self._ours)
            self._slot.binary.chmod(0o755)

    def unchanged(self) -> None:
        """Neither a preview nor one after a refresh plans anything."""
        self.stack.pulumi("preview", "--expect-no-changes", "--diff")
        self.stack.pulumi(*REFRESH, "--expect-no-changes")
        self.stack.pulumi("preview", "--expect-no-changes", "--diff")

    def plugins(self, source: str) -> set[Plugin]:
        """What a record says where the Kubernetes plugin is this one."""
        aws = next(one for one in install.plugins(self._paths) if one.name == "aws")
        return {aws, Plugin("kubernetes", source, self._slot.version)}

    def settle(self, source: str) -> tuple[bool, list[str]]:
        """Change over as `scripts/up` does; whether anything changed, and what was said."""
        return self.stack.settle(self.plugins(source))

    def destroy(self) -> None:
        """Take everything down with the plugin that is in place."""
        self.stack.pulumi("state", "unprotect", "--all", "--yes")
        self.stack.pulumi("destroy", "--yes", "--skip-preview")
        assert self.stack.exported().get("resources", []) == []

    def identities(self) -> list[str]:
        """Which objects the job's facts and the bot's token are."""
        return [self.stack.plane.get(path)["metadata"]["uid"] for path in (CONFIG_MAP, SECRET)]

    def managers(self) -> set[str]:
        """Who applied the job's facts."""
        fields = self.stack.plane.get(CONFIG_MAP)["metadata"]["managedFields"]
        return {one["manager"] for one in fields if one["operation"] == "Apply"}


@pytest.fixture(scope="module")
def official() -> Path:
    return official_provider.build(Paths.from_environment())


@pytest.fixture(scope="module")
def switched(official: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switched]:
    """The stack `local`, as the stand-in made it."""
    with local_stack(tmp_path_factory.mktemp("stack")) as stack:
        stack.pulumi(*UP)
        yield Switched(stack, official)


def test_p1_the_official_provider_goes_on_from_the_stand_ins_state(switched: Switched) -> None:
    switched.use("offline")
    switched.stack.pulumi(*UP)
    switched.use("official")
    switched.unchanged()
    switched.use("offline")
    switched.unchanged()


def test_p1_the_stand_in_goes_on_from_the_official_providers_state(switched: Switched) -> None:
    switched.use("official")
    switched.destroy()
    switched.stack.pulumi(*UP)
    assert MANAGER not in switched.managers(), "it makes up its own"
    switched.use("offline")
    switched.unchanged()
    switched.use("official")
    switched.unchanged()
    switched.use("offline")
    switched.destroy()
    switched.stack.pulumi(*UP)
    assert switched.managers() == {MANAGER}


def test_p1_either_changes_an_object_in_place_and_as_the_same_field_manager(switched: Switched) -> None:
    """Two managers would each keep what the other takes away, and an object made anew loses what others keep in it."""
    path, token = (
        switched.stack.root / "clusters" / "local" / "cluster.yaml",
        switched.stack.state / "secrets/forge-bot-token",
    )
    texts = {path: path.read_text(), token: token.read_text()}
    before, managers = switched.identities(), switched.managers()
    try:
        for source, region in (("official", "eu-west-1"), ("offline", "eu-west-2")):
            switched.use(source)
            path.write_text(texts[path].replace("us-east-1", region))
            token.write_text(f"changed-by-{source}\n")
            switched.stack.pulumi(*UP)
            assert switched.stack.plane.get(CONFIG_MAP)["data"]["AWS_REGION"] == region
            secret = switched.stack.plane.get(SECRET)["data"]["token"]
            assert base64.b64decode(secret).decode() == f"changed-by-{source}"
            assert switched.managers() == managers
            assert switched.identities() == before
    finally:
        for file, text in texts.items():
            file.write_text(text)
        switched.stack.pulumi(*UP)


def older(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource as the stand-in kept it before it kept what the official provider keeps."""
    if not resource["type"].startswith("kubernetes:"):
        return resource
    inputs = resource["inputs"]
    uid = resource["outputs"]["metadata"]["uid"]
    return {**resource, "outputs": {**inputs, "metadata": {**inputs["metadata"], "uid": uid}}}


def make_older(stack: Stack) -> None:
    """Bring the stack's state into the form that the stand-in wrote before, without a record."""
    document = json.loads(stack.pulumi("stack", "export").stdout)
    resources = document["deployment"]["resources"]
    document["deployment"]["resources"] = [older(one) for one in resources]
    file = stack.state / "older.json"
    file.write_text(json.dumps(document))
    stack.pulumi("stack", "import", f"--file={file}")
    stack.pulumi("stack", "tag", "rm", "ml-platform:plugins")


@pytest.mark.parametrize("source", ["offline", "official"])
def test_p3_a_state_of_an_older_stand_in_is_completed_before_anything_is_replaced(
    switched: Switched, source: str
) -> None:
    switched.use("offline")
    switched.stack.pulumi(*UP)
    make_older(switched.stack)
    switched.use("official")
    steps = json.loads(switched.stack.pulumi("preview", "--json").stdout)["steps"]
    replaced = {step["urn"] for step in steps if "replace" in step["op"]}
    assert len(replaced) > 50, "what the change of plugins would do unasked"
    switched.use(source)
    changed, said = switched.settle(source)
    assert changed
    assert said[-1] == "  it changes nothing"
    for plugin in ("official", "offline"):
        switched.use(plugin)
        switched.stack.pulumi("preview", "--expect-no-changes", "--diff")


def test_p3_a_change_of_plugins_is_said_and_made_once(switched: Switched) -> None:
    switched.use("offline")
    switched.settle("offline")
    for source, other in (("official", "offline"), ("offline", "official")):
        switched.use(source)
        changed, said = switched.settle(source)
        assert changed
        assert said[0] == (
            f"Pulumi's plugin for kubernetes: the {other} kubernetes {KUBERNETES} wrote its part of the state;"
            f" it is the {source} kubernetes {KUBERNETES} now"
        )
        assert switched.settle(source) == (False, [])


@pytest.fixture(scope="module")
def stub(switched: Switched, official: Path) -> Iterator[Any]:
    """The official provider, configured for the control plane, over its own protocol."""
    command = [str(official / official_provider.BINARY), "127.0.0.1:1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "PULUMI_ACCESS_TOKEN": ""}
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                found = provider_pb2_grpc.ResourceProviderStub(channel)
                settings = {"kubeconfig": str(switched.stack.plane.kubeconfig)}
                found.Configure(provider_pb2.ConfigureRequest(args=to_struct(settings), acceptSecrets=True))
                yield found
        finally:
            process.kill()


def documents(stack: str, state: Path) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Type and inputs of the Kubernetes objects that the program registers as a stack, by URN."""
    with pytest.MonkeyPatch.context() as patch, example.instead():
        patch.setenv("ML_PLATFORM_STATE_DIR", str(state))
        config = {"ml-platform:forgeToken": "token", "ml-platform:webhookSecret": "secret"}
        recorded = program.run(stack, config if stack in program.STAGES else None)
    return {one.urn: (one.type, one.inputs) for one in recorded if one.type.startswith("kubernetes:")}


@pytest.mark.parametrize("stack", ["local", *program.STAGES])
def test_p1_the_form_in_which_the_official_provider_keeps_inputs_is_no_change(
    stub: Any, stack: str, tmp_path: Path
) -> None:
    """Of every object that any stack has, those on AWS included."""
    host_state.write(tmp_path / "state")
    found = documents(stack, tmp_path / "state")
    assert found
    for urn, (token, inputs) in found.items():
        row = Kubernetes().row(token)
        assert row is not None
        checked = stub.Check(provider_pb2.CheckRequest(urn=urn, type=token, news=to_struct(inputs)))
        assert not checked.failures, urn
        theirs = to_python(checked.inputs)
        assert [str(one) for one in row.changes(theirs, dict(inputs))] == [], urn
        assert [str(one) for one in row.changes(dict(inputs), theirs)] == [], urn
