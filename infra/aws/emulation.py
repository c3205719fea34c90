"""Whether AWS is emulated here: `AWS_ENDPOINT_URL` names a server on this machine or a private network.

Nothing else may stand there: a public address would be handed real credentials, and state would be written for it.
"""

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from settings import SettingsError

VARIABLE = "AWS_ENDPOINT_URL"
# Emulated secrets are encrypted by a passphrase that is none.
PASSPHRASE = "emulator"  # noqa: S105


def credentials(account: str) -> dict[str, str]:
    """Those of an emulated account, which its access key names in an access key's length. The secret is none."""
    return {"AWS_ACCESS_KEY_ID": f"EMULATOR{account}", "AWS_SECRET_ACCESS_KEY": "emulator"}


def endpoint(variables: Mapping[str, str] = os.environ) -> str | None:
    """The emulator's address, None where AWS is AWS. Raises SettingsError for any other address."""
    value = variables.get(VARIABLE, "")
    if not value:
        return None
    try:
        url = urlsplit(value)
        host, scheme = url.hostname or "", url.scheme
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address, scheme = None, ""
    if address is None or scheme not in ("http", "https") or not (address.is_private or address.is_loopback):
        raise SettingsError(
            f"{VARIABLE}: {value!r} is no address of an emulator on this machine or a private network; write"
            " http://<such an address>:<port>, or unset it to use AWS"
        )
    return value.rstrip("/")
