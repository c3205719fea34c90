"""Credentials are secrets, facts are not, and the cache is the host's folder."""

import pytest

from components.network_policies import Endpoint
from components.runners import Reach, Runners, RunnersArgs
from recording import Recording, record

API, FORGE, STORE = Endpoint("10.0.0.1/32", 6443), Endpoint("10.0.0.1/32", 3000), Endpoint("10.0.0.1/32", 7070)
REACH = Reach("10.2.0.0/16", controller=[API, FORGE], jobs=[FORGE, STORE], evaluation=[STORE], internet=True)


@pytest.fixture(scope="module")
def recorded() -> Recording:
    args = RunnersArgs(
        namespace="jobs",
        secrets={"bot": {"token": "t"}, "host-environment": {}},
        facts={"REGISTRY_HOST": "r"},
        certificates="pem",
        cache_path="/cache/runner",
        reach=REACH,
    )
    return record(lambda: Runners("runners", args))


def test_each_secret_is_one_object_with_secret_values(recorded: Recording) -> None:
    bot = recorded.one("kubernetes:core/v1:Secret", "runners-bot")
    assert bot.inputs["metadata"] == {"name": "bot", "namespace": "jobs"}
    assert (bot.inputs["stringData"], bot.secrets) == ({"token": "t"}, {"stringData.token"})
    assert recorded.one("kubernetes:core/v1:Secret", "runners-host-environment").inputs["stringData"] == {}


def test_facts_and_certificates_are_config_maps(recorded: Recording) -> None:
    facts = recorded.one("kubernetes:core/v1:ConfigMap", "runners-facts").inputs
    authority = recorded.one("kubernetes:core/v1:ConfigMap", "runners-host-ca").inputs
    assert (facts["metadata"]["name"], facts["data"]) == ("cluster-facts", {"REGISTRY_HOST": "r"})
    assert (authority["metadata"]["name"], authority["data"]) == ("host-ca", {"ca-certificates.crt": "pem"})


def test_the_claim_and_the_volume_name_each_other_only(recorded: Recording) -> None:
    volume = recorded.one("kubernetes:core/v1:PersistentVolume", "runners-cache-volume")
    claim = recorded.one("kubernetes:core/v1:PersistentVolumeClaim", "runners-cache")
    assert volume.inputs["spec"]["claimRef"] == {"namespace": "jobs", "name": "ml-cache"}
    assert claim.inputs["spec"]["volumeName"] == volume.inputs["metadata"]["name"] == "ml-cache"
    assert claim.inputs["spec"]["storageClassName"] == volume.inputs["spec"]["storageClassName"] == ""
    assert volume.inputs["spec"]["hostPath"]["path"] == "/cache/runner"
    assert volume.urn in claim.dependencies


def test_losing_the_claim_keeps_the_cache(recorded: Recording) -> None:
    spec = recorded.one("kubernetes:core/v1:PersistentVolume", "runners-cache-volume").inputs["spec"]
    assert spec["persistentVolumeReclaimPolicy"] == "Retain"


CLASS = {"key": "ml-platform.dev/trust", "values": ["evaluation"]}
CHOSEN = {
    "controller": {"matchLabels": {"app.kubernetes.io/component": "controller"}},
    "job": {
        "matchLabels": {"app.kubernetes.io/component": "job"},
        "matchExpressions": [{**CLASS, "operator": "NotIn"}],
    },
    "evaluation": {
        "matchLabels": {"app.kubernetes.io/component": "job"},
        "matchExpressions": [{**CLASS, "operator": "In"}],
    },
}


def ports(recorded: Recording, policy: str) -> set[int]:
    """The ports that the pods of a policy may connect to, other than DNS."""
    document = recorded.one("kubernetes:networking.k8s.io/v1:NetworkPolicy", f"runners-{policy}-egress").inputs
    assert document["metadata"]["namespace"] == "jobs"
    assert document["spec"]["podSelector"] == CHOSEN[policy]
    assert document["spec"]["policyTypes"] == ["Egress"]
    return {port["port"] for rule in document["spec"]["egress"] for port in rule["ports"]} - {53}


def test_s1_jobs_reach_what_is_listed_and_not_the_api_server(recorded: Recording) -> None:
    assert ports(recorded, "job") == {3000, 7070, 443}
    assert ports(recorded, "controller") == {6443, 3000}


def test_s5_what_loads_a_model_reaches_the_store_and_no_place_beyond_the_platform(recorded: Recording) -> None:
    assert ports(recorded, "evaluation") == {7070}


def test_s1_behind_a_proxy_jobs_do_not_reach_the_internet() -> None:
    reach = Reach(
        "10.2.0.0/16", controller=[API], jobs=[FORGE, Endpoint("10.9.0.1/32", 3128)], evaluation=[], internet=False
    )
    args = RunnersArgs("jobs", {}, {}, "pem", "/cache/runner", reach)
    assert ports(record(lambda: Runners("runners", args)), "job") == {3000, 3128}
