"""A kubelet for tests: takes the pods of one namespace and runs their containers as processes of this machine.

What matters to the runner controller is as on a real node: containers one after the other, variables and files from
Secrets and ConfigMaps, statuses, time limits, deletion with a grace period, and logs that are followed through the API
server. Every absolute path of a container is a folder of its own per pod.
"""

import base64
import datetime
import os
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from runner_harness.cluster import NAMESPACE, Cluster, now

NODE = "test-node"

# Tell a container where its folders lie, and this kubelet which processes are a container's.
_ROOT_VARIABLE = "TEST_ROOT"
_CONTAINER_VARIABLE = "TEST_CONTAINER"


class Container:
    """One container as a process; its log keeps the time of each line."""

    def __init__(self, spec: Mapping[str, Any], root: Path, environment: dict[str, str]) -> None:
        self.name = spec["name"]
        mark = f"{root}/{self.name}"
        self._mark = f"{_CONTAINER_VARIABLE}={mark}".encode()
        self.log = root / f"{self.name}.log"
        self.log.touch()
        self.started = now()
        self.finished = ""
        self.reason = ""
        self._process = subprocess.Popen(
            [*spec["command"], *spec.get("args", [])],
            cwd=root,
            env=environment | {_CONTAINER_VARIABLE: mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._copy_log, daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        """The exit code once the process ended and its log is whole; 128 + signal as on a node."""
        code = self._process.poll()
        if code is None:
            return None
        self.kill()  # what the process left behind holds the log open, and ends with a real container
        self._reader.join(5)
        self.finished = self.finished or now()
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        """SIGTERM, to the first process only."""
        self._process.terminate()

    def kill(self, reason: str = "") -> None:
        """SIGKILL to all its processes; `reason` is what the status says, such as OOMKilled."""
        self.reason = self.reason or reason
        # A cgroup dies at one moment; stopped first, none of these sees the end of another.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            self._signal(number)

    def _signal(self, number: signal.Signals) -> None:
        for directory in Path("/proc").iterdir():
            try:
                if directory.name.isdecimal() and self._mark in (directory / "environ").read_bytes().split(b"\0"):
                    os.kill(int(directory.name), number)
            except OSError:
                pass  # it ended meanwhile

    def end(self) -> None:
        """Kill it and wait until nothing of it is left."""
        self.kill()
        self._process.wait(10)
        self._reader.join(10)

    def status(self) -> dict[str, Any]:
        """The container's status as the API holds it."""
        code = self.exit_code
        if code is None:
            return {"name": self.name, **_STATUS, "state": {"running": {"startedAt": self.started}}}
        ended = {
            "exitCode": code,
            "reason": self.reason or ("Completed" if code == 0 else "Error"),
            "startedAt": self.started,
            "finishedAt": self.finished,
        }
        return {"name": self.name, **_STATUS, "state": {"terminated": ended}}

    def _copy_log(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout, self.log.open("ab", buffering=0) as log:
            for line in self._process.stdout:
                stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
                log.write(f"{stamp} ".encode() + line.rstrip(b"\n") + b"\n")


_STATUS = {"image": "test", "imageID": "test", "ready": False, "restartCount": 0}


class Pod:
    """A pod that this kubelet took."""

    def __init__(self, manifest: dict[str, Any], root: Path) -> None:
        self.name = manifest["metadata"]["name"]
        self.uid = manifest["metadata"]["uid"]
        self.root = root
        self.spec = manifest["spec"]
        self.waiting = [*self.spec.get("initContainers", []), *self.spec["containers"]]
        self.containers: dict[str, Container] = {}
        self.taken = time.monotonic()
        self.deadline_passed = False
        self.deleted_at: float | None = None
        self.problem: dict[str, str] = {}
        self.last_status: dict[str, Any] = {}
        root.mkdir(parents=True)


class Kubelet:
    """Runs pods until `stop`. `missing_images` are images that cannot be pulled; `cordoned` takes no new pods."""

    def __init__(self, cluster: Cluster, work: Path, path: str) -> None:
        self.missing_images: set[str] = set()
        self.cordoned = False
        self._cluster = cluster
        self._work = work
        self._path = path
        self._pods: dict[str, Pod] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def start(self) -> None:
        """Register the node, serve logs, and take pods."""
        self._logs = self._serve_logs()
        self._cluster.call(
            "POST", "/api/v1/nodes", json={"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        )
        addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
        endpoints = {"kubeletEndpoint": {"Port": self._logs.server_port}}
        self._patch(f"/api/v1/nodes/{NODE}/status", {"status": {"addresses": addresses, "daemonEndpoints": endpoints}})
        self._thread.start()

    def stop(self) -> None:
        """Kill all pods and end."""
        self._stop.set()
        self._thread.join(10)
        for pod in self._pods.values():
            for container in pod.containers.values():
                container.end()
        self._logs.shutdown()
        self._logs.server_close()

    def kill(self, name: str, container: str, reason: str = "") -> None:
        """Kill a pod's container as the kernel does when memory is out."""
        self._pods[name].containers[container].kill(reason)

    def evict(self, name: str, message: str) -> None:
        """Kill a pod as the kubelet does when the node is short of something."""
        pod = self._pods[name]
        pod.problem = {"reason": "Evicted", "message": message}
        for container in pod.containers.values():
            container.kill()

    def _loop(self) -> None:
        while not self._stop.wait(0.1):
            try:
                manifests = {manifest["metadata"]["name"]: manifest for manifest in self._cluster.objects("pods")}
                for name in self._pods.keys() - manifests.keys():
                    for container in self._pods.pop(name).containers.values():
                        container.end()
                for name, manifest in manifests.items():
                    self._sync(name, manifest)
            except (AssertionError, OSError, httpx.HTTPError) as error:
                # A pod that was deleted meanwhile, or a fault that the test will show by what does not happen.
                print(f"kubelet: {error!r}", flush=True)

    def _sync(self, name: str, manifest: dict[str, Any]) -> None:
        pod = self._pods.get(name)
        deleting = manifest["metadata"].get("deletionTimestamp")
        if pod is None:
            if manifest["spec"].get("schedulingGates"):
                return  # no scheduler would give it to a node
            if self.cordoned or deleting:
                if not deleting:
                    self._unschedulable(name)
                return
            self._cluster.call(
                "POST",
                f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/binding",
                json={
                    "apiVersion": "v1",
                    "kind": "Binding",
                    "metadata": {"name": name},
                    "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
                },
            )
            pod = self._pods[name] = Pod(manifest, self._work / f"{name}-{manifest['metadata']['uid'][:8]}")
        if deleting and pod.deleted_at is None:
            grace = manifest["metadata"].get("deletionGracePeriodSeconds", 0)
            pod.deleted_at = time.monotonic() + grace
            # Without grace the API server shows this state for a moment only, and `_enforce` kills at once.
            for container in pod.containers.values() if grace else ():
                if container.exit_code is None:
                    container.terminate()
        self._advance(pod)
        self._enforce(pod)
        self._report(pod)

    def _advance(self, pod: Pod) -> None:
        """Start the next container when the one before it succeeded."""
        codes = [container.exit_code for container in pod.containers.values()]
        if pod.deleted_at is not None or pod.problem or not pod.waiting or any(code != 0 for code in codes):
            return
        spec = pod.waiting[0]
        environment = self._environment(pod, spec)
        if spec["image"] in self.missing_images or environment is None:
            return
        pod.waiting.pop(0)
        pod.containers[spec["name"]] = Container(spec, pod.root, environment)

    def _enforce(self, pod: Pod) -> None:
        limit = pod.spec.get("activeDeadlineSeconds")
        if limit and time.monotonic() - pod.taken > limit and not pod.problem and not self._over(pod):
            pod.problem = {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the limit"}
            for container in pod.containers.values():
                container.kill()
        if pod.deleted_at is None:
            return
        running = [container for container in pod.containers.values() if container.exit_code is None]
        if running and time.monotonic() > pod.deleted_at:
            for container in running:
                container.kill()

    @staticmethod
    def _over(pod: Pod) -> bool:
        codes = [container.exit_code for container in pod.containers.values()]
        failed = any(code not in (None, 0) for code in codes)
        return all(code is not None for code in codes) and (failed or not pod.waiting)

    def _report(self, pod: Pod) -> None:
        initial = {spec["name"] for spec in pod.spec.get("initContainers", [])}
        statuses = [container.status() for container in pod.containers.values()]
        for spec in pod.waiting:
            waiting = {"reason": "PodInitializing"}
            if spec["image"] in self.missing_images:
                waiting = {"reason": "ImagePullBackOff", "message": f"Back-off pulling image {spec['image']}"}
            statuses.append({"name": spec["name"], **_STATUS, "state": {"waiting": waiting}})
        phase = "Running" if pod.containers else "Pending"
        if self._over(pod):
            codes = [container.exit_code for container in pod.containers.values()]
            phase = "Failed" if any(codes) or pod.problem else "Succeeded"
        elif pod.problem:
            phase = "Failed"
        status = {
            "phase": phase,
            "initContainerStatuses": [status for status in statuses if status["name"] in initial],
            "containerStatuses": [status for status in statuses if status["name"] not in initial],
            **pod.problem,
        }
        if status != pod.last_status:
            self._patch(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod.name}/status", {"status": status})
            pod.last_status = status
        if pod.deleted_at is not None and all(c.exit_code is not None for c in pod.containers.values()):
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod.name}"
            self._cluster.call("DELETE", path, params={"gracePeriodSeconds": "0"})

    def _unschedulable(self, name: str) -> None:
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 node(s) were unschedulable",
        }
        self._patch(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/status", {"status": {"conditions": [condition]}})

    def _patch(self, path: str, patch: Mapping[str, Any]) -> None:
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        try:
            self._cluster.call("PATCH", path, json=patch, headers=headers)
        except AssertionError as error:
            if "404" not in str(error):
                raise

    def _data(self, kind: str, name: str) -> dict[str, str] | None:
        """The text values of a Secret or ConfigMap."""
        found = [entry for entry in self._cluster.objects(kind) if entry["metadata"]["name"] == name]
        if not found:
            return None
        data = found[0].get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()} if kind == "secrets" else data

    def _environment(self, pod: Pod, spec: Mapping[str, Any]) -> dict[str, str] | None:
        """The container's variables with its files laid down; None while a Secret or ConfigMap is missing."""
        mounts = self._mounts(pod, spec)
        if mounts is None:
            return None
        environment = {"PATH": self._path, "LANG": "C.UTF-8"}
        for source in spec.get("envFrom", []):
            [(key, reference)] = source.items()
            data = self._data("secrets" if key == "secretRef" else "configmaps", reference["name"])
            if data is None and not reference.get("optional"):
                return None
            environment |= data or {}
        root = pod.root / "root"
        for entry in spec.get("env", []):
            value = entry.get("value", "")
            mounted = any(value == path or value.startswith(f"{path}/") for path in mounts)
            environment[entry["name"]] = f"{root}{value}" if mounted else value
        environment[_ROOT_VARIABLE] = str(root)
        return environment

    def _mounts(self, pod: Pod, spec: Mapping[str, Any]) -> list[str] | None:
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        paths = []
        for mount in spec.get("volumeMounts", []):
            volume = volumes[mount["name"]]
            paths.append(mount["mountPath"])
            target = pod.root / "root" / mount["mountPath"].lstrip("/")
            kind, key = ("secrets", "secretName") if "secret" in volume else ("configmaps", "name")
            source = volume.get("secret") or volume.get("configMap")
            if source is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            data = self._data(kind, source[key])
            if data is None and source.get("optional"):
                target.mkdir(parents=True, exist_ok=True)
                continue
            if data is None:
                return None
            items = source.get("items") or [{"key": key, "path": key} for key in data]
            if mount.get("subPath"):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(data[mount["subPath"]])
                continue
            # Containers of a pod have their own view of a path; here the later one replaces it.
            target.mkdir(parents=True, exist_ok=True)
            for old in target.iterdir():
                old.unlink()
            for item in items:
                (target / item["path"]).write_text(data[item["key"]])
        return paths

    def _serve_logs(self) -> ThreadingHTTPServer:
        """Answer the API server's requests for logs."""
        kubelet = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                _, _, _, pod, container = parts.path.split("/")
                query = parse_qs(parts.query)
                self.send_response(200)
                self.end_headers()
                try:
                    for line in kubelet._log_lines(pod, container, query.get("sinceTime", [""])[0]):
                        self.wfile.write(line)
                        self.wfile.flush()
                except OSError:
                    pass  # the reader went away

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pki = self._cluster.work / "pki"
        context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def _log_lines(self, pod_name: str, container_name: str, since: str) -> Iterator[bytes]:
        pod = self._pods.get(pod_name)
        container = pod.containers.get(container_name) if pod else None
        if container is None:
            return
        with container.log.open("rb") as log:
            while True:
                over = container.exit_code is not None
                for line in log:
                    if line.decode(errors="replace") >= since[:19]:
                        yield line
                if over or self._stop.is_set():
                    return
                time.sleep(0.05)


@contextmanager
def kubelet(cluster: Cluster, work: Path, path: str) -> Iterator[Kubelet]:
    """A kubelet until the block ends; its containers find programs on `path`."""
    node = Kubelet(cluster, work, path)
    node.start()
    try:
        yield node
    finally:
        node.stop()
