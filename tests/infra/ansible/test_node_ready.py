"""A node counts as Ready only by a report of the kubelet that runs now."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

SINCE = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def ready(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("node_ready")


def node(status: str, seconds: int) -> dict[str, Any]:
    at = (SINCE + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"status": {"conditions": [{"type": "Ready", "status": status, "message": "why", "lastHeartbeatTime": at}]}}


def test_ready_by_a_new_report(ready: ModuleType) -> None:
    assert ready.verdict(node("True", 1), SINCE) == ""


def test_ready_by_the_report_of_a_kubelet_that_is_gone(ready: ModuleType) -> None:
    assert "not reported" in ready.verdict(node("True", -1), SINCE)


def test_not_ready_says_why(ready: ModuleType) -> None:
    assert ready.verdict(node("False", 1), SINCE) == "why"
    assert "not reported" in ready.verdict({"status": {}}, SINCE)


def test_the_start_of_a_process_is_in_the_past(ready: ModuleType) -> None:
    age = datetime.now(UTC) - ready.started_at(os.getpid())
    assert timedelta(seconds=-1) <= age < timedelta(hours=3)


def test_a_missing_kubelet_is_said(ready: ModuleType) -> None:
    assert ready.missing(["false"], "local", ["/no/such/state"]) == "kubelet does not run"
