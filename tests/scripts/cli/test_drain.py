"""A cluster is emptied: a real API server, whose objects have nobody behind them but the test."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cli import drain
from cli.failure import Failure
from cli.kube import Kubectl
from cli.steps import Context
from control_plane.kubernetes import control_plane
from settings import Paths

pytestmark = pytest.mark.tools

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.{group}}}
spec:
  group: {group}
  scope: {scope}
  names: {{kind: {kind}, plural: {plural}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""
KINDS = (
    ("argoproj.io", "applications", "Application", "Namespaced"),
    ("argoproj.io", "applicationsets", "ApplicationSet", "Namespaced"),
    ("karpenter.sh", "nodepools", "NodePool", "Cluster"),
)
OBJECTS = """
apiVersion: argoproj.io/v1
kind: Application
metadata: {name: root, namespace: default}
---
apiVersion: argoproj.io/v1
kind: ApplicationSet
metadata: {name: apps, namespace: default}
---
apiVersion: argoproj.io/v1
kind: Application
metadata: {name: classifier-dev, namespace: default}
---
apiVersion: v1
kind: Service
metadata: {name: public, namespace: default}
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: inner, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: default}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: gpu}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: system}
"""


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    with control_plane(tmp_path_factory.mktemp("cluster")) as plane:
        yield Kubectl(Paths.from_environment(), plane.kubeconfig)


@pytest.fixture
def context() -> Context:
    return Context(io.StringIO(), Console(file=io.StringIO()))


def names(kubectl: Kubectl, kind: str) -> list[str]:
    return sorted(one["metadata"]["name"] for one in kubectl.items(kind, "-A"))


def test_a_cluster_without_these_kinds_is_empty_already(kubectl: Kubectl, context: Context) -> None:
    assert drain.drain(kubectl, context) == "nothing was left in it"


def test_it_is_emptied_in_order_and_the_rest_stays(kubectl: Kubectl, context: Context) -> None:
    for group, plural, kind, scope in KINDS:
        kubectl.run("apply", "-f", "-", text=CRD.format(group=group, plural=plural, kind=kind, scope=scope))
    kubectl.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s", timeout=40)
    kubectl.run("apply", "-f", "-", text=OBJECTS)
    said = drain.drain(kubectl, context)
    assert "1 Argo CD's root Application" in said
    assert "1 Services with a load balancer" in said
    assert "1 node pools" in said
    assert names(kubectl, "applications.argoproj.io") == []
    assert names(kubectl, "applicationsets.argoproj.io") == []
    assert names(kubectl, "services") == ["inner", "kubernetes"]
    assert names(kubectl, "nodepools.karpenter.sh") == ["system"]
    log = context.log
    assert isinstance(log, io.StringIO)
    deleted = [line for line in log.getvalue().splitlines() if line.startswith("deleting")]
    assert [line.split()[1].partition(".")[0] for line in deleted] == [
        "applications",
        "applicationsets",
        "applications",
        "services",
        "persistentvolumeclaims",
        "nodepools",
    ]
    assert drain.drain(kubectl, context) == "nothing was left in it"


def test_what_will_not_go_is_named(kubectl: Kubectl, context: Context) -> None:
    stuck = {"metadata": {"finalizers": ["example.org/stuck"]}}
    kubectl.run("create", "service", "loadbalancer", "stuck", "--tcp=80", "-n", "default")
    kubectl.run("patch", "service", "stuck", "-n", "default", "--type=merge", f"--patch={json.dumps(stuck)}")
    clock = iter(range(0, 10**6, 400))
    try:
        with pytest.raises(Failure, match=r"Services with a load balancer: still there after 10 min"):
            drain.drain(kubectl, context, lambda: float(next(clock)))
    finally:
        kubectl.run(
            "patch", "service", "stuck", "-n", "default", "--type=merge", '--patch={"metadata":{"finalizers":null}}'
        )


def test_a_server_that_is_away_is_no_empty_cluster(kubectl: Kubectl, context: Context, tmp_path: Path) -> None:
    away = tmp_path / "kubeconfig"
    shutil.copy(str(kubectl._base[1]).removeprefix("--kubeconfig="), away)
    text = away.read_text()
    away.write_text(text.replace("127.0.0.1:", "127.0.0.1:1"[:-1] + "9"))
    with pytest.raises(Failure):
        drain.drain(Kubectl(Paths.from_environment(), away), context)
