"""S1: the policy engine and the host's own chains together, with pods that no node runs."""

import json
import os
import subprocess
import sys

import pytest

import host_chains
import network_lab
from network_lab import API, ETCD, FORGE, NODE, PODS

pytestmark = [pytest.mark.tools, pytest.mark.skipif(os.geteuid() != 0, reason="needs root, in a network of its own")]

DNS = f"job {PODS['dns']}:53"
# What policies allow, and the node, which always reaches its pods.
ALLOWED = {f"redis {NODE}:{API}", f"node {PODS['redis']}:6379"}


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The connections that succeed, by step."""
    chains = host_chains.rendered(tmp_path_factory.mktemp("chains"))
    command = ["unshare", "--net", sys.executable, network_lab.__file__, chains]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["step"]: set(one["open"]) for one in found}


def test_without_an_engine_everything_is_open(steps: dict[str, set[str]]) -> None:
    assert len(steps["no engine"]) == len(network_lab.CONNECTIONS)


def test_s1_a_pod_that_the_engine_does_not_know_is_cut_off(steps: dict[str, set[str]]) -> None:
    """The engine alone lets it connect to the host; a first second is all that an attack needs."""
    assert f"job {NODE}:{ETCD}" in steps["the engine does not know the job"]
    # The cluster's DNS is under no policy.
    assert steps["and the host cuts it off"] == {*ALLOWED, DNS}


def test_s1_a_pod_that_it_knows_reaches_what_its_policies_allow(steps: dict[str, set[str]]) -> None:
    assert steps["the engine knows the job"] == {*ALLOWED, DNS, f"job {NODE}:{FORGE}"}


def test_s1_what_was_enforced_stays_so_without_the_engine(steps: dict[str, set[str]]) -> None:
    assert steps["the engine is gone"] == steps["the engine knows the job"]
