"""Keeps secret values out of the log that the forge shows."""

import base64
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

MASK = "***"

# Shorter values (a user name, a digit) would blank out ordinary words of the log.
_SHORTEST = 6
# Values under such a key are secret; others of the same Secret (a user name, an access key's id) are not.
_SECRET_KEY = re.compile(r"token|password|passphrase|secret|credential|private", re.IGNORECASE)

# What stands before the host of each address in a value, which may be a list of them.
_LOGIN = re.compile(r"://([^/?#\s,|]+)@")


def secret_values(data: Mapping[str, str]) -> list[str]:
    """The values of a Kubernetes Secret that must not be shown: those under telling keys, and credentials in URLs.

    Of an address only what comes before its host is secret: the password, or a name alone, which is a token then.
    """
    values = [value for key, value in data.items() if _SECRET_KEY.search(key)]
    for login in (login for value in data.values() for login in _LOGIN.findall(value)):
        name, colon, password = login.partition(":")
        secret = password if colon else name
        # A short password is no word to blank out, but it is together with its name.
        values += [login, secret, unquote(login), unquote(secret)] if secret else []
    return list(dict.fromkeys(values))


class Masker:
    """Replaces secret values, also base64 and URL encoded, by `***`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        needles: set[str] = set()
        for secret in secrets:
            for line in {secret.strip(), *secret.split("\n")}:
                value = line.strip()
                if len(value) >= _SHORTEST:
                    needles |= {value, quote(value, safe=""), base64.b64encode(value.encode()).decode()}
        # The longest first: a secret may contain another one.
        ordered = sorted(needles, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """The text without secret values."""
        return self._pattern.sub(MASK, text) if self._pattern else text
