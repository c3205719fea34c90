"""The bot's settings, from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlplatform.pulls.rules import People, PeopleError, Rules

SECRETS = "/var/run/secrets/ml-platform/bot-merge"
PEOPLE = "/etc/ml-platform/people.json"
MOST_PEOPLE_BYTES = 65536


class SettingsError(Exception):
    """A variable or file is missing or wrong; the message names it and the fix."""


@dataclass(frozen=True)
class Settings:
    """`interval`: seconds after which everything is looked at although no webhook came. Secrets and people are read
    whenever they are needed, so that a changed file counts without a new start.
    """

    forge_url: str
    repository: str
    token_file: Path
    webhook_secret_file: Path
    people_file: Path
    required: tuple[str, ...]
    optional: tuple[str, ...]
    administrators: frozenset[str]
    port: int
    interval: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read and check the variables; raises SettingsError."""
        kind = environment.get("FORGE_KIND", "")
        if kind != "gitea":
            raise SettingsError(f"FORGE_KIND is {kind!r}: only 'gitea' needs this bot (ConfigMap cluster-facts)")
        url = _required(environment, "FORGE_URL")
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"FORGE_URL is {url!r}: it must be an http(s) address (ConfigMap cluster-facts)")
        repository = _required(environment, "FORGE_REPOSITORY")
        if repository.count("/") != 1:
            raise SettingsError(f"FORGE_REPOSITORY is {repository!r}: it must be owner/name (ConfigMap cluster-facts)")
        port = environment.get("PORT", "8080")
        if not port.isdecimal() or int(port) > 65535:
            raise SettingsError(f"PORT is {port!r}: it must be a port number")
        interval = environment.get("INTERVAL_SECONDS", "30")
        if not interval.isdecimal() or not 1 <= int(interval) <= 3600:
            raise SettingsError(f"INTERVAL_SECONDS is {interval!r}: it must be a number from 1 to 3600")
        required = tuple(environment.get("REQUIRED_CONTEXTS", "quality-gate").split())
        if not required:
            raise SettingsError("REQUIRED_CONTEXTS is empty: name the statuses that a pull request must have")
        return cls(
            forge_url=url.rstrip("/"),
            repository=repository,
            token_file=Path(environment.get("TOKEN_FILE", f"{SECRETS}/token")),
            webhook_secret_file=Path(environment.get("WEBHOOK_SECRET_FILE", f"{SECRETS}/webhook-secret")),
            people_file=Path(environment.get("PEOPLE_FILE", PEOPLE)),
            required=required,
            optional=tuple(environment.get("OPTIONAL_CONTEXTS", "ci infrastructure").split()),
            administrators=frozenset(
                name.casefold() for name in environment.get("ADMINISTRATORS", "platform-admin").split()
            ),
            port=int(port),
            interval=float(interval),
        )

    def rules(self) -> Rules:
        """What is asked of a pull request now. Raises SettingsError."""
        try:
            with self.people_file.open("rb") as file:
                people = People.parse(file.read(MOST_PEOPLE_BYTES).decode("utf-8"))
        except OSError as error:
            raise SettingsError(
                f"{self.people_file}: {error.strerror}: it is a ConfigMap of scripts/up's making"
            ) from None
        except (PeopleError, UnicodeDecodeError) as error:
            raise SettingsError(f"{self.people_file}: {error}") from None
        return Rules(people, self.required, self.optional, administrators=self.administrators)


def secret(path: Path) -> str:
    """What a mounted secret holds. Raises SettingsError, which never quotes it."""
    try:
        value = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({type(error).__name__}): it is Secret bot-merge") from None
    if not value:
        raise SettingsError(f"{path} is empty: it is Secret bot-merge")
    return value


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set (it comes from ConfigMap cluster-facts)")
    return value
