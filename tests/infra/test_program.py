"""The whole program, recorded: what the stack `local` is made of, without an engine."""

import runpy
from pathlib import Path

import pulumi
import pytest

import host_state
from recording import Recording, record
from runner_harness.process import tool
from settings import ROOT

pytestmark = pytest.mark.tools

GOLDEN = Path(__file__).parent / "golden" / "local.urns"
PROGRAM = ROOT / "infra" / "__main__.py"
STACK_URN = "urn:pulumi:local::ml-platform::pulumi:pulumi:Stack::ml-platform-local"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's state, for the program that runs in this process."""
    host_state.write(tmp_path)
    monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def recorded(state: Path) -> Recording:
    tool("kustomize")
    return record(lambda: runpy.run_path(str(PROGRAM)))


def test_the_urns_are_these(recorded: Recording) -> None:
    """A renamed resource is deleted and made anew; where that is meant, an alias or this list says so."""
    urns = sorted([STACK_URN, *(item.urn for item in recorded)])
    assert "\n".join(urns) == GOLDEN.read_text().rstrip("\n")


def test_every_resource_names_its_provider(recorded: Recording) -> None:
    """Default providers are disabled in Pulumi.yaml; without one a resource could not even be registered."""
    for item in recorded:
        if not item.type.startswith(("pulumi:providers:", "ml-platform:")):
            assert item.provider, item.urn


def test_every_secret_of_the_host_is_secret_wherever_it_goes(recorded: Recording) -> None:
    values = {host_state.secret(name) for name in host_state.SECRETS}

    def check(value: object, path: str, secrets: frozenset[str]) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                check(item, f"{path}.{key}".lstrip("."), secrets)
        elif isinstance(value, list):
            for item in value:
                check(item, f"{path}[]", secrets)
        elif isinstance(value, str) and any(known in value for known in values):
            assert path in secrets, path

    for item in recorded:
        check(item.inputs, "", item.secrets)


def test_names_are_given_once(recorded: Recording) -> None:
    objects = [
        (item.type, item.inputs["metadata"].get("namespace"), item.inputs["metadata"]["name"])
        for item in recorded
        if item.type.startswith("kubernetes:")
    ]
    assert len(set(objects)) == len(objects) > 60


def test_a_mistake_is_one_message_without_a_traceback(state: Path) -> None:
    (state / "secrets" / "forge-bot-token").unlink()
    with pytest.raises(pulumi.RunError, match="forge-bot-token: cannot be read"):
        record(lambda: runpy.run_path(str(PROGRAM)))


def test_the_program_stays_short() -> None:
    assert len(PROGRAM.read_text().splitlines()) <= 60
