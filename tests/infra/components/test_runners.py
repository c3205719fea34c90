"""Credentials are secrets, facts are not, and the cache is the host's folder."""

import pytest

from components.runners import Runners, RunnersArgs
from recording import Recording, record


@pytest.fixture(scope="module")
def recorded() -> Recording:
    args = RunnersArgs(
        namespace="jobs",
        secrets={"bot": {"token": "t"}, "host-environment": {}},
        facts={"REGISTRY_HOST": "r"},
        certificates="pem",
        cache_path="/cache/runner",
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
