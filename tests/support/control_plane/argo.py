"""Argo CD's own repository server and ApplicationSet controller, on a real API server without nodes."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from fakeredis import TcpFakeServer

from cli import applications
from cli.kube import Kubectl
from components.gitops_bridge import GitOpsBridgeArgs, cluster_metadata, root_documents
from control_plane.kubernetes import ControlPlane, control_plane
from runner_harness.process import eventually, free_port, running, tool
from settings import ROOT, Paths

IMAGES = {
    name: f"sha256:{digit * 64}" for name, digit in (("bot", "4"), ("runner-controller", "2"), ("runner-job", "3"))
}
REGISTRY = "registry.test:5000"
STAGES = ("dev", "staging", "prod")
APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
CLUSTER_SECRET = "/api/v1/namespaces/argocd/secrets/cluster-here"
SETS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets"


@dataclass(frozen=True)
class Argo:
    """The controllers at work on `repository`, a git repository that stands for the forge's."""

    plane: ControlPlane
    repository: Path
    logs: Path

    @property
    def repo_url(self) -> str:
        return f"file://{self.repository}"

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(Paths.from_environment(), self.plane.kubeconfig)

    def commit(self, overlays: dict[str, str]) -> None:
        """Make these all there is under `apps`, on main: texts by file, or kustomizations by their folder."""
        git = ["git", "-C", str(self.repository), "-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run([*git, "rm", "-r", "--quiet", "--ignore-unmatch", "apps"], check=True, capture_output=True)
        for path, text in overlays.items():
            file = self.repository / path
            if not path.endswith(".yaml"):
                file = file / "kustomization.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for arguments in (["add", "--all"], ["commit", "--quiet", "--allow-empty", "--message", "test"]):
            subprocess.run([*git, *arguments], check=True)
        for name in ("apps", "platform"):
            applications.refresh_set(self.kubectl, name)

    def applications(self) -> dict[str, dict[str, Any]]:
        """The generated Applications by name."""
        return {item["metadata"]["name"]: item for item in self.plane.get(APPLICATIONS)["items"]}

    def conditions(self, name: str) -> dict[str, str]:
        """The messages of an ApplicationSet's failures, by condition."""
        found = self.plane.get(f"{SETS}/{name}").get("status", {}).get("conditions", [])
        return {item["type"]: item["message"] for item in found if "rror" in item["type"] and item["status"] == "True"}


def render(folder: Path, source: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of an Application's `source` whose path is `folder`, by the commands that Argo CD runs; it changes
    the folder's kustomization.
    """
    settings = source.get("kustomize", {})
    for kind, values in (("set image", settings.get("images")), ("add component", settings.get("components"))):
        if values:
            edit = [tool("kustomize"), "edit", *kind.split(), *values]
            subprocess.run(edit, cwd=folder, check=True, capture_output=True)
    built = subprocess.run([tool("kustomize"), "build", str(folder)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return list(yaml.safe_load_all(built.stdout))


def bridge(repo_url: str) -> list[dict[str, Any]]:
    """What Pulumi makes on the cluster `here`: its Secret, and the root Application with its project."""
    root = list(yaml.safe_load_all((ROOT / "argocd" / "root.yaml").read_text()))
    return [_cluster_secret(repo_url), *root_documents(root, repo_url)]


@contextmanager
def controllers(
    work: Path,
    built: list[dict[str, Any]],
    install: list[dict[str, Any]],
    bridge: Callable[[str], list[dict[str, Any]]] = bridge,
) -> Iterator[Argo]:
    """Until the block ends, with what the root Application would apply (`built`), Argo CD's kinds (`install`), and what
    Pulumi makes of a cluster that follows the repository at a URL (`bridge`).
    """
    repository = work / "repository"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(repository)], check=True)
    with control_plane(work / "kubernetes") as plane:
        argo = Argo(plane, repository, work)
        plane.kubectl_apply([_namespace(name) for name in ("argocd", "bot", "runner-controller", *STAGES)])
        plane.kubectl_apply([item for item in install if item["kind"] in {"CustomResourceDefinition", "ConfigMap"}])
        eventually(lambda: plane.exists(SETS) and plane.exists(APPLICATIONS), "Argo CD's kinds are served")
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret", "namespace": "argocd"}}
        documents = bridge(argo.repo_url)
        plane.kubectl_apply([secret, *(item for item in documents if item["kind"] == "Secret")])
        plane.kubectl_apply(_with_repository(built, documents))
        port = free_port()
        with ExitStack() as stack:
            parts = {
                "repo-server": _repo_server(port, stack.enter_context(_cache())),
                "applicationset-controller": _applicationset_controller(port),
            }
            for part, command in parts.items():
                environment = _environment(plane, work, part)
                stack.enter_context(running(command, work / f"{part}.log", lambda: _listens(port), environment))
            yield argo


def _with_repository(built: list[dict[str, Any]], bridge: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents as Argo CD applies them: with the root's project, and its patch made."""
    project, root = (next(item for item in bridge if item["kind"] == kind) for kind in ("AppProject", "Application"))
    (patch,) = root["spec"]["source"]["kustomize"]["patches"]
    (operation,) = json.loads(patch["patch"])
    documents = [project, *(dict(item) for item in built)]
    for document in documents:
        if document["kind"] == "AppProject" and document["metadata"]["name"] == patch["target"]["name"]:
            document["spec"] = {**document["spec"], operation["path"].rpartition("/")[2]: operation["value"]}
    return documents


def _cluster_secret(repo_url: str) -> dict[str, Any]:
    """The Secret that Pulumi would make, from the same names."""
    args = GitOpsBridgeArgs("here", STAGES[:2], STAGES[0], repo_url, REGISTRY, root=[], images=IMAGES)
    labels, annotations = cluster_metadata(args)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cluster-here", "namespace": "argocd", "labels": labels, "annotations": annotations},
        "stringData": {"name": "here", "server": "https://kubernetes.default.svc", "config": "{}"},
    }


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


@contextmanager
def _cache() -> Iterator[int]:
    """The port of a Redis, without which the repository server refuses to list what it has listed before."""
    server = TcpFakeServer(("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _repo_server(port: int, redis: int) -> list[str]:
    return [
        tool("argocd"),
        "--address=127.0.0.1",
        f"--port={port}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={free_port()}",
        "--disable-tls",
        f"--redis=127.0.0.1:{redis}",
    ]


def _applicationset_controller(repo_server: int) -> list[str]:
    return [
        tool("argocd"),
        "--namespace=argocd",
        f"--argocd-repo-server=127.0.0.1:{repo_server}",
        "--repo-server-plaintext",
        f"--metrics-addr=127.0.0.1:{free_port()}",
        f"--probe-addr=127.0.0.1:{free_port()}",
        f"--webhook-addr=127.0.0.1:{free_port()}",
    ]


def _environment(plane: ControlPlane, work: Path, part: str) -> dict[str, str]:
    folder = work / part
    folder.mkdir()
    return {
        "ARGOCD_BINARY_NAME": f"argocd-{part}",  # one program, which asks for its role
        "ARGOCD_GPG_ENABLED": "false",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "HOME": str(folder),
        "KUBECONFIG": str(plane.kubeconfig),
        "PATH": os.environ["PATH"],
        "TMPDIR": str(folder),
    }
