"""The bot on a real Gitea, protected the way the platform's is."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from merge_bot.bot import Bot
from merge_bot.health import Health
from merge_bot.settings import Settings
from runner_harness.forge import PASSWORD, Forge, gitea
from runner_harness.process import eventually, free_port

ROOT = Path(__file__).resolve().parents[3]
PLATFORM = ("ml-bot", "ml-proposer", "ml-merge")
PEOPLE = ("owner", "second", "stranger")
SCOPES = "read:user,write:issue,write:repository"
WEBHOOK_SECRET = "webhook-secret-of-a-test"
SUCCESS = "accuracy held"
PARAMS = "train:\n  epochs: 8\nevaluate:\n  parity_tolerance: 0.0001\ngate:\n  tolerance: 0.005\n"


class Place:
    """One protected repository, the people in it, and its bot."""

    def __init__(self, forge: Forge, folder: Path, token: str) -> None:
        self.forge = forge
        self.repository = f"ml/{secrets.token_hex(4)}"
        self.folder = folder
        (folder / "token").write_text(token)
        (folder / "webhook-secret").write_text(WEBHOOK_SECRET)
        self.people(1)
        self.health = Health()
        self._bots: list[Bot] = []
        self.bot = self.new_bot()
        name = self.repository.partition("/")[2]
        forge.api("POST", "/orgs/ml/repos", json={"name": name, "private": True, "default_branch": "main"})
        for account in (*PLATFORM, *PEOPLE, "member"):
            self.api("PUT", f"/collaborators/{account}", json={"permission": "write"})
        self.push("main", {"README.md": "hello", "ml/params.yaml": PARAMS}, user="root")
        self.protect()

    def protect(self) -> None:
        """As roles/forge_objects does."""
        rule = {
            "rule_name": "main",
            "enable_push": False,
            "enable_merge_whitelist": True,
            "merge_whitelist_usernames": ["ml-merge"],
            "enable_status_check": True,
            "status_check_contexts": ["ready"],
            "block_on_outdated_branch": True,
            "block_on_rejected_reviews": True,
            "block_admin_merge_override": True,
        }
        self.api("POST", "/branch_protections", json=rule)

    def people(self, approvals: int, owners: tuple[str, ...] = ("owner",)) -> None:
        """Who is listed in cluster.yaml."""
        document = {"owners": list(owners), "members": ["member", "second"], "approvals": approvals}
        (self.folder / "people.json").write_text(json.dumps(document))

    def environment(self) -> dict[str, str]:
        """What the bot is started with."""
        return {
            "FORGE_KIND": "gitea",
            "FORGE_URL": self.forge.url,
            "FORGE_REPOSITORY": self.repository,
            "TOKEN_FILE": str(self.folder / "token"),
            "WEBHOOK_SECRET_FILE": str(self.folder / "webhook-secret"),
            "PEOPLE_FILE": str(self.folder / "people.json"),
            "ADMINISTRATORS": "root",
        }

    def new_bot(self) -> Bot:
        """A bot that knows nothing yet."""
        self._bots.append(Bot(Settings.from_environment(self.environment()), self.health))
        return self._bots[-1]

    def close(self) -> None:
        """Close every bot's connections."""
        for bot in self._bots:
            bot.close()

    def api(self, method: str, path: str, user: str = "root", **options: Any) -> Any:
        """Call the API of the repository as a person."""
        return self.forge.api(method, f"/repos/{self.repository}{path}", user=user, **options)

    def refusal(self, method: str, path: str, user: str, **options: Any) -> httpx.Response:
        """What the forge answers to a person whom it does not obey."""
        url = f"{self.forge.url}/api/v1/repos/{self.repository}{path}"
        return httpx.request(method, url, auth=(user, PASSWORD), trust_env=False, timeout=30, **options)

    def push(self, branch: str, files: dict[str, str], user: str = "member", options: tuple[str, ...] = ()) -> str:
        """Commit and push; waits until the forge has the push on record."""
        sha = self.forge.push(branch, files, user=user, repository=self.repository, options=options)
        eventually(lambda: sha in json.dumps(self.api("GET", "/activities/feeds")), f"{sha} on record", 60)
        return sha

    def put_back(self, branch: str, sha: str, user: str = "member") -> None:
        """Force-push a branch to a commit that it had; waits until the forge has the push on record."""
        folder = self.folder / secrets.token_hex(4)
        url = self.forge.url.replace("://", f"://{user}:{PASSWORD}@") + f"/{self.repository}.git"
        before = json.dumps(self.api("GET", "/activities/feeds")).count(sha)
        subprocess.run(["git", "init", "--quiet", folder], check=True)
        for words in (("fetch", "--quiet", url, sha), ("push", "--quiet", "--force", url, f"{sha}:{branch}")):
            subprocess.run(["git", "-C", folder, *words], check=True)
        eventually(
            lambda: json.dumps(self.api("GET", "/activities/feeds")).count(sha) > before, f"{sha} on record again", 60
        )

    def open(self, files: dict[str, str], user: str = "member", branch: str = "change") -> int:
        """Push a branch and open its pull request; its number."""
        self.push(branch, files, user)
        answer = self.api("POST", "/pulls", user, json={"title": f"Change {branch}", "head": branch, "base": "main"})
        number = int(answer["number"])
        eventually(lambda: self.pull(number)["mergeable"], "the forge knows that it merges", 60)
        return number

    def pull(self, number: int) -> dict[str, Any]:
        """The pull request now."""
        return dict(self.api("GET", f"/pulls/{number}"))

    def head(self, number: int) -> str:
        """Its head."""
        return str(self.pull(number)["head"]["sha"])

    def say(self, sha: str, state: str, description: str, user: str = "ml-bot", context: str = "quality-gate") -> None:
        """Set a commit status."""
        body = {"context": context, "state": state, "description": description}
        self.api("POST", f"/statuses/{sha}", user, json=body)

    def judge(self, number: int, state: str = "success", description: str = SUCCESS) -> str:
        """Comment and judge as the gate does; the judged head."""
        head = self.head(number)
        text = f"<!-- ml-platform:report -->\n## Quality gate\n\ncommit {head}"
        own = [one for one in self.api("GET", f"/issues/{number}/comments") if one["user"]["login"] == "ml-bot"]
        if own:
            self.api("PATCH", f"/issues/comments/{own[0]['id']}", "ml-bot", json={"body": text})
        else:
            self.api("POST", f"/issues/{number}/comments", "ml-bot", json={"body": text})
        self.say(head, "success", "no stack is affected", context="infrastructure")
        self.say(head, state, description)
        return head

    def review(self, number: int, user: str, event: str = "APPROVED", commit: str = "") -> int:
        """Submit a review; its id."""
        body = {"event": event, "body": "looked at it", "commit_id": commit}
        return int(self.api("POST", f"/pulls/{number}/reviews", user, json=body)["id"])

    def comment(self, number: int, user: str, text: str) -> int:
        """Write a comment; its id."""
        return int(self.api("POST", f"/issues/{number}/comments", user, json={"body": text})["id"])

    def turns(self, bot: Bot | None = None) -> None:
        """Let the bot do all that there is to do."""
        bot = bot or self.bot

        def done() -> bool:
            return not bot.turn()

        eventually(done, "the bot has nothing more to do", 60)

    def merged(self, number: int) -> bool:
        """Let the bot work; whether it merged the pull request."""
        self.turns()
        return bool(self.pull(number)["merged"])

    def missing(self, number: int) -> str:
        """Let the bot work; what it says is missing to a pull request that it did not merge."""
        assert not self.merged(number)
        shown = self.api("GET", f"/commits/{self.head(number)}/status")["statuses"]
        [said] = [one for one in shown if one["context"] == "ready"]
        assert (said["creator"]["login"], said["status"]) == ("ml-merge", "pending")
        return str(said["description"])


class Service:
    """The bot as a process."""

    def __init__(self, place: Place, interval: int, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = place.folder / "bot.log"
        self._environment = place.environment() | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'apps' / 'bot' / 'src'}:{ROOT / 'src'}",
            "PORT": str(port),
            "INTERVAL_SECONDS": str(interval),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for its first good turn."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "merge_bot"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        eventually(lambda: self.get("/readyz") == 200, f"the bot is ready: {self.log()}", 30)

    def get(self, path: str) -> int:
        """The status of a page, 0 while nobody answers."""
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            return httpx.get(self.url + path, trust_env=False, timeout=15).status_code
        except httpx.TransportError:
            return 0

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(30)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """What it printed."""
        return self._log.read_text() if self._log.exists() else ""


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with gitea(tmp_path_factory.mktemp("bot") / "gitea", (*PLATFORM, *PEOPLE)) as running:
        yield running


@pytest.fixture(scope="session")
def merge_token(forge: Forge) -> str:
    return forge.token("ml-merge", SCOPES)


@pytest.fixture
def place(forge: Forge, merge_token: str, tmp_path: Path) -> Iterator[Place]:
    made = Place(forge, tmp_path, merge_token)
    yield made
    made.close()


@pytest.fixture
def service(place: Place, request: pytest.FixtureRequest) -> Iterator[Service]:
    """The bot as a process that looks by itself once an hour, or every so many seconds as its parameter says."""
    running = Service(place, getattr(request, "param", 3600), free_port())
    yield running
    running.kill()
