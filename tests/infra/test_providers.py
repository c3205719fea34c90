"""The providers reach this cluster's own services, and nothing that happens to be configured around them."""

import json
from pathlib import Path

import pytest

import host_state
import providers
from example import ACCOUNT, REGION, stage
from recording import Recording, record
from settings import Paths, load_local


@pytest.fixture
def recorded(tmp_path: Path) -> Recording:
    host_state.write(tmp_path)
    cluster, paths = load_local("local"), Paths(tmp_path, tmp_path)
    return record(lambda: (providers.object_store(cluster, paths), providers.objects(cluster, paths)))


def test_the_store_is_the_clusters_and_its_key_a_secret(recorded: Recording) -> None:
    store = recorded.one("pulumi:providers:aws", "object-store")
    assert "http://10.254.254.1:7070" in store.inputs["endpoints"]
    assert store.inputs["accessKey"] == "pulumi"
    assert "secretKey" in store.secrets
    assert store.inputs["skipRequestingAccountId"] == "true", "there is no AWS to ask"


def test_a_renewed_certificate_replaces_nothing(recorded: Recording, tmp_path: Path) -> None:
    cluster = recorded.one("pulumi:providers:kubernetes", "cluster").inputs
    assert cluster["clusterIdentifier"] == "local"
    assert cluster["kubeconfig"] == str(tmp_path / "kubernetes" / "admin.conf"), (
        "by path: the state holds no credential"
    )


def test_p1_changed_data_never_makes_another_object(recorded: Recording) -> None:
    """The official provider does so unless it is told; what Argo CD's server writes into its Secret would go."""
    eks = record(lambda: providers.eks(stage("dev"), "ml-platform-dev", "https://eks.test", "Y2E="))
    for found in (recorded, eks):
        inputs = found.one("pulumi:providers:kubernetes", "cluster").inputs
        assert inputs["enableConfigMapMutable"] == inputs["enableSecretMutable"] == "true"


def test_another_accounts_credentials_are_refused() -> None:
    recorded = record(lambda: providers.aws_account(stage("dev")))
    inputs = recorded.one("pulumi:providers:aws", "aws").inputs
    assert inputs["allowedAccountIds"] == f'["{ACCOUNT}"]'
    assert inputs["region"] == REGION
    assert not {"accessKey", "secretKey", "endpoints"} & set(inputs), "the environment has them, if anything does"


def test_an_eks_cluster_is_reached_by_whoever_runs_pulumi() -> None:
    """No credential is in the state, so the one who reads it has none."""
    recorded = record(lambda: providers.eks(stage("dev"), "ml-platform-dev", "https://eks.test", "Y2E="))
    inputs = recorded.one("pulumi:providers:kubernetes", "cluster").inputs
    assert inputs["clusterIdentifier"] == "ml-platform-dev"
    kubeconfig = json.loads(inputs["kubeconfig"])
    (cluster,), (user,) = kubeconfig["clusters"], kubeconfig["users"]
    assert cluster["cluster"] == {"server": "https://eks.test", "certificate-authority-data": "Y2E="}
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] == "aws"
    assert user["user"]["exec"]["args"] == [
        *("eks", "get-token", "--cluster-name", "ml-platform-dev"),
        *("--region", REGION, "--output", "json"),
    ]
