"""What becomes of each operation that a killed update had begun; `engine/test_recovery.py` kills real ones."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

import recovery
from emulator.process import Emulator, emulator
from settings import SettingsError

PROVIDER = "urn:pulumi:dev::ml-platform::pulumi:providers:aws::aws"
LOG_GROUP, ADDRESS = "aws:cloudwatch/logGroup:LogGroup", "aws:ec2/eip:Eip"
TAGS = {"Project": "ml-platform", "Environment": "dev"}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator"), "--no-api-servers") as aws:
        yield aws


@pytest.fixture
def aws(account: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulated account that this process's own clients use."""
    for name, value in account.variables.items():
        monkeypatch.setenv(name, value)
    return account


def resource(token: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::ml-platform::{token}::{name}"
    return {"urn": urn, "custom": True, "type": token, "inputs": inputs, "provider": f"{PROVIDER}::1"}


def settle(kind: str, one: dict[str, Any], *known: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """What the state is given, and the line reported, for one operation on `one` beside what the state knows."""
    lines: list[str] = []
    provider = {"urn": PROVIDER, "type": "pulumi:providers:aws", "inputs": {"region": "eu-central-1"}}
    adopted = recovery._settle([{"resource": one, "type": kind}], [provider, *known], lines.append)
    (line,) = lines
    return adopted, line


def log_group(name: str) -> dict[str, Any]:
    return resource(LOG_GROUP, "logs", {"name": name, "retentionInDays": 7, "tags": TAGS, "__defaults": ["name"]})


def test_create_that_did_nothing_is_left_to_the_update(aws: Emulator) -> None:
    adopted, line = settle("creating", log_group("none"))
    assert adopted == []
    assert "AWS has nothing of it" in line


def test_create_that_was_half_done_is_finished_and_adopted(aws: Emulator) -> None:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="half", tags=TAGS)  # the retention comes with a call of its own
    (adopted,), line = settle("creating", log_group("half"))
    assert (adopted["id"], adopted["outputs"]["name"]) == ("half", "half")
    assert adopted["outputs"]["arn"].endswith(":log-group:half")
    assert "half was created; putting it into the state" in line
    (found,) = logs.describe_log_groups(logGroupNamePrefix="half")["logGroups"]
    assert found["retentionInDays"] == 7


def test_what_was_to_replace_a_thing_that_still_stands_goes(aws: Emulator) -> None:
    logs = aws.client("logs")
    for name in ("old", "new"):
        logs.create_log_group(logGroupName=name, tags=TAGS)
    standing = log_group("old") | {"id": "old"}
    adopted, line = settle("creating", log_group("new"), standing)
    assert adopted == []
    assert "new was created to replace another that still stands; deleted it" in line
    assert [
        one["logGroupName"] for one in logs.describe_log_groups()["logGroups"] if one["logGroupName"] != "half"
    ] == ["old"]


def test_things_without_a_name_are_told_apart_by_what_the_state_knows(aws: Emulator) -> None:
    ec2 = aws.client("ec2")
    tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    made = [
        ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}])
        for _ in range(2)
    ]
    first, second = (one["AllocationId"] for one in made)
    pending = resource(ADDRESS, "nat", {"domain": "vpc", "tags": TAGS})
    known = resource(ADDRESS, "other", {"domain": "vpc", "tags": TAGS}) | {"id": first}
    (adopted,), _ = settle("creating", pending, known)
    assert adopted["id"] == second
    with pytest.raises(SettingsError, match=r"AWS has 2 that could be it: .*delete those that nothing uses"):
        settle("creating", pending)


@pytest.mark.parametrize("kind", ["updating", "deleting", "reading"])
def test_other_operations_are_done_again(kind: str) -> None:
    adopted, line = settle(kind, log_group("any"))
    assert adopted == []
    assert f"was {kind}; the update does that again" in line


def test_kubernetes_objects_are_applied_again() -> None:
    one = resource("kubernetes:core/v1:Namespace", "stages", {"metadata": {"name": "dev"}})
    adopted, line = settle("creating", one)
    assert adopted == []
    assert "applies it again by its name" in line


def test_type_without_a_row_is_for_a_person() -> None:
    with pytest.raises(SettingsError, match=r"aws:sqs/queue:Queue has no row in plugins\.aws"):
        settle("creating", resource("aws:sqs/queue:Queue", "q", {}))


def test_secret_inputs_are_for_a_person(aws: Emulator) -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "x"}
    with pytest.raises(SettingsError, match="import it by hand"):
        settle("creating", resource(LOG_GROUP, "logs", json.loads(json.dumps({"name": secret}))))
