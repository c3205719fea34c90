"""Trust on first use: the sums of upstream's files and images that no commit pins, as this host saw them first.

The record lies in the state directory, so that it outlives the cache. What it names later counts as pinned.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

FILE = "trusted-on-first-use.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class TrustError(Exception):
    """The record cannot be read or written, or says something else. The message names the file and the fix."""


@dataclass(frozen=True)
class Trusted:
    """A file (`name` is its URL) or an image (its reference): its sha256, where that was published, and since when."""

    name: str
    sha256: str
    source: str
    since: str


@dataclass(frozen=True)
class FirstUse:
    """The record in one file. Several processes may use it at once."""

    path: Path

    def get(self, name: str) -> Trusted | None:
        """What is trusted under `name`. Raises TrustError where the record cannot be read."""
        return self._read().get(name)

    def all(self) -> list[Trusted]:
        """Everything, in the order of the names. Raises TrustError where the record cannot be read."""
        return [trusted for _, trusted in sorted(self._read().items())]

    def check_writable(self) -> None:
        """Raise TrustError now, before a long download, where the record could not be kept afterwards."""
        with self._locked():
            self._read()

    def record(self, name: str, sha256: str, source: str) -> None:
        """Trust `sha256` under `name` from now on. Raises TrustError, also where another sum is trusted already."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no sha256")
        with self._locked():
            known = self._read()
            if name in known:
                if known[name].sha256 != sha256:
                    raise TrustError(f"{name}: {self.differs(known[name], sha256)}")
                return
            known[name] = Trusted(name, sha256, source, datetime.now(UTC).date().isoformat())
            self._write(known)

    def differs(self, known: Trusted, sha256: str) -> str:
        """What to tell a user whose download is not what was trusted."""
        return (
            f"has sha256 {sha256[:12]}..., not {known.sha256[:12]}... as on its first use here on {known.since}: "
            "upstream replaced it, or something on the way did; if upstream says why, remove its entry from "
            f"{self.path}"
        )

    def _read(self) -> dict[str, Trusted]:
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            known = {name: Trusted(name, one["sha256"], one["source"], one["since"]) for name, one in document.items()}
            damaged = not all(_SHA256.fullmatch(trusted.sha256) for trusted in known.values())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise TrustError(f"{self.path}: cannot be read ({error.strerror}); run it as its owner") from None
        except (ValueError, AttributeError, KeyError, TypeError):
            damaged = True
        if damaged:
            # Taken for an empty one, it would trust anew whatever comes.
            fix = "restore it, or remove it to trust what upstream serves from now on"
            raise TrustError(f"{self.path}: is damaged; {fix}")
        return known

    def _write(self, known: dict[str, Trusted]) -> None:
        document = {
            name: {key: value for key, value in asdict(trusted).items() if key != "name"}
            for name, trusted in known.items()
        }
        fresh = self.path.with_name(f".{self.path.name}.new")
        try:
            with fresh.open("w", encoding="utf-8") as out:
                json.dump(document, out, indent=2, sort_keys=True)
                out.write("\n")
                out.flush()
                os.fchmod(out.fileno(), 0o644)
                os.fsync(out.fileno())
            fresh.replace(self.path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise self._not_writable(error) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the record. The lock is on its folder, so that it leaves no file of its own."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not os.access(self.path.parent, os.W_OK):
                raise PermissionError(13, os.strerror(13))
            descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._not_writable(error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _not_writable(self, error: OSError) -> TrustError:
        return TrustError(
            f"{self.path}: cannot be written ({error.strerror}); run it as root, or set ML_PLATFORM_STATE_DIR to a "
            "directory that you can write"
        )
