"""The runner controller on a real forge and a real API server; its pods are processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runner_harness.cluster import Cluster, api_server
from runner_harness.forge import REPOSITORY, Forge, gitea
from runner_harness.kubelet import Kubelet, kubelet
from runner_harness.process import eventually, free_port, tool

ROOT = Path(__file__).resolve().parents[3]
APP = ROOT / "apps" / "runner-controller"

# Long enough to be masked, and easy to find in a log.
BOT_TOKEN = "bot-token-0123456789abcdef"
DVC_KEY = "dvc-secret-access-key-0123456789"
INDEX_URL = "https://robot:index-password-0123@index.example/simple"
RELEASE_KEY = "release-secret-access-key-0123456789"


class Controller:
    """The controller as a process that can be killed and started again."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until the forge knows it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "runner_controller"], env=self._environment, stdout=log, stderr=log
            )
        try:
            eventually(self.ready, "the controller is ready", 30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from error

    def kill(self) -> None:
        """SIGKILL, as when its node goes away."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(20)

    def ready(self) -> bool:
        """Whether its readiness probe passes."""
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        return self.page("/readyz").status_code == 200 if self._answers() else False

    def page(self, path: str) -> httpx.Response:
        """What it serves."""
        return httpx.get(f"http://127.0.0.1:{self._environment['PORT']}{path}", trust_env=False)

    def peak_memory(self) -> int:
        """The most memory that it ever had, in bytes."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def log(self) -> str:
        """What it printed."""
        return self._log.read_text()

    def _answers(self) -> bool:
        try:
            self.page("/livez")
        except httpx.HTTPError:
            return False
        return True


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runner")


@pytest.fixture(scope="session")
def forge(work: Path) -> Iterator[Forge]:
    with gitea(work / "gitea") as running:
        yield running


@pytest.fixture(scope="session")
def kubernetes(work: Path, forge: Forge) -> Iterator[Cluster]:
    with api_server(work / "kubernetes") as running:
        running.secret("bot", {"token": BOT_TOKEN})
        running.secret("dvc", {"AWS_ACCESS_KEY_ID": "dvc", "AWS_SECRET_ACCESS_KEY": DVC_KEY})
        running.secret("runs", {"AWS_ACCESS_KEY_ID": "runs", "AWS_SECRET_ACCESS_KEY": "runs-key-0123456789"})
        running.secret("release", {"AWS_ACCESS_KEY_ID": "release", "AWS_SECRET_ACCESS_KEY": RELEASE_KEY})
        running.secret("host-environment", {"UV_INDEX_URL": INDEX_URL})
        running.config_map("host-ca", {"ca-certificates.crt": ""})
        running.config_map("cluster-facts", {"FORGE_URL": forge.url, "DATA_BUCKET": "ml-data"})
        running.apply_manifests(APP / "overlays" / "platform")
        yield running


@pytest.fixture(scope="session")
def node(work: Path, kubernetes: Cluster) -> Iterator[Kubelet]:
    programs = work / "programs"
    programs.mkdir()
    (programs / "act").symlink_to(tool("act"))
    (programs / "run-job").symlink_to(APP / "job" / "run-job")
    with kubelet(kubernetes, work / "kubelet", f"{programs}:/usr/bin:/bin") as running:
        yield running


@pytest.fixture(scope="session")
def controller(work: Path, forge: Forge, kubernetes: Cluster, node: Kubelet) -> Iterator[Controller]:
    token = work / "registration-token"
    token.write_text(forge.registration_token())
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(APP / "src"),
        "FORGE_KIND": "gitea",
        "FORGE_URL": forge.url,
        "FORGE_REPOSITORY": REPOSITORY,
        "FORGE_RUNNER_TOKEN_FILE": str(token),
        # Nobody answers there: the address is signed, not asked for.
        "OBJECT_STORE_ENDPOINT": "http://127.0.0.1:9",
        "AWS_REGION": "us-east-1",
        "DATA_BUCKET": "ml-data",
        "PORT": str(free_port()),
        **kubernetes.service_account(work / "service-account"),
    }
    running = Controller(environment, work / "controller.log")
    try:
        running.start()
        yield running
        assert running.stop() == 0, running.log()
    finally:
        running.kill()
