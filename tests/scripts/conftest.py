"""A real Gitea on a loopback port, for the tests of everything that speaks to a forge."""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

CONFIGURATION = """
APP_NAME = test
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {root}

[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {static}
APP_DATA_PATH = {root}/data
OFFLINE_MODE = true
DISABLE_SSH = true

[database]
DB_TYPE = sqlite3
PATH = {root}/gitea.db

[repository]
ROOT = {root}/repositories
DEFAULT_PRIVATE = private

[security]
INSTALL_LOCK = true
SECRET_KEY = {secret}
PASSWORD_HASH_ALGO = pbkdf2$1000$50

[service]
DISABLE_REGISTRATION = true

[actions]
ENABLED = true

[log]
MODE = file
LEVEL = warn
ROOT_PATH = {root}/log
"""


@dataclass(frozen=True)
class GiteaServer:
    """A running Gitea. `tokens` holds a full-scope token of each account."""

    url: str
    tokens: dict[str, str]

    def api(self, method: str, path: str, account: str, body: object = None) -> httpx.Response:
        """Call the REST API as `account`; an error status is raised."""
        headers = {"Authorization": f"token {self.tokens[account]}"}
        response = httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, json=body, timeout=30)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response

    def new_repository(self) -> str:
        """A private repository `ml/<random>` with an empty main, writable for `bot` and `member`."""
        name = f"platform-{secrets.token_hex(4)}"
        body = {"name": name, "private": True, "auto_init": True, "default_branch": "main"}
        self.api("POST", "/orgs/ml/repos", "owner", body)
        for account in ("bot", "member"):
            self.api("PUT", f"/repos/ml/{name}/collaborators/{account}", "owner", {"permission": "write"})
        return f"ml/{name}"

    def clone_url(self, repository: str, account: str) -> str:
        """An address that git can push to as `account`."""
        return f"{self.url.replace('://', f'://{account}:{self.tokens[account]}@')}/{repository}.git"


@pytest.fixture(scope="session")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GiteaServer]:
    """A Gitea with the accounts owner (administrator), bot and member, and the organisation ml."""
    binary = built_tool("gitea")
    root = tmp_path_factory.mktemp("gitea")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = root / "app.ini"
    values = {"root": root, "port": port, "static": _gitea_module(), "secret": secrets.token_hex(16)}
    configuration.write_text(CONFIGURATION.format(**values))
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "GITEA_WORK_DIR": str(root)}

    def run(*arguments: str) -> str:
        command = [str(binary), "--config", str(configuration), *arguments]
        done = subprocess.run(
            command, env=environment, cwd=root, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"gitea {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    run("migrate")
    tokens = {}
    for account in ("owner", "bot", "member"):
        role = ["--admin"] if account == "owner" else []
        mail = f"{account}@example.invalid"
        password = secrets.token_hex(16)
        user = ["--username", account, "--password", password, "--email", mail, "--must-change-password=false"]
        run("admin", "user", "create", *user, *role)
        scopes = ["--token-name", "test", "--scopes", "all", "--raw"]
        tokens[account] = run("admin", "user", "generate-access-token", "--username", account, *scopes).splitlines()[-1]

    command = [str(binary), "--config", str(configuration), "web"]
    with (
        (root / "stdout").open("w") as output,
        subprocess.Popen(command, env=environment, cwd=root, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        server = GiteaServer(f"http://127.0.0.1:{port}", tokens)
        try:
            _wait(server.url, process, root / "stdout")
            server.api("POST", "/orgs", "owner", {"username": "ml"})
            yield server
        finally:
            process.terminate()
            process.wait(30)


def built_tool(name: str) -> Path:
    """A tool of this project's toolchain; fails with the fix where it was not built."""
    cache = Path(os.environ.get("ML_PLATFORM_CACHE_DIR", "/var/cache/ml-platform"))
    for candidate in [cache / "bin" / name, *sorted(cache.glob(f"tools/{name}/*/{name}"), reverse=True)]:
        if candidate.is_file():
            return candidate
    pytest.fail(f"{name} is not built under {cache}: run scripts/up, or scripts/test, which builds the tools first")


def _gitea_module() -> Path:
    """The source module, whose templates and options the server reads."""
    cache = Path(os.environ.get("ML_PLATFORM_CACHE_DIR", "/var/cache/ml-platform"))
    folders = sorted(cache.glob("go/mod/code.gitea.io/gitea@*"))
    if not folders:
        pytest.fail(f"Gitea's module is not under {cache}/go/mod: run scripts/test, which builds the tools first")
    return folders[-1]


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"gitea ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            if httpx.get(f"{url}/api/healthz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"gitea does not answer on {url}: {log.read_text()[-2000:]}")
