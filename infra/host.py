"""What Ansible and the image build left under the state directory for the platform to use."""

import contextlib
import hashlib
import hmac
import json
import re
from pathlib import Path

import bcrypt

from mlplatform.network import egress as jobs_egress
from mlplatform.network.egress import Egress
from settings import Paths, SettingsError

BCRYPT_COST = b"$2b$10$"
BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def images(paths: Paths) -> dict[str, str]:
    """The digests in `images.json` by image name. Raises SettingsError."""
    path = paths.state / "images.json"
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}); scripts/up builds the images and writes it") from None
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: must be a mapping of image names to digests; scripts/up writes it anew")
    for name, digest in found.items():
        if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            raise SettingsError(f"{path}: {name}: {digest!r} is not sha256:<64 hex digits>; scripts/up writes it anew")
    if "python" not in found:
        raise SettingsError(f"{path}: has no digest for python, the base of served models; scripts/up builds it")
    return found


def variables(paths: Paths) -> dict[str, str]:
    """The host's proxy, index and certificate variables that pods need. Raises SettingsError."""
    path = paths.state / "host" / "environment"
    found = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not VARIABLE.fullmatch(name):
            raise SettingsError(f"{path}: line {number}: is not NAME=VALUE; scripts/up writes it anew")
        found[name] = value[1:-1] if len(value) > 1 and value[0] == value[-1] in "'\"" else value
    return found


def egress(paths: Paths) -> Egress:
    """What jobs reach beyond the platform, as it was when `keep_egress` last looked. Raises SettingsError."""
    try:
        return jobs_egress.recorded(paths.state)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def keep_egress(paths: Paths) -> str:
    """Look up what jobs reach beyond the platform and keep it; returns it in words. Raises SettingsError."""
    known = None
    with contextlib.suppress(ValueError):
        known = jobs_egress.recorded(paths.state)
    found = jobs_egress.resolve(variables(paths), known=known)
    path = jobs_egress.file(paths.state)
    if found != known:
        partial = path.with_name(f".{path.name}")
        partial.write_text(found.text(), encoding="utf-8")
        partial.replace(path)
    return found.describe()


def certificates(paths: Paths) -> str:
    """The certificate authorities that the host trusts, in PEM. Raises SettingsError."""
    return _text(paths.state / "host" / "ca-certificates.crt")


def password_hash(paths: Paths, name: str) -> str:
    """The bcrypt hash of a generated secret, the same each time. Raises SettingsError.

    A random salt would make every run of the program a change. The salt is derived with a key that only this host
    knows, so it gives nothing away about the password.
    """
    password, key = paths.secret(name), paths.secret("pulumi-passphrase")
    derived = hmac.digest(key.encode(), name.encode() + b"\0" + password.encode(), hashlib.sha256)
    return bcrypt.hashpw(password.encode(), BCRYPT_COST + _base64(derived[:16])).decode()


def _base64(data: bytes) -> bytes:
    """bcrypt's own base64: another alphabet, no padding, 22 characters for a salt's 16 bytes."""
    bits = "".join(f"{byte:08b}" for byte in data).ljust(22 * 6, "0")
    return "".join(BCRYPT_ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6)).encode()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); scripts/up writes it") from None
