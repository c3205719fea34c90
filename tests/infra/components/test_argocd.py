"""Argo CD's objects wait for what they need, and its secret and port are the cluster's."""

from typing import Any

import pulumi
import pytest

from components import network_policies
from components.argocd import WEBHOOK_KEYS, ArgoCD, ArgoCDArgs, Reach, webhook_secrets
from components.network_policies import Endpoint
from recording import Recording, record


def _document(api_version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "argocd"}}


DOCUMENTS = [
    _document("apps/v1", "Deployment", "argocd-server"),
    _document("apiextensions.k8s.io/v1", "CustomResourceDefinition", "applications.argoproj.io"),
    _document("v1", "ServiceAccount", "argocd-server"),
]


REACH = Reach(
    "10.2.0.0/16",
    api=network_policies.to_endpoints([Endpoint("10.0.0.1/32", 6443)]),
    forge=network_policies.to_endpoints([Endpoint("10.0.0.1/32", 3000)]),
)


@pytest.fixture(scope="module")
def recorded() -> Recording:
    args = ArgoCDArgs(
        documents=DOCUMENTS,
        reach=REACH,
        node_port=30443,
        admin_password_hash="$2b$10$hash",
        webhook_secrets={"webhook.gogs.secret": "hook"},
    )
    return record(lambda: ArgoCD("argocd", args))


def test_each_document_is_one_resource(recorded: Recording) -> None:
    names = {item.name for item in recorded if item.type.startswith("kubernetes:")}
    assert names == {
        "argocd-deployment-argocd-server",
        "argocd-customresourcedefinition-applications.argoproj.io",
        "argocd-serviceaccount-argocd-server",
        "argocd-secret-argocd-secret",
        "argocd-service-argocd-server-node",
        "argocd-networkpolicy-controllers-egress",
        "argocd-networkpolicy-redis-egress",
        "argocd-networkpolicy-repo-server-egress",
    }


@pytest.mark.parametrize(
    ("name", "expected"), [("controllers", {6379, 8081, 6443}), ("redis", {6443}), ("repo-server", {6379, 3000})]
)
def test_s1_each_part_reaches_what_it_needs(recorded: Recording, name: str, expected: set[int]) -> None:
    policy = recorded.one("kubernetes:networking.k8s.io/v1:NetworkPolicy", f"argocd-networkpolicy-{name}-egress")
    assert policy.inputs["spec"]["policyTypes"] == ["Egress"]
    found = {port["port"] for rule in policy.inputs["spec"]["egress"] for port in rule["ports"]}
    assert found == expected | {53}


def test_s21_no_kind_of_forge_is_without_a_secret() -> None:
    found = webhook_secrets("gogs", "known", "nobody's")
    assert found.pop("webhook.gogs.secret") == "known"
    assert set(found.values()) == {"nobody's"}
    assert set(found) == {key for keys in WEBHOOK_KEYS.values() for key in keys} - {"webhook.gogs.secret"}


def test_workloads_wait_for_accounts_and_definitions(recorded: Recording) -> None:
    workload = recorded.one("kubernetes:apps/v1:Deployment", "argocd-deployment-argocd-server")
    account = recorded.one("kubernetes:core/v1:ServiceAccount", "argocd-serviceaccount-argocd-server")
    definition = recorded.of("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition")[0]
    assert {account.urn, definition.urn} <= set(workload.dependencies)
    assert not account.dependencies


def test_the_server_is_on_the_clusters_port(recorded: Recording) -> None:
    service = recorded.one("kubernetes:core/v1:Service", "argocd-service-argocd-server-node").inputs["spec"]
    assert service["type"] == "NodePort"
    assert [port["nodePort"] for port in service["ports"]] == [30443]


def test_its_secret_holds_the_hash_and_the_webhooks_secret(recorded: Recording) -> None:
    secret = recorded.one("kubernetes:core/v1:Secret", "argocd-secret-argocd-secret")
    assert secret.inputs["stringData"] == {"admin.password": "$2b$10$hash", "webhook.gogs.secret": "hook"}
    assert secret.secrets == {"stringData.admin.password", "stringData.webhook.gogs.secret"}
    # Argo CD looks its secret up by this label.
    assert secret.inputs["metadata"]["labels"]["app.kubernetes.io/part-of"] == "argocd"


def test_without_a_port_or_a_password_it_makes_neither() -> None:
    """In a cloud Argo CD makes a password up, for which it needs the Secret, and is reached by other ways."""
    recorded = record(lambda: ArgoCD("argocd", ArgoCDArgs(DOCUMENTS, REACH)))
    assert not recorded.of("kubernetes:core/v1:Service")
    assert recorded.one("kubernetes:core/v1:Secret", "argocd-secret-argocd-secret").inputs["stringData"] == {}


def test_a_secret_that_pulumi_keeps_stays_one() -> None:
    args = ArgoCDArgs(DOCUMENTS, REACH, webhook_secrets={"webhook.github.secret": pulumi.Output.secret("hook")})
    secret = record(lambda: ArgoCD("argocd", args)).one("kubernetes:core/v1:Secret", "argocd-secret-argocd-secret")
    assert secret.inputs["stringData"] == {"webhook.github.secret": "hook"}
    assert secret.secrets == {"stringData.webhook.github.secret"}
