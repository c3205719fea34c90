"""The bot is given what it merges with, and reaches nothing but the forge."""

import json

import pytest

from components.bot import PORT, Bot, BotArgs
from components.network_policies import Endpoint
from recording import Recording, record
from settings import ROOT, load_local

PEOPLE = json.dumps({"owners": ["ada"], "members": [], "approvals": 0})


@pytest.fixture(scope="module")
def recorded() -> Recording:
    args = BotArgs(
        namespace="bot",
        secret={"token": "t", "webhook-secret": "w"},
        people=PEOPLE,
        facts={"FORGE_URL": "http://10.0.0.1:3000"},
        node_port=30444,
        service_cidr="10.2.0.0/16",
        forge=[Endpoint("10.0.0.1/32", 3000)],
    )
    return record(lambda: Bot("bot", args))


def test_what_it_merges_with_is_secret_and_the_people_are_not(recorded: Recording) -> None:
    secret = recorded.one("kubernetes:core/v1:Secret", "bot-bot-merge")
    assert secret.inputs["metadata"] == {"name": "bot-merge", "namespace": "bot"}
    assert secret.secrets == {"stringData.token", "stringData.webhook-secret"}
    people = recorded.one("kubernetes:core/v1:ConfigMap", "bot-people").inputs
    assert people["data"] == {"people.json": PEOPLE}


def test_it_reaches_the_forge_and_dns_alone(recorded: Recording) -> None:
    spec = recorded.one("kubernetes:networking.k8s.io/v1:NetworkPolicy", "bot-bot-egress").inputs["spec"]
    assert spec["policyTypes"] == ["Egress"]
    places = [
        (peer.get("ipBlock", {}).get("cidr"), port["port"])
        for rule in spec["egress"]
        for peer in rule["to"]
        for port in rule["ports"]
    ]
    assert set(places) == {(None, 53), ("10.2.0.10/32", 53), ("10.0.0.1/32", 3000)}


def test_the_node_wakes_the_pod_that_its_manifests_make(recorded: Recording) -> None:
    spec = recorded.one("kubernetes:core/v1:Service", "bot-bot-node").inputs["spec"]
    assert spec["type"] == "NodePort"
    assert spec["ports"][0] | {"name": ""} == {"name": "", "port": 80, "targetPort": PORT, "nodePort": 30444}
    deployment = (ROOT / "apps/bot/base/deployment.yaml").read_text()
    assert f"containerPort: {PORT}" in deployment
    assert all(f"{key}: {value}" in deployment for key, value in spec["selector"].items())


def test_the_bot_reads_the_people_that_settings_write() -> None:
    from mlplatform.pulls.rules import People  # noqa: PLC0415 - the other side of the file

    people = load_local("local").people
    read = People.parse(people.document)
    assert (read.owners, read.members, read.approvals) == (set(people.owners), set(people.members), people.approvals)
