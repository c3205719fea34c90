"""The status is well only when everything is, and is shown to people and programs alike."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from cli import status
from cli.applications import Application
from cli.health import Check
from cli.links import Link
from cli.merge_anyway import Shown
from cli.status import Status
from mlplatform.pulls.record import Record
from settings import Cluster, Paths

APPLICATION = Application(
    "classifier-dev",
    "dev",
    "Synced",
    "Healthy",
    "a" * 40,
    ("10.0.0.1:5000/c@sha256:" + "1" * 64,),
    "",
    refreshing=False,
)
STATUS = Status(
    "local",
    [Check("forge", True, "http://forge answers 200")],
    [APPLICATION],
    {"classifier-dev": "http://10.202.1.2"},
    1536 * 2**20,
    Link("forge", "http://forge/ml/platform", "member, password: cat /state/secrets/forge-member-password"),
)


@pytest.mark.parametrize(
    "broken",
    [
        replace(STATUS, checks=[Check("forge", False, "no answer")]),
        replace(STATUS, applications=[replace(APPLICATION, sync="OutOfSync")]),
        replace(STATUS, applications=[replace(APPLICATION, health="Degraded", message="image cannot be pulled")]),
        replace(STATUS, problem="the Applications cannot be listed"),
    ],
)
def test_one_thing_that_is_wrong_makes_all_of_it_wrong(broken: Status) -> None:
    assert STATUS.ok
    assert not broken.ok


def test_people_see_services_applications_address_and_memory() -> None:
    console = Console(file=io.StringIO(), width=160)
    status.show(replace(STATUS, applications=[replace(APPLICATION, message="out of [sync]")]), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for part in (
        "forge",
        "classifier-dev",
        "Synced",
        "Healthy",
        "http://10.202.1.2",
        "1.5 GiB",
        "out of [sync]",
        "c@sha256:1",
    ):
        assert part in text


def test_programs_get_the_same() -> None:
    record = json.loads(json.dumps(STATUS.record()))
    assert record["ok"]
    assert record["applications"][0]["url"] == "http://10.202.1.2"
    assert record["applications"][0]["images"] == list(APPLICATION.images)
    assert record["memory_bytes"] == STATUS.memory


def test_without_a_platform_it_says_what_is_missing(cluster: Cluster, paths: Paths) -> None:
    empty = Paths(state=paths.state.parent / "no-such-state", cache=paths.cache)
    found = status.read(cluster, empty)
    assert not found.ok
    assert found.applications == []
    assert any("scripts/up" in check.fix for check in found.checks)


def test_s13_merges_past_the_rules_are_shown() -> None:
    record = Record("alice", "c" * 40, "the gate's script has a syntax error")
    merged = replace(STATUS, past_the_rules=[Shown(7, record, datetime(2026, 1, 1, tzinfo=UTC))])
    console = Console(file=io.StringIO(), width=160)
    status.show(merged, console)
    assert isinstance(console.file, io.StringIO)
    assert "#7 was merged past the rules by alice: the gate's script has a syntax error" in console.file.getvalue()
    [shown] = merged.record()["merged_past_the_rules"]
    assert shown == {"pull_request": 7, "who": "alice", "why": record.why, "head": record.head}
