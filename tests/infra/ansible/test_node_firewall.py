"""The firewall's script: what it says, that it is empty where nothing is to be done, and that the kernel takes it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import host_chains

CHAIN = {
    "family": "iptables",
    "table": "raw",
    "hook": "PREROUTING",
    "name": "ML-PLATFORM",
    "rules": ["-i lo -j RETURN", "-d 10.254.254.1/32 -j DROP"],
}
RULES = ["-A ML-PLATFORM -i lo -j RETURN", "-A ML-PLATFORM -d 10.254.254.1/32 -j DROP"]
JUMP = "-A PREROUTING -j ML-PLATFORM"


@pytest.fixture
def firewall(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("node_firewall")


def saved(*lines: str) -> str:
    return "\n".join(["*raw", ":PREROUTING ACCEPT [9:9]", *lines, "COMMIT"])


def test_an_empty_firewall_gets_the_chain_and_the_jump(firewall: ModuleType) -> None:
    assert firewall.script("", [CHAIN]).splitlines() == ["*raw", ":ML-PLATFORM - [0:0]", *RULES, JUMP, "COMMIT"]


def test_a_right_firewall_is_left_alone(firewall: ModuleType) -> None:
    assert firewall.script(saved(JUMP, *RULES), [CHAIN]) == ""


def test_a_changed_chain_is_written_again_without_a_second_jump(firewall: ModuleType) -> None:
    lines = firewall.script(saved(JUMP, *RULES[:-1]), [CHAIN]).splitlines()
    assert set(RULES) <= set(lines)
    assert JUMP not in lines


def test_a_jump_that_somebody_removed_comes_back(firewall: ModuleType) -> None:
    assert JUMP in firewall.script(saved(*RULES), [CHAIN]).splitlines()


def test_only_what_differs_is_written(firewall: ModuleType) -> None:
    other = {**CHAIN, "name": "ML-PLATFORM-2"}
    lines = firewall.script(saved(JUMP, *RULES), [CHAIN, other]).splitlines()
    assert ":ML-PLATFORM-2 - [0:0]" in lines
    assert ":ML-PLATFORM - [0:0]" not in lines


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The role's chains, as Ansible fills them in."""
    path = host_chains.rendered(tmp_path_factory.mktemp("chains"))
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


def test_s1_a_pod_passes_by_the_engines_mark_or_not_at_all(chains: list[dict[str, Any]]) -> None:
    (forward,) = (one for one in chains if (one["family"], one["hook"]) == ("iptables", "FORWARD"))
    assert forward["table"] == "security", "the only table after the one in which others accept"
    assert forward["rules"] == [
        "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        "-m mark --mark 0x20000/0x20000 -j RETURN",
        "-i cni0 -j DROP",
        "-o cni0 -j DROP",
    ]


def test_s1_other_accounts_reach_open_ports_alone(chains: list[dict[str, Any]]) -> None:
    (users,) = (one for one in chains if one["hook"] == "OUTPUT")
    established, opened, *dropped = users["rules"]
    assert established.endswith("-j RETURN")
    assert opened == "-d 10.254.254.1/32 -p tcp -m multiport --dports 3000,7070,5000,30443,30444 -j RETURN"
    assert [rule.split()[1] for rule in dropped] == ["10.254.254.1/32", "10.201.0.0/16", "10.202.0.0/16", "127.0.0.0/8"]
    assert all("--uid-owner 1-4294967294 -j DROP" in rule for rule in dropped)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("iptables"), reason="needs root and iptables, in a network of its own"
)
def test_the_kernel_takes_the_chains_and_prints_them_as_they_are_written(
    firewall: ModuleType, chains: list[dict[str, Any]]
) -> None:
    """Otherwise each run would write them anew, and say so."""
    tables: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for chain in chains:
        tables.setdefault((chain["family"], chain["table"]), []).append(chain)
    for (family, table), group in tables.items():
        command = f"{family}-restore --noflush && {family}-save -t {table}"
        done = subprocess.run(
            ["unshare", "--net", "bash", "-c", command],
            input=firewall.script("", group),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert firewall.script(done.stdout, group) == ""
