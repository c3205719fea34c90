"""A real etcd and kube-apiserver on loopback, with the runner controller's own manifests applied."""

import base64
import datetime
import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from runner_harness.process import free_port, running, tool

NAMESPACE = "runner-controller"
_CONTROLLER = f"system:serviceaccount:{NAMESPACE}:runner-controller"


class Cluster:
    """Calls the API server as an administrator."""

    def __init__(self, url: str, work: Path, command: Sequence[str]) -> None:
        self.url = url
        self.work = work
        self._command = command
        self._service = ExitStack()
        self.start_server()
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": "Bearer admin-token"},
            verify=ssl.create_default_context(cafile=str(work / "pki" / "apiserver.crt")),
            trust_env=False,
            timeout=30,
        )

    def start_server(self) -> None:
        """Start the API server and wait until it is ready."""
        ready = f"{self.url}/readyz"
        log = self.work / "kube-apiserver.log"
        self._service.enter_context(running(self._command, log, lambda: _answers(ready)))

    def stop_server(self) -> None:
        """Stop the API server; what it knows stays in etcd."""
        self._service.close()

    def close(self) -> None:
        """End all connections and the API server."""
        self._http.close()
        self.stop_server()

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Call the API; raises AssertionError with the server's message."""
        response = self._http.request(method, path, **options)
        assert response.status_code < 300, f"{method} {path}: {response.status_code} {response.text}"
        return dict(response.json())

    def objects(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind in the controller's namespace."""
        path = f"/api/v1/namespaces/{NAMESPACE}/{kind}"
        return list(self.call("GET", path, params={"labelSelector": selector})["items"])

    def secret(self, name: str, data: Mapping[str, str]) -> None:
        """Create a Secret."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.call(
            "POST",
            f"/api/v1/namespaces/{NAMESPACE}/secrets",
            json={"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded},
        )

    def config_map(self, name: str, data: Mapping[str, str]) -> None:
        """Create a ConfigMap."""
        self.call(
            "POST",
            f"/api/v1/namespaces/{NAMESPACE}/configmaps",
            json={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data)},
        )

    def patch_pool(self, label: str, patch: Mapping[str, Any]) -> None:
        """Merge a patch into a PodTemplate."""
        self.call(
            "PATCH",
            f"/api/v1/namespaces/{NAMESPACE}/podtemplates/{label}",
            content=json.dumps(patch),
            headers={"Content-Type": "application/strategic-merge-patch+json"},
        )

    def apply_manifests(self, folder: Path) -> None:
        """Create what kustomize builds from a folder, in order of its documents."""
        built = subprocess.run([tool("kustomize"), "build", str(folder)], check=True, capture_output=True, text=True)
        for document in yaml.safe_load_all(built.stdout):
            group, kind = document["apiVersion"], document["kind"].lower()
            root = "/api/v1" if group == "v1" else f"/apis/{group}"
            plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
            self.call("POST", f"{root}/namespaces/{NAMESPACE}/{plural}", json=document)

    def service_account(self, folder: Path) -> dict[str, str]:
        """Lay down the controller's identity as in its pod; the variables that lead to it."""
        folder.mkdir()
        (folder / "token").write_text("controller-token")
        (folder / "namespace").write_text(NAMESPACE)
        (folder / "ca.crt").write_text((self.work / "pki" / "apiserver.crt").read_text())
        host, _, port = self.url.removeprefix("https://").partition(":")
        return {
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
            "KUBERNETES_SERVICE_ACCOUNT_DIR": str(folder),
        }


@contextmanager
def api_server(work: Path) -> Iterator[Cluster]:
    """etcd and kube-apiserver until the block ends; the namespace enforces restricted Pod Security."""
    pki = work / "pki"
    pki.mkdir(parents=True)
    key = pki / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens = pki / "tokens.csv"
    tokens.write_text(
        'admin-token,admin,1,"system:masters"\n'
        f'controller-token,{_CONTROLLER},2,"system:serviceaccounts,system:serviceaccounts:{NAMESPACE}"\n'
    )
    client, peer, port = free_port(), free_port(), free_port()
    etcd_url = f"http://127.0.0.1:{client}"
    etcd = [
        tool("etcd"),
        *("--data-dir", str(work / "etcd")),
        *("--listen-client-urls", etcd_url, "--advertise-client-urls", etcd_url),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
        *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
        *("--initial-cluster", f"default=http://127.0.0.1:{peer}"),
        "--unsafe-no-fsync",
    ]
    server = [
        tool("kube-apiserver"),
        f"--etcd-servers={etcd_url}",
        f"--secure-port={port}",
        *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"),
        f"--cert-dir={pki}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.99.0.0/24",
        # Accounts' tokens come from a controller that does not run here.
        "--disable-admission-plugins=ServiceAccount",
        "--kubelet-preferred-address-types=InternalIP",
    ]

    with running(etcd, work / "etcd.log", lambda: _answers(f"{etcd_url}/health")):
        cluster = Cluster(f"https://127.0.0.1:{port}", work, server)
        try:
            labels = {"pod-security.kubernetes.io/enforce": "restricted"}
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
            cluster.call("POST", "/api/v1/namespaces", json=namespace)
            yield cluster
        finally:
            cluster.close()


def _answers(url: str) -> bool:
    try:
        # Only whether it answers matters here.
        return httpx.get(url, verify=False, trust_env=False).status_code == 200  # noqa: S501
    except httpx.HTTPError:
        return False


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
