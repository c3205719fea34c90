#!/usr/bin/python
"""Look at what kubeadm has done on a host: whether with the present settings, and which certificates end soon."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from cryptography import x509

DOCUMENTATION = r"""
module: kubeadm_state
short_description: Report what kubeadm has done
options:
  directory: {type: path, required: true, description: What /etc/kubernetes points to.}
  renew_days: {type: int, required: true}
"""


def settings_digest(directory: Path) -> str:
    """Stands for everything kubeadm was told: another digest means that it has to run again."""
    digest = hashlib.sha256()
    for file in [directory / "kubeadm.yaml", *sorted((directory / "patches").glob("*"))]:
        if file.exists():
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def certificates(directory: Path) -> dict[str, x509.Certificate]:
    """Every certificate that kubeadm made, by the path of its file. Authorities last ten years and are left out."""
    found = {}
    for file in sorted((directory / "pki").rglob("*.crt")):
        if file.stem != "ca" and not file.stem.endswith("-ca"):
            found[str(file)] = x509.load_pem_x509_certificate(file.read_bytes())
    for file in sorted(directory.glob("*.conf")):
        match = re.search(r"client-certificate-data:\s*(\S+)", file.read_text())
        if match:
            found[str(file)] = x509.load_pem_x509_certificate(base64.b64decode(match[1]))
    return found


def written(directory: Path) -> list[str]:
    """What kubeadm writes: the key material, the kubeconfigs and the control plane's manifests."""
    paths = [*directory.glob("*.conf"), *directory.glob("manifests/*"), directory / "pki"]
    return sorted(str(path) for path in paths if path.exists())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "renew_days": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    stamp = directory / "initialized"
    digest = settings_digest(directory)
    limit = datetime.now(UTC) + timedelta(days=module.params["renew_days"])
    expiring = []
    if stamp.exists():
        try:
            expiring = [path for path, cert in certificates(directory).items() if cert.not_valid_after_utc < limit]
        except ValueError as error:
            module.fail_json(msg=f"{directory}: a certificate cannot be read: {error}. Restore it from a copy.")
    module.exit_json(
        changed=False,
        settings=digest,
        ever=stamp.exists(),
        initialized=stamp.exists() and stamp.read_text() == digest,
        expiring=expiring,
        files=written(directory),
    )


if __name__ == "__main__":
    main()
