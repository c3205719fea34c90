"""The controller's settings, from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner_controller.upload import Store


class SettingsError(Exception):
    """A variable is missing or wrong; the message names it and the fix."""


@dataclass(frozen=True)
class Settings:
    """`trusted_ref` is the protected branch whose workflows are trusted; `port` serves health and metrics; `store` is
    where runs leave what they made, if anywhere."""

    forge_url: str
    repository: str
    trusted_ref: str
    registration_token_file: Path
    port: int
    store: Store | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read and check the variables; raises SettingsError."""
        kind = environment.get("FORGE_KIND", "")
        if kind != "gitea":
            raise SettingsError(f"FORGE_KIND is {kind!r}: only 'gitea' is served (ConfigMap cluster-facts)")
        url = _required(environment, "FORGE_URL")
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"FORGE_URL is {url!r}: it must be an http(s) address (ConfigMap cluster-facts)")
        repository = _required(environment, "FORGE_REPOSITORY")
        if repository.count("/") != 1:
            raise SettingsError(f"FORGE_REPOSITORY is {repository!r}: it must be owner/name (ConfigMap cluster-facts)")
        port = environment.get("PORT", "8080")
        if not port.isdecimal() or int(port) > 65535:
            raise SettingsError(f"PORT is {port!r}: it must be a port number")
        return cls(
            forge_url=url.rstrip("/"),
            repository=repository,
            trusted_ref=f"refs/heads/{environment.get('TRUSTED_BRANCH', 'main')}",
            registration_token_file=Path(
                environment.get("FORGE_RUNNER_TOKEN_FILE", "/var/run/secrets/ml-platform/forge-runner/token")
            ),
            port=int(port),
            store=_store(environment),
        )


def _store(environment: Mapping[str, str]) -> Store | None:
    endpoint = environment.get("OBJECT_STORE_ENDPOINT", "")
    if not endpoint:
        return None
    return Store(endpoint, _required(environment, "AWS_REGION"), _required(environment, "DATA_BUCKET"))


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set (it comes from ConfigMap cluster-facts)")
    return value
