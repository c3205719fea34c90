"""When an object is ready, by kind."""

from typing import Any

import pytest

from plugins.kubernetes.readiness import waiting_for

READY = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


def _deployment(**status: Any) -> dict[str, Any]:
    return {"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": {**READY, **status}}


def test_a_deployment_is_ready_when_its_new_pods_are_available_and_its_old_ones_gone() -> None:
    assert waiting_for(_deployment()) is None
    for status in ({"observedGeneration": 1}, {"updatedReplicas": 0}, {"availableReplicas": 0}, {"replicas": 2}):
        assert waiting_for(_deployment(**status)) is not None, status


def test_a_daemon_set_is_ready_on_every_node_that_it_is_for() -> None:
    def daemons(**status: int) -> dict[str, Any]:
        status = {"observedGeneration": 1, **status}
        return {"kind": "DaemonSet", "metadata": {"generation": 1}, "spec": {}, "status": status}

    assert waiting_for(daemons()) is None, "there may be no such node"
    there = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
    assert waiting_for(daemons(**there)) is None
    assert waiting_for(daemons(**{**there, "numberAvailable": 1})) == "it is available on 1 of 2 nodes, 2 updated"
    assert waiting_for(daemons(**{**there, "updatedNumberScheduled": 1})) is not None
    assert waiting_for(daemons(observedGeneration=0)) is not None


def test_the_reason_is_the_controllers_own() -> None:
    conditions = [{"type": "Progressing", "status": "False", "message": "has timed out progressing"}]
    reason = waiting_for(_deployment(availableReplicas=0, conditions=conditions))
    assert reason == "0 of 1 replicas are available, 1 updated. has timed out progressing"


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({"observedGeneration": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "a"}, True),
        ({"observedGeneration": 1, "readyReplicas": 0, "currentRevision": "a", "updateRevision": "a"}, False),
        ({"observedGeneration": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "b"}, False),
        ({}, False),
    ],
)
def test_a_stateful_set(status: dict[str, Any], ready: bool) -> None:
    live = {"kind": "StatefulSet", "metadata": {"generation": 1}, "spec": {}, "status": status}
    assert (waiting_for(live) is None) is ready


def test_a_definition_is_ready_when_it_is_established() -> None:
    live: dict[str, Any] = {"kind": "CustomResourceDefinition", "metadata": {}, "status": {"conditions": []}}
    assert waiting_for(live) is not None
    live["status"]["conditions"] = [{"type": "NamesAccepted", "status": "False", "message": "names clash"}]
    assert waiting_for(live) == "names clash"
    live["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert waiting_for(live) is None


def test_other_kinds_are_ready_at_once() -> None:
    assert waiting_for({"kind": "ConfigMap", "metadata": {}}) is None
    assert waiting_for({"kind": "Namespace", "metadata": {}, "status": {"phase": "Terminating"}}) is not None
