"""Real services on loopback ports: a Gitea, its runner protocol, and an S3 store."""

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner_harness.forge import actions_settings, printed_token
from runner_harness.process import free_port, serving

Tool = Callable[[str], Path]

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
SQLITE_JOURNAL_MODE = WAL
SQLITE_TIMEOUT = 5000

[repository]
ROOT = {root}/repositories
DEFAULT_PRIVATE = private

[security]
INSTALL_LOCK = true
SECRET_KEY = {secret}
PASSWORD_HASH_ALGO = pbkdf2$1000$50

[service]
DISABLE_REGISTRATION = true

{actions}
# Jobs come from what a test does, whatever the time is.
[cron.start_schedule_tasks]
ENABLED = false

[log]
MODE = file
LEVEL = warn
ROOT_PATH = {root}/log
"""


@dataclass(frozen=True)
class GiteaServer:
    """A running Gitea. `tokens` holds a token of each account."""

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

    def runner(self, repository: str, label: str) -> "Runner":
        """A runner of one repository, registered as a runner controller is."""
        token = self.api("POST", f"/repos/{repository}/actions/runners/registration-token", "owner").json()["token"]
        return Runner(self.url, token, label)

    def clone_url(self, repository: str, account: str) -> str:
        """An address that git can push to as `account`."""
        return f"{self.url.replace('://', f'://{account}:{self.tokens[account]}@')}/{repository}.git"


class Runner:
    """Takes the jobs that the forge hands out, and reports how they ended, over the forge's runner protocol."""

    def __init__(self, url: str, token: str, label: str) -> None:
        self._url = f"{url}/api/actions/runner.v1.RunnerService"
        self._headers = {"Content-Type": "application/json"}
        registration = {"name": "test", "token": token, "version": "test", "labels": [label]}
        known = self._call("Register", registration)["runner"]
        self._headers |= {"x-runner-uuid": known["uuid"], "x-runner-token": known["token"]}

    def _call(self, method: str, body: dict[str, object]) -> dict[str, Any]:
        response = httpx.post(f"{self._url}/{method}", json=body, headers=self._headers, timeout=30)
        assert response.is_success, f"{method}: {response.status_code} {response.text}"
        answer: dict[str, Any] = response.json()
        return answer

    def take(self, seconds: float = 20) -> dict[str, Any] | None:
        """The next waiting job, `None` where there is none within the time. `context` holds the `github` context."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            task: dict[str, Any] | None = self._call("FetchTask", {"tasksVersion": "0"}).get("task")
            if task:
                return task
            time.sleep(0.2)
        return None

    def finish(self, task: dict[str, Any], result: str) -> None:
        """Report the end of a job: SUCCESS or FAILURE."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        state = {"id": task["id"], "result": f"RESULT_{result}", "startedAt": now, "stoppedAt": now}
        self._call("UpdateTask", {"state": state})


@dataclass(frozen=True)
class ObjectStore:
    """A running S3 store; `variables` let any S3 client use it."""

    url: str
    variables: dict[str, str]


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory, tool: Tool) -> Iterator[ObjectStore]:
    """A versitygw with the buckets ml-data and ml-models."""
    root = tmp_path_factory.mktemp("object-store")
    for folder in ("data/ml-data", "data/ml-models", "versions"):
        (root / folder).mkdir(parents=True)
    port = free_port()
    secret = secrets.token_hex(16)
    login = {"ROOT_ACCESS_KEY": "root", "ROOT_SECRET_KEY": secret}
    listen = ["--port", f"127.0.0.1:{port}", "--region", "us-east-1", "--quiet"]
    command = [str(tool("versitygw")), *listen, "posix", "--versioning-dir", str(root / "versions"), "data"]
    url = f"http://127.0.0.1:{port}"
    variables = {
        "AWS_ACCESS_KEY_ID": "root",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "WHEN_REQUIRED",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "WHEN_REQUIRED",
        "OBJECT_STORE_ENDPOINT": url,
        "AWS_ENDPOINT_URL_S3": url,
        "DATA_BUCKET": "ml-data",
        "MODELS_BUCKET": "ml-models",
    }
    with serving(command, root, login, url):
        yield ObjectStore(url, variables)


@pytest.fixture(scope="session")
def gitea(tmp_path_factory: pytest.TempPathFactory, tool: Tool) -> Iterator[GiteaServer]:
    """A Gitea with the accounts owner (administrator), bot and member, and the organisation ml."""
    binary = tool("gitea")
    root = tmp_path_factory.mktemp("gitea")
    port = free_port()
    configuration = root / "app.ini"
    values = {"root": root, "port": port, "static": binary.resolve().parent / "static", "secret": secrets.token_hex(16)}
    values["actions"] = actions_settings()
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
        # The bot's are the ones that it has on the platform's own forge.
        scopes = "read:user,write:issue,write:repository" if account == "bot" else "all"
        options = ["--token-name", "test", "--scopes", scopes, "--raw"]
        made = run("admin", "user", "generate-access-token", "--username", account, *options)
        tokens[account] = printed_token(made)

    url = f"http://127.0.0.1:{port}"
    with serving([str(binary), "--config", str(configuration), "web"], root, environment, f"{url}/api/healthz"):
        server = GiteaServer(url, tokens)
        server.api("POST", "/orgs", "owner", {"username": "ml"})
        yield server
