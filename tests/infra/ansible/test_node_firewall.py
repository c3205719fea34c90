"""The firewall's script: what it says, and that it says nothing where nothing is to be done."""

from collections.abc import Callable
from types import ModuleType

import pytest

CHAIN = "ML-PLATFORM"


@pytest.fixture
def firewall(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("node_firewall")


@pytest.fixture
def wanted(firewall: ModuleType) -> list[str]:
    rules: list[str] = firewall.rules(CHAIN, ["lo", "cni0"], ["10.254.254.1", "10.201.0.0/16"])
    return rules


def test_devices_inside_pass_and_the_rest_is_dropped(wanted: list[str]) -> None:
    assert wanted == [
        "-A ML-PLATFORM -i lo -j RETURN",
        "-A ML-PLATFORM -i cni0 -j RETURN",
        "-A ML-PLATFORM -d 10.254.254.1/32 -j DROP",
        "-A ML-PLATFORM -d 10.201.0.0/16 -j DROP",
    ]


def test_an_empty_firewall_gets_the_chain_and_the_jump(firewall: ModuleType, wanted: list[str]) -> None:
    lines = firewall.script("", CHAIN, wanted).splitlines()
    assert lines[:2] == ["*raw", ":ML-PLATFORM - [0:0]"]
    assert lines[2:-2] == wanted
    assert lines[-2:] == ["-A PREROUTING -j ML-PLATFORM", "COMMIT"]


def test_a_right_firewall_is_left_alone(firewall: ModuleType, wanted: list[str]) -> None:
    saved = "\n".join(["*raw", ":PREROUTING ACCEPT [9:9]", "-A PREROUTING -j ML-PLATFORM", *wanted, "COMMIT"])
    assert firewall.script(saved, CHAIN, wanted) == ""


def test_a_changed_chain_is_written_again_without_a_second_jump(firewall: ModuleType, wanted: list[str]) -> None:
    saved = "\n".join(["*raw", "-A PREROUTING -j ML-PLATFORM", *wanted[:-1], "COMMIT"])
    lines = firewall.script(saved, CHAIN, wanted).splitlines()
    assert set(wanted) <= set(lines)
    assert "-A PREROUTING -j ML-PLATFORM" not in lines
