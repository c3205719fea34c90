"""The API servers of the emulated clusters: a real etcd, kube-apiserver and controller manager each, without nodes.

Auto Mode brings Karpenter's kinds, so they are installed there, from Karpenter's own module. EKS's own kinds have no
published schema, so the servers do not know them.
"""

import base64
import json
import os
import shutil
import subprocess
import threading
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from control_plane.kubernetes import ControlPlane, control_plane
from emulator.eks_access import GROUPS

# Group, version and kind of what Auto Mode has and nothing here can validate.
NOT_VALIDATED = (
    ("eks.amazonaws.com", "v1", "NodeClass"),
    ("eks.amazonaws.com", "v1", "NodeDiagnostic"),
    ("eks.amazonaws.com", "v1", "IngressClassParams"),
    ("eks.amazonaws.com", "v1", "TargetGroupBinding"),
)
KARPENTER = Path(__file__).with_name("karpenter")


class Server:
    """The API server of one cluster, started and stopped in the background."""

    def __init__(self, name: str, work: Path, webhook: str, auto_mode: bool) -> None:
        self.error: str | None = None
        self._work, self._webhook, self._auto_mode = work, f"{webhook}/{name}", auto_mode
        self._ready, self._stop = threading.Event(), threading.Event()
        self._endpoint = ""
        self._thread = threading.Thread(target=self._run, name=f"cluster {name}")
        self._thread.start()

    def ready(self) -> bool:
        if self.error:
            raise RuntimeError(self.error)
        return self._ready.is_set()

    def gone(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Ask it to end; `gone` says when it has."""
        self._stop.set()

    def join(self) -> None:
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return self._endpoint

    @property
    def authority(self) -> str:
        """The certificate authority, as EKS gives it: PEM in base64."""
        return base64.b64encode((self._work / "pki" / "ca.crt").read_bytes()).decode()

    def _run(self) -> None:
        try:
            self._work.mkdir(parents=True)
            with control_plane(self._work, self._flags()) as plane:
                plane.kubectl_apply([*_bindings(), *(karpenter() if self._auto_mode else [])])
                self._endpoint = plane.url
                self._ready.set()
                self._stop.wait()
                _close(plane)
            shutil.rmtree(self._work, ignore_errors=True)
        except Exception as error:
            self.error = f"the API server did not start: {error}"

    def _flags(self) -> list[str]:
        path = self._work / "webhook.json"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "emulator", "cluster": {"server": self._webhook}}],
            "users": [{"name": "api-server", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "emulator", "user": "api-server"}}],
            "current-context": "c",
        }
        path.write_text(json.dumps(config))
        return [
            f"--authentication-token-webhook-config-file={path}",
            "--authentication-token-webhook-version=v1",
            # A token that is not let in may be a moment later, when its access entry is there.
            "--authentication-token-webhook-cache-ttl=2s",
        ]


class Servers:
    """All of them; `webhook` is the address that they ask about tokens."""

    def __init__(self, work: Path, webhook: str) -> None:
        self._work, self._webhook = work, webhook
        self._started: list[Server] = []

    def start(self, name: str, auto_mode: bool) -> Server:
        """A server that becomes ready in some seconds."""
        server = Server(name, self._work / f"{name}-{len(self._started)}", self._webhook, auto_mode)
        self._started.append(server)
        return server

    def stop(self) -> None:
        """End all and wait."""
        for server in self._started:
            server.stop()
        for server in self._started:
            server.join()


class NoServer:
    """Stands for an API server where a test is about AWS only: an address that nobody listens on."""

    endpoint = "https://127.0.0.1:1"
    authority = base64.b64encode(b"none").decode()

    def ready(self) -> bool:
        return True

    def gone(self) -> bool:
        return True

    def stop(self) -> None:
        """There is nothing to end."""


class NoServers:
    """Clusters without API servers, which are up at once."""

    def start(self, _name: str, auto_mode: bool) -> NoServer:
        return NoServer()

    def stop(self) -> None:
        """There is nothing to end."""


@cache
def karpenter() -> list[dict[str, Any]]:
    """Karpenter's CustomResourceDefinitions, from the pinned module. Raises RuntimeError when it cannot be had."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    cache_folder = Path(os.environ.get("ML_PLATFORM_CACHE_DIR", "/var/cache/ml-platform"))
    environment = {**os.environ, "GOMODCACHE": str(cache_folder / "go" / "mod"), "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    command = [go, "mod", "download", "-json", "sigs.k8s.io/karpenter"]
    done = subprocess.run(command, cwd=KARPENTER, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    folder = Path(json.loads(done.stdout)["Dir"]) / "pkg" / "apis" / "crds"
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))]


def _bindings() -> list[dict[str, Any]]:
    """What the groups of access policies may do, by Kubernetes' own roles."""
    roles = {group: group.removeprefix("eks:") for group in GROUPS.values() if group.startswith("eks:")}
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": group},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
        }
        for group, role in roles.items()
    ]


def _close(plane: ControlPlane) -> None:
    plane.http.close()
