"""All of a VPC's traffic is logged, for as long as the settings say."""

import json

import pytest

from aws.owner import Owner
from components.flow_logs import FlowLogs, FlowLogsArgs
from recording import Recording, record

OWNER = Owner("dev", "123456789012", "eu-central-1")


@pytest.fixture(scope="module")
def recorded() -> Recording:
    def build() -> None:
        for name in ("one", "two"):
            FlowLogs(name, FlowLogsArgs(OWNER, "vpc-1", 14))

    return record(build)


def test_accepted_and_rejected_traffic_goes_to_the_group(recorded: Recording) -> None:
    inputs = recorded.one("aws:ec2/flowLog:FlowLog", "one").inputs
    assert inputs == {
        "iamRoleArn": "arn:aws:test:::one",
        "logDestination": "arn:aws:test:::one",
        "logDestinationType": "cloud-watch-logs",
        "tags": OWNER.tags("network"),
        "trafficType": "ALL",
        "vpcId": "vpc-1",
    }
    assert recorded.one("aws:cloudwatch/logGroup:LogGroup", "one").inputs["retentionInDays"] == 14


def test_the_role_is_for_this_accounts_logs_and_writes_to_the_group_only(recorded: Recording) -> None:
    (trust,) = json.loads(recorded.one("aws:iam/role:Role", "one").inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": OWNER.account}}
    (policy,) = json.loads(recorded.one("aws:iam/rolePolicy:RolePolicy", "one").inputs["policy"])["Statement"]
    assert policy["Resource"] == ["arn:aws:test:::one", "arn:aws:test:::one:*"]
    assert all(action.startswith("logs:") and "*" not in action for action in policy["Action"])


def test_logs_start_once_they_can_be_written(recorded: Recording) -> None:
    written = recorded.one("aws:iam/rolePolicy:RolePolicy", "one").urn
    assert written in recorded.one("aws:ec2/flowLog:FlowLog", "one").dependencies


def test_two_instances_share_no_name(recorded: Recording) -> None:
    assert len(set(recorded.urns())) == len(recorded) == 10
