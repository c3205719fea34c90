"""When the certificates end that kubeadm made for the cluster of this host."""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

# Ansible renews what ends sooner, whenever it runs.
RENEW_DAYS = 60
# So near to their end nobody has run `scripts/up` for weeks, and the cluster is about to stop answering.
ALARM_DAYS = 14


def first_end(folder: Path) -> datetime | None:
    """When the first certificate in kubeadm's folder ends, None where there is none.

    Authorities last ten years and are left out. Raises OSError, and ValueError for what is no certificate.
    """
    found = []
    for file in (folder / "pki").rglob("*.crt"):
        if file.stem != "ca" and not file.stem.endswith("-ca"):
            found.append(x509.load_pem_x509_certificate(file.read_bytes()))
    for file in folder.glob("*.conf"):
        if match := re.search(r"client-certificate-data:\s*(\S+)", file.read_text(encoding="utf-8")):
            found.append(x509.load_pem_x509_certificate(base64.b64decode(match[1])))
    return min((one.not_valid_after_utc for one in found), default=None)


def days_left(end: datetime) -> int:
    """Whole days from now."""
    return (end - datetime.now(UTC)).days
