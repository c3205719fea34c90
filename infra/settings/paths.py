"""The places on this host that hold the checkout and the platform's state and cache."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from settings.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "ml-platform"
DOMAIN = "ml-platform.dev"


@dataclass(frozen=True)
class Paths:
    """Where this host keeps the platform's state (data and secrets) and its cache (only what can be made again)."""

    state: Path
    cache: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Paths":
        """Read ML_PLATFORM_STATE_DIR and ML_PLATFORM_CACHE_DIR. Raises SettingsError."""
        return cls(
            state=_directory(environment, "ML_PLATFORM_STATE_DIR", f"/var/lib/{PROJECT}"),
            cache=_directory(environment, "ML_PLATFORM_CACHE_DIR", f"/var/cache/{PROJECT}"),
        )

    @property
    def bin(self) -> Path:
        return self.cache / "bin"

    @property
    def tools(self) -> Path:
        return self.cache / "tools"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubernetes" / "admin.conf"

    @property
    def pulumi(self) -> Path:
        """The file backend of Pulumi's state."""
        return self.state / "pulumi"

    @property
    def argocd_context(self) -> Path:
        """A kubeconfig that puts a context in Argo CD's namespace before the cluster's own."""
        return self.state / "argocd" / "context.conf"

    @property
    def aws_config(self) -> Path:
        return self.state / "aws" / "config"

    @property
    def aws_credentials(self) -> Path:
        return self.state / "aws" / "credentials"

    def secret(self, name: str) -> str:
        """The value of one generated secret. Raises SettingsError when it is not there or empty."""
        path = self.secrets / name
        try:
            value = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read ({error.strerror}); scripts/up generates it") from None
        if not value:
            raise SettingsError(f"{path}: is empty; remove it and run scripts/up, which generates it")
        return value


def _directory(environment: Mapping[str, str], variable: str, default: str) -> Path:
    value = environment.get(variable) or default
    path = Path(value)
    if not path.is_absolute() or path == Path("/"):
        raise SettingsError(f"{variable}: {value!r} is not an absolute directory below /; set it to one, or unset it")
    return path
