"""The facts and credentials a job finds in its environment."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forge
from ci.failure import Failure

# A job that gives up is not repeated by anybody, and a forge that is restarted is back within this.
_PATIENCE_SECONDS = 300.0
# Of the account that judges, and of the one that proposes: the runner mounts one of them into a job that main defines.
TOKEN_FILES = tuple(Path(f"/var/run/secrets/ml-platform/{account}/token") for account in ("bot", "proposer"))
ROOT = Path(__file__).resolve().parents[3]
"""The checkout that this code lies in."""


def require(name: str, variables: Mapping[str, str] = os.environ) -> str:
    """The value of a variable that must be set and not empty."""
    value = variables.get(name, "")
    if not value:
        raise Failure(f"environment variable {name} is not set: the runner sets it from cluster-facts or from a Secret")
    return value


def token(variables: Mapping[str, str] = os.environ, files: Sequence[Path] = TOKEN_FILES) -> str:
    """The token of the account that this job acts as: BOT_TOKEN, or else the file that the runner mounts."""
    if found := variables.get("BOT_TOKEN", "").strip():
        return found
    for file in files:
        try:
            if found := file.read_text(encoding="utf-8").strip():
                return found
        except OSError:
            continue
    places = " or ".join(str(file) for file in files)
    raise Failure(
        f"no token: set BOT_TOKEN, or run where the runner mounts {places} (jobs defined on main only; scripts/up "
        "makes the Secrets that it mounts)"
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Which repository on which forge."""

    kind: str
    url: str
    repository: str

    @classmethod
    def from_variables(cls, variables: Mapping[str, str] = os.environ) -> "Place":
        """FORGE_KIND, FORGE_URL, FORGE_REPOSITORY; on GitHub, its own variables are enough."""
        return cls(
            kind=variables.get("FORGE_KIND") or "github",
            url=(variables.get("FORGE_URL") or require("GITHUB_SERVER_URL", variables)).rstrip("/"),
            repository=variables.get("FORGE_REPOSITORY") or require("GITHUB_REPOSITORY", variables),
        )

    def connect(self, token: str) -> forge.Forge:
        """A client that acts as the token's account."""
        return forge.connect(self.kind, self.url, self.repository, forge.Token(token), _PATIENCE_SECONDS)

    @property
    def clone_url(self) -> str:
        """Address for git, without credentials."""
        return f"{self.url}/{self.repository}.git"

    def run_url(self, variables: Mapping[str, str] = os.environ) -> str:
        """The page of the workflow run that this job belongs to, empty outside a workflow."""
        run = variables.get("GITHUB_RUN_ID", "")
        return f"{self.url}/{self.repository}/actions/runs/{run}" if run else ""


def event(variables: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The payload of the event that started the workflow."""
    path = Path(require("GITHUB_EVENT_PATH", variables))
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: the event's payload cannot be read: {error}") from None
    if not isinstance(payload, dict):
        raise Failure(f"{path}: the event's payload is not an object")
    return payload
