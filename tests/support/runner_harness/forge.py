"""A real Gitea with one private repository, an admin, a member and an outsider."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jinja2

from runner_harness.process import eventually, free_port, running, tool
from settings import ROOT

PASSWORD = "not-a-secret-1"
REPOSITORY = "ml/platform"

_SETTINGS = """
RUN_USER = {user}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {work}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
DISABLE_SSH = true
OFFLINE_MODE = true
STATIC_ROOT_PATH = {assets}
[database]
DB_TYPE = sqlite3
PATH = {work}/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = test
PASSWORD_HASH_ALGO = pbkdf2$1000$50
[service]
DISABLE_REGISTRATION = true
{actions}
[repository]
DEFAULT_BRANCH = main
[log]
LEVEL = warn
MODE = console
[session]
PROVIDER = db
[cron]
ENABLED = false
[webhook]
ALLOWED_HOST_LIST = loopback
# As on the platform: an item is taken at once.
[queue.push_update]
TYPE = channel
[queue.webhook_sender]
TYPE = channel
[queue.pr_patch_checker]
TYPE = channel
"""


_TEMPLATE = ROOT / "infra" / "ansible" / "roles" / "forge" / "templates" / "app.ini.j2"


def actions_settings(skipping_text: str = "0" * 64) -> str:
    """The section `[actions]` as the role `forge` writes it, so that what is tested is the platform's own."""
    found = re.search(r"^\[actions\]\n.*?(?=^\[)", _TEMPLATE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{_TEMPLATE} has no section [actions]"
    template = jinja2.Template(found[0], undefined=jinja2.StrictUndefined)
    return str(template.render(forge_skipping_text=skipping_text))


def printed_token(output: str) -> str:
    """The token in what Gitea's command line printed: a warning about root comes before it or after."""
    [token] = re.findall(r"^[0-9A-Za-z]{40}$", output, re.MULTILINE)
    return str(token)


@dataclass(frozen=True)
class Step:
    """A step as its run's page shows it."""

    status: str
    lines: list[str]


class Forge:
    """Calls a running Gitea."""

    def __init__(self, url: str, work: Path, command: list[str]) -> None:
        self.url = url
        self._service = ExitStack()
        self._work = work
        self._command = command
        self._clones = 0
        self._tokens = 0
        self._triggers: dict[int, str] = {}
        self._people: dict[str, httpx.Client] = {}
        self._browsers: dict[str, httpx.Client] = {}

    def start(self) -> None:
        """Start the service and wait until it answers."""
        environment = os.environ | {"HOME": str(self._work)}
        service = running([*self._command, "web"], self._work / "gitea.log", self._answers, environment)
        self._service.enter_context(service)

    def stop(self) -> None:
        """Stop the service; `start` brings it back as it was."""
        self._service.close()

    def close(self) -> None:
        """End all connections and the service."""
        for client in (*self._people.values(), *self._browsers.values()):
            client.close()
        self.stop()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/healthz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def gitea(self, *arguments: str) -> str:
        """Run Gitea's own command line."""
        return subprocess.run([*self._command, *arguments], check=True, capture_output=True, text=True).stdout

    def api(self, method: str, path: str, *, user: str = "root", **options: Any) -> Any:
        """Call the REST API as a person; the JSON answer."""
        if user not in self._people:
            self._people[user] = httpx.Client(
                base_url=f"{self.url}/api/v1", auth=(user, PASSWORD), trust_env=False, timeout=30
            )
        response = self._people[user].request(method, path, **options)
        assert response.status_code < 300, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def web(self, method: str, path: str, *, user: str = "root", **options: Any) -> httpx.Response:
        """Call what only the web pages offer, such as cancelling a run, as a signed-in person."""
        if user not in self._browsers:
            client = httpx.Client(base_url=self.url, trust_env=False, timeout=30, headers={"Origin": self.url})
            client.post("/user/login", data={"user_name": user, "password": PASSWORD})
            self._browsers[user] = client
        return self._browsers[user].request(method, path, **options)

    def token(self, user: str, scopes: str) -> str:
        """A new access token of an account."""
        self._tokens += 1
        options = ["--token-name", f"test-{self._tokens}", "--scopes", scopes, "--raw"]
        return printed_token(self.gitea("admin", "user", "generate-access-token", "--username", user, *options))

    def registration_token(self) -> str:
        """A token with which a runner may register."""
        return printed_token(self.gitea("actions", "generate-runner-token"))

    def push(
        self,
        branch: str,
        files: dict[str, str],
        *,
        user: str = "root",
        repository: str = REPOSITORY,
        base: str = "main",
        target: str = "",
        options: tuple[str, ...] = (),
        message: str = "",
    ) -> str:
        """Commit files on a branch (made from `base`) and push it, as `target` if that is given; the commit's id."""
        self._clones += 1
        clone = self._work / f"clone-{self._clones}"
        remote = self.url.replace("://", f"://{user}:{PASSWORD}@") + f"/{repository}.git"
        environment = os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}

        def git(*arguments: str) -> str:
            identity = ["-c", f"user.name={user}", "-c", f"user.email={user}@localhost", "-c", "commit.gpgsign=false"]
            done = subprocess.run(
                ["git", *identity, *arguments], cwd=clone, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        clone.mkdir()
        git("init", "-q", "-b", branch)
        git("remote", "add", "origin", remote)
        heads = git("ls-remote", "--heads", "origin")
        start = branch if f"refs/heads/{branch}\n" in heads + "\n" else base
        if f"refs/heads/{start}\n" in heads + "\n":
            git("fetch", "-q", "origin", start)
            git("checkout", "-q", "-B", branch, "FETCH_HEAD")
        for name, text in files.items():
            path = clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git("add", "-A")
        git("commit", "-q", "-m", message or f"change {branch}")
        git("push", "-q", *options, "origin", f"{branch}:{target or branch}")
        return git("rev-parse", "HEAD")

    def runs(self, head_sha: str = "", event: str = "") -> list[dict[str, Any]]:
        """The workflow runs, newest first."""
        parameters = {key: value for key, value in {"head_sha": head_sha, "event": event}.items() if value}
        answer = self.api("GET", f"/repos/{REPOSITORY}/actions/runs", params=parameters)
        return list(answer["workflow_runs"] or [])

    def run_of(self, workflow: str, head_sha: str, after: int = 0) -> dict[str, Any]:
        """The run of a workflow file for a commit, once there is one newer than run `after`."""

        def found() -> dict[str, Any] | None:
            runs = [run for run in self.runs(head_sha) if run["path"].startswith(f"{workflow}@") and run["id"] > after]
            return runs[0] if runs else None

        return eventually(found, f"a run of {workflow} for {head_sha}")

    def finished(self, run: dict[str, Any], seconds: float = 30) -> dict[str, Any]:
        """The run's only job once it is over; `conclusion` and `steps` say how it went."""

        def done() -> dict[str, Any] | None:
            job = self.job(run)
            return job if job["status"] == "completed" else None

        return eventually(done, f"the end of run {run['id']} ({run['path']})", seconds)

    def job(self, run: dict[str, Any]) -> dict[str, Any]:
        """The run's only job."""
        [job] = self.jobs(run)
        return job

    def jobs(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """The run's jobs."""
        return list(self.api("GET", f"/repos/{REPOSITORY}/actions/runs/{run['id']}/jobs")["jobs"])

    def steps(self, run: dict[str, Any]) -> dict[str, Step]:
        """What the run's page shows of its only job: each step by its name, from "Set up job" to "Complete job"."""
        job = self.job(run)
        path = f"/{REPOSITORY}/actions/runs/{run['id']}/jobs/{job['id']}"
        steps = self._view(path, [])["state"]["currentJob"]["steps"]
        cursors = [{"step": index, "cursor": None, "expanded": True} for index in range(len(steps))]
        logs = {entry["step"]: entry["lines"] for entry in self._view(path, cursors)["logs"]["stepsLog"] or []}
        return {
            step["summary"]: Step(step["status"], [line["message"] for line in logs.get(index, [])])
            for index, step in enumerate(steps)
        }

    def step(self, run: dict[str, Any], name: str) -> Step:
        """One step; without status and lines while no runner has the job yet."""
        return self.steps(run).get(name, Step("", []))

    def log(self, run: dict[str, Any]) -> str:
        """The whole log of the run's only job, without its times."""
        job = self.job(run)
        self.api("GET", "/version")  # makes the client
        response = eventually(lambda: self._log(job["id"]), "the log is read to its end")
        # No runner has the job yet, or it has it and has said nothing, or the log of a job that ended is being moved.
        passing = "file does not exist", "seeker can't seek"
        if response.status_code == 404 or any(text in response.text[:500] for text in passing):
            return ""
        assert response.status_code == 200, response.text
        return "\n".join(line.partition(" ")[2] for line in response.text.splitlines())

    def _log(self, job: int) -> httpx.Response | None:
        """A job's log; None where Gitea moves it out of its database meanwhile, which breaks off what it has begun."""
        try:
            return self._people["root"].get(f"/repos/{REPOSITORY}/actions/jobs/{job}/logs")
        except httpx.RemoteProtocolError:
            return None

    def _view(self, path: str, cursors: list[dict[str, Any]]) -> dict[str, Any]:
        response = self.web("POST", path, json={"logCursors": cursors})
        assert response.status_code == 200, response.text
        return dict(response.json())

    def trigger(self, run: dict[str, Any]) -> str:
        """The event as workflows name it; `event` of a run is the forge's own name."""
        if run["id"] not in self._triggers:
            database = f"file:{self._work / 'gitea.db'}?mode=ro"
            with closing(sqlite3.connect(database, uri=True)) as connection:
                query = "SELECT trigger_event FROM action_run WHERE id = ?"
                [self._triggers[run["id"]]] = connection.execute(query, (run["id"],)).fetchone()
        return self._triggers[run["id"]]

    def approve(self, run: dict[str, Any]) -> None:
        """Approve a fork's run as a person does on its page."""
        response = self.web("POST", f"/{REPOSITORY}/actions/runs/{run['id']}/approve")
        assert response.status_code < 400, response.text

    def cancel(self, run: dict[str, Any]) -> None:
        """Cancel a run as a person does on its page."""
        response = self.web("POST", f"/{REPOSITORY}/actions/runs/{run['id']}/cancel")
        assert response.status_code < 400, response.text


@contextmanager
def gitea(work: Path, people: tuple[str, ...] = ()) -> Iterator[Forge]:
    """A Gitea on loopback until the block ends. `people`: accounts besides root, member and outsider."""
    work.mkdir(parents=True)
    binary = Path(tool("gitea")).resolve()
    port = free_port()
    settings = work / "app.ini"
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    # Of a built Gitea; a released one has them in itself.
    values = {"user": user, "work": work, "port": port, "assets": binary.parent / "static"}
    settings.write_text(_SETTINGS.format(**values, actions=actions_settings()))
    command = [str(binary), "--config", str(settings)]
    forge = Forge(f"http://127.0.0.1:{port}", work, command)
    try:
        forge.start()
        for name, *flags in (("root", "--admin"), ("member",), ("outsider",), *((one,) for one in people)):
            forge.gitea(
                *("admin", "user", "create", "--username", name, "--password", PASSWORD),
                *("--email", f"{name}@localhost.localdomain", "--must-change-password=false", *flags),
            )
        forge.api("POST", "/orgs", json={"username": "ml", "visibility": "private"})
        forge.api("POST", "/orgs/ml/repos", json={"name": "platform", "private": True, "auto_init": False})
        for person, permission in (("member", "write"), ("outsider", "read")):
            forge.api("PUT", f"/repos/{REPOSITORY}/collaborators/{person}", json={"permission": permission})
        yield forge
    finally:
        forge.close()
