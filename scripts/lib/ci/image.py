"""The served model's image, put together in the registry by crane: no daemon, no privileges, no pull of the base."""

import base64
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.failure import Failure
from digits import bento

TIMEOUT = 600.0
# Where programs are looked for in an image whose base does not say: Docker's own default.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MISSING = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404 Not Found")


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry and the folder with its credentials, as docker's `config.json`."""

    host: str
    configuration: Path

    def digest(self, reference: str) -> str | None:
        """The digest of `path:tag`, `None` where there is no such image. Raises `Failure`."""
        done = self._crane("digest", f"{self.host}/{reference}")
        if done.returncode == 0:
            return done.stdout.strip()
        if any(word in done.stderr for word in MISSING):
            return None
        raise self._failure("digest", reference, done.stderr)

    def labels(self, reference: str) -> dict[str, str]:
        """The labels of an image. Raises `Failure`."""
        found: dict[str, str] = self._config(reference).get("Labels") or {}
        return found

    def append(self, base: str, layer: Path, reference: str) -> None:
        """Push `base` with one more layer (.tar.gz) as `reference`. Raises `Failure`."""
        files = ["--base", f"{self.host}/{base}", "--new_layer", str(layer)]
        self._must("append", reference, *files, "--new_tag", f"{self.host}/{reference}")

    def finish(self, base: str, layer: Path, reference: str, labels: dict[str, str]) -> str:
        """Push `base` with the Bento's layer and what starts it as `reference`; return the digest. Raises `Failure`."""
        options = [f"--append={layer}", f"--entrypoint={','.join(bento.ENTRYPOINT)}", "--workdir=/"]
        options += [f"--user={bento.USER}", f"--exposed-ports={bento.PORT}/tcp"]
        variables = {"PATH": self._path(base), **bento.ENVIRONMENT}
        options += [f"--env={name}={value}" for name, value in sorted(variables.items())]
        options += [f"--label={name}={value}" for name, value in sorted(labels.items())]
        self._must("mutate", reference, f"{self.host}/{base}", *options, "--tag", f"{self.host}/{reference}")
        digest = self.digest(reference)
        if digest is None:
            raise Failure(f"{self.host}/{reference} was pushed, but the registry does not have it: look at its log")
        return digest

    def _path(self, reference: str) -> str:
        """Where an image's programs are looked for. Raises `Failure`."""
        variables = dict(entry.partition("=")[::2] for entry in self._config(reference).get("Env") or [])
        return variables.get("PATH") or PATH

    def _config(self, reference: str) -> dict[str, Any]:
        """How an image's containers start. Raises `Failure`."""
        found: dict[str, Any] = json.loads(self._must("config", reference, f"{self.host}/{reference}")).get(
            "config", {}
        )
        return found

    def _must(self, verb: str, reference: str, *arguments: str) -> str:
        done = self._crane(verb, *arguments)
        if done.returncode != 0:
            raise self._failure(verb, reference, done.stderr)
        return done.stdout

    def _crane(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        # Crane speaks plain HTTP to private addresses and TLS to all others, without being told.
        environment = {**os.environ, "DOCKER_CONFIG": str(self.configuration)}
        try:
            return subprocess.run(
                ["crane", *arguments], env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
            )
        except FileNotFoundError:
            raise Failure("crane is not on PATH: the runner's image has it, run the job there") from None
        except subprocess.TimeoutExpired:
            raise Failure(f"crane {arguments[0]} took longer than {TIMEOUT:.0f} s: is {self.host} reachable?") from None

    def _failure(self, verb: str, reference: str, output: str) -> Failure:
        reason = " ".join(output.split())[-400:]
        denied = "401" in reason or "UNAUTHORIZED" in reason or "DENIED" in reason
        advice = "check REGISTRY_USERNAME and REGISTRY_PASSWORD" if denied else "is the registry up and reachable?"
        return Failure(f"crane {verb} {self.host}/{reference} failed: {reason}: {advice}")


@contextmanager
def login(host: str, user: str, password: str) -> Iterator[Registry]:
    """A registry with credentials that lie in a private file until the end of the block."""
    with tempfile.TemporaryDirectory() as folder:  # mode 0700
        file = Path(folder) / "config.json"
        file.touch(mode=0o600)
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        file.write_text(json.dumps({"auths": {host: {"auth": token}}}), encoding="utf-8")
        yield Registry(host, Path(folder))


def short_hash(*parts: bytes) -> str:
    """Twelve hexadecimal digits that stand for these parts in this order."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:12]
