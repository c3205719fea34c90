"""What ApplicationSets read is on the cluster's Secret, and the root deletes nothing."""

import json
from pathlib import Path

import pulumi
import pytest
import yaml

from components.gitops_bridge import GitOpsBridge, GitOpsBridgeArgs
from recording import Recording, record
from settings import ROOT

REPO = "http://forge.test/a/b.git"
ROOT_FILE = ROOT / "argocd" / "root.yaml"


@pytest.fixture(scope="module")
def recorded() -> Recording:
    args = GitOpsBridgeArgs(
        cluster="here",
        stages=["dev", "prod"],
        first_stage="dev",
        repo_url=REPO,
        repo_user="argocd",
        repo_password="token",
        registry="registry.test",
        images={"runner-job": "sha256:1"},
        pools=["ml-gpu"],
        root=list(yaml.safe_load_all(ROOT_FILE.read_text())),
    )
    return record(lambda: GitOpsBridge("gitops", args))


def test_the_clusters_secret_carries_its_facts(recorded: Recording) -> None:
    metadata = recorded.one("kubernetes:core/v1:Secret", "gitops-cluster").inputs["metadata"]
    assert metadata["name"] == "cluster-here"
    assert metadata["labels"] == {
        "argocd.argoproj.io/secret-type": "cluster",
        "ml-platform.dev/cluster": "here",
        "stage.ml-platform.dev/dev": "true",
        "stage.ml-platform.dev/prod": "true",
    }
    assert metadata["annotations"] == {
        "ml-platform.dev/repo-url": REPO,
        "ml-platform.dev/registry": "registry.test",
        "ml-platform.dev/follows-main": "dev",
        "ml-platform.dev/images": json.dumps({"runner-job": "sha256:1"}),
        "ml-platform.dev/pools": '["ml-gpu"]',
    }


def test_the_repositorys_password_is_a_secret(recorded: Recording) -> None:
    found = recorded.one("kubernetes:core/v1:Secret", "gitops-repository")
    assert found.inputs["stringData"]["url"] == REPO
    assert "stringData.password" in found.secrets


def test_p2_the_root_heals_but_never_prunes_and_has_no_finalizer(recorded: Recording) -> None:
    """Pruning is off where nothing is said; what Argo CD does not keep would be a difference for ever."""
    root = recorded.one("kubernetes:argoproj.io/v1alpha1:Application", "gitops-root").inputs
    assert root["spec"]["syncPolicy"]["automated"] == {"selfHeal": True}
    assert "finalizers" not in root["metadata"]
    assert root["spec"]["project"] == "platform"


def test_the_repository_is_filled_in_everywhere(recorded: Recording) -> None:
    project = recorded.one("kubernetes:argoproj.io/v1alpha1:AppProject", "gitops-project").inputs
    source = recorded.one("kubernetes:argoproj.io/v1alpha1:Application", "gitops-root").inputs["spec"]["source"]
    assert project["spec"]["sourceRepos"] == [REPO]
    assert source["repoURL"] == REPO
    (patch,) = source["kustomize"]["patches"]
    assert patch["target"] == {"kind": "AppProject", "name": "apps"}
    assert json.loads(patch["patch"]) == [{"op": "replace", "path": "/spec/sourceRepos", "value": [REPO]}]


def test_the_file_itself_is_left_alone() -> None:
    assert REPO not in Path(ROOT_FILE).read_text()


@pytest.fixture(scope="module")
def in_a_cloud() -> Recording:
    def build() -> None:
        args = GitOpsBridgeArgs(
            cluster="there",
            stages=["dev"],
            first_stage="dev",
            repo_url=REPO,
            registry=pulumi.Output.from_input("registry.cloud"),
            root=list(yaml.safe_load_all(ROOT_FILE.read_text())),
        )
        GitOpsBridge("gitops", args)

    return record(build)


def test_a_cluster_without_images_of_its_own_services_runs_none(in_a_cloud: Recording) -> None:
    """The set `platform` takes the clusters that have the label `cluster`, the set `apps` those that host a stage."""
    metadata = in_a_cloud.one("kubernetes:core/v1:Secret", "gitops-cluster").inputs["metadata"]
    assert metadata["labels"] == {
        "argocd.argoproj.io/secret-type": "cluster",
        "stage.ml-platform.dev/dev": "true",
    }
    assert metadata["annotations"]["ml-platform.dev/registry"] == "registry.cloud"


def test_a_public_repository_needs_no_credential(in_a_cloud: Recording) -> None:
    found = in_a_cloud.one("kubernetes:core/v1:Secret", "gitops-repository").inputs["stringData"]
    assert found == {"type": "git", "url": REPO}
