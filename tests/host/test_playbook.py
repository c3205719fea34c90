"""The playbook on a host that is set up: nothing to do, and a refusal changes nothing."""

import json
import os
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from images.catalog import images
from images.errors import ImageError
from images.registry import Registry
from runner_harness.process import eventually
from settings import ROOT, Cluster, Paths

pytestmark = pytest.mark.host

FOLDER = ROOT / "infra" / "ansible"


def playbook(name: str, *options: str, **variables: object) -> tuple[int, str]:
    """Run a playbook as the scripts do; its exit status and output."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            FOLDER / name,
            "--extra-vars",
            json.dumps(variables),
            *options,
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(FOLDER / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def variables(platform: Paths, cluster: Cluster) -> dict[str, object]:
    return {"cluster": cluster.name, "state_dir": str(platform.state), "cache_dir": str(platform.cache)}


def changed(output: str) -> int:
    match = re.search(r"changed=(\d+) .*failed=0", output)
    assert match, output[-3000:]
    return int(match[1])


def changes(output: str) -> list[tuple[str, str]]:
    """The tasks that changed something, each with what the module says of it."""
    return re.findall(r"TASK \[([^\]]+)\][^\n]*\nchanged: \[[^\]]*\] => ([^\n]*)", output)


def test_a_second_run_changes_nothing(variables: dict[str, object]) -> None:
    status, output = playbook("site.yml", "-v", **variables)
    assert status == 0, output[-3000:]
    assert changed(output) == 0, changes(output)


def test_check_mode_works_and_changes_nothing(variables: dict[str, object]) -> None:
    status, output = playbook("site.yml", "--check", "-v", **variables)
    assert status == 0, output[-3000:]
    assert changed(output) == 0, changes(output)


def test_d17_collecting_garbage_leaves_the_registry_up_and_its_images_there(
    variables: dict[str, object], platform: Paths, cluster: Cluster
) -> None:
    registry = Registry(cluster.registry.host, platform.secret("registry-password"), platform.bin / "crane")

    def digests() -> dict[str, str | None]:
        with suppress(ImageError):
            return {one.path: registry.digest(one.repository, one.tag) for one in images().values() if one.pushed}
        return {}

    before = digests()
    assert None not in before.values()
    status, output = playbook("prune_registry.yml", **variables)
    assert status == 0, output[-3000:]
    assert eventually(digests, "the registry is up again") == before


def test_another_state_directory_is_refused_before_any_change(
    variables: dict[str, object], platform: Paths, tmp_path: Path
) -> None:
    other = tmp_path / "other-state"
    status, output = playbook("site.yml", **(variables | {"state_dir": str(other)}))
    assert status == 2
    assert f"ML_PLATFORM_STATE_DIR={platform.state} scripts/down" in output
    assert "changed=0" in output
    assert not other.exists()


def test_the_platform_of_another_state_directory_is_not_taken_down(
    variables: dict[str, object], platform: Paths, tmp_path: Path
) -> None:
    status, output = playbook("down.yml", **(variables | {"state_dir": str(tmp_path / "other-state")}))
    assert status == 2
    assert f"ML_PLATFORM_STATE_DIR={platform.state} scripts/down" in output
    assert "changed=0" in output


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"preflight_memory_gib": 100_000}, "memory:"),
        ({"preflight_systems": {"fedora": 40}}, "/etc/os-release:"),
        (
            {"preflight_ports": [{"service": "a test", "address": "127.0.0.1", "port": 0}]},
            f"(pid {os.getpid()})",
        ),
    ],
)
def test_an_unfit_host_is_refused_before_any_change(
    variables: dict[str, object], override: dict[str, object], said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for port in override.get("preflight_ports", []):  # type: ignore[attr-defined]
            port["port"] = server.getsockname()[1]
        status, output = playbook("site.yml", **(variables | override))
    assert status == 2
    assert "This host cannot carry the platform; nothing was changed." in output
    assert said in output
    assert "changed=0" in output
