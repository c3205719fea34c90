"""etcd, kube-apiserver and kube-controller-manager on loopback. Pods are admitted and counted but never run."""

import base64
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from runner_harness.process import eventually, free_port, running, tool

# Namespaces that the API server makes itself.
BUILT_IN = frozenset({"default", "kube-node-lease", "kube-public", "kube-system"})


class ControlPlane:
    """Calls the API as an administrator; `kubeconfig` does so by client certificate."""

    def __init__(self, url: str, work: Path) -> None:
        self.url = url
        self.kubeconfig = work / "admin.conf"
        pki = work / "pki"
        tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self.http = httpx.Client(base_url=url, verify=tls, timeout=30, trust_env=False)

        def data(name: str) -> str:
            return base64.b64encode((pki / name).read_bytes()).decode()

        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority-data": data("ca.crt")}}],
            "users": [
                {
                    "name": "u",
                    "user": {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")},
                }
            ],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        self.kubeconfig.write_text(json.dumps(config))

    def get(self, path: str) -> dict[str, Any]:
        """A GET; raises httpx.HTTPStatusError."""
        response = self.http.get(path)
        response.raise_for_status()
        return dict(response.json())

    def exists(self, path: str) -> bool:
        return self.http.get(path).status_code == httpx.codes.OK

    def patch(self, path: str, patch: dict[str, Any]) -> httpx.Response:
        headers = {"Content-Type": "application/merge-patch+json"}
        return self.http.patch(path, content=json.dumps(patch), headers=headers)

    def apply(self, path: str, document: dict[str, Any]) -> None:
        """Server-side apply as somebody else than Pulumi."""
        self.http.patch(
            path,
            params={"fieldManager": "test", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=json.dumps(document),
        ).raise_for_status()

    def kubectl_apply(self, documents: list[dict[str, Any]], dry_run: bool = False) -> None:
        """`kubectl apply`, server-side. Raises AssertionError with the server's message for the first one refused."""
        kubectl = [tool("kubectl"), f"--kubeconfig={self.kubeconfig}", "apply", "--server-side", "--force-conflicts"]
        command = [*kubectl, "--validate=strict", f"--dry-run={'server' if dry_run else 'none'}", "--filename=-"]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@contextmanager
def control_plane(work: Path, flags: Sequence[str] = ()) -> Iterator[ControlPlane]:
    """Until the block ends. Pods become ready at once, as if a node ran them. `flags` are more for the API server."""
    pki = work / "pki"
    pki.mkdir(parents=True)
    _certificates(pki)
    client, peer, port = free_port(), free_port(), free_port()
    etcd_url, url = f"http://127.0.0.1:{client}", f"https://127.0.0.1:{port}"
    etcd = [
        tool("etcd"),
        f"--data-dir={work / 'etcd'}",
        f"--listen-client-urls={etcd_url}",
        f"--advertise-client-urls={etcd_url}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    ]
    server = [
        tool("kube-apiserver"),
        f"--etcd-servers={etcd_url}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=192.0.2.1",  # it refuses to announce a loopback one; nothing uses it
        f"--cert-dir={work}",
        f"--tls-cert-file={pki / 'server.crt'}",
        f"--tls-private-key-file={pki / 'server.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={pki / 'server.key'}",
        f"--service-account-signing-key-file={pki / 'server.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.99.0.0/16",
        *flags,
    ]

    def etcd_ready() -> bool:
        try:
            return httpx.get(f"{etcd_url}/health", trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    plane = ControlPlane(url, work)

    def server_ready() -> bool:
        try:
            return plane.exists("/readyz") and plane.exists("/api/v1/namespaces/default")
        except httpx.HTTPError:
            return False

    manager = [
        tool("kube-controller-manager"),
        f"--kubeconfig={plane.kubeconfig}",
        f"--service-account-private-key-file={pki / 'server.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        "--leader-elect=false",
        f"--secure-port={free_port()}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={work}",
    ]
    stop = threading.Event()
    with (
        plane.http,
        running(etcd, work / "etcd.log", etcd_ready),
        running(server, work / "kube-apiserver.log", server_ready),
        running(manager, work / "kube-controller-manager.log", lambda: True),
    ):
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        eventually(lambda: plane.exists(account), "the controllers run", 60)
        pods = threading.Thread(target=_make_pods_ready, args=(plane, stop), daemon=True)
        pods.start()
        try:
            yield plane
        finally:
            stop.set()
            pods.join(10)


def _make_pods_ready(plane: ControlPlane, stop: threading.Event) -> None:
    """Report every pod as running and ready, which is all that the controllers above it ask of a node."""
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    while not stop.wait(0.2):
        try:
            pods = plane.get("/api/v1/pods")["items"]
            for pod in pods:
                metadata = pod["metadata"]
                if pod["status"].get("phase") == "Pending" and "deletionTimestamp" not in metadata:
                    plane.patch(
                        f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status", {"status": ready}
                    )
        except httpx.HTTPError:
            continue  # the server is going away, or the pod is


def _certificates(pki: Path) -> None:
    """A certificate authority, and what it signed for the server and for an administrator."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=pki, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key")
    openssl(*new, "-subj", "/CN=test", "-keyout", "ca.key", "-out", "ca.crt")
    rsa = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *signed)
    end = ("-addext", "basicConstraints=critical,CA:FALSE")
    names = ("-addext", "subjectAltName=IP:127.0.0.1")
    openssl(*rsa, *end, *names, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.crt")
    openssl(*rsa, *end, "-subj", "/O=system:masters/CN=admin", "-keyout", "admin.key", "-out", "admin.crt")
