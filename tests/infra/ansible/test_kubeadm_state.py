"""When kubeadm has to run again, and which certificates end soon."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding


@pytest.fixture
def state(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("kubeadm_state")


def certificate(days: int) -> bytes:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=days))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_certificates_of_files_and_kubeconfigs_are_found_and_authorities_are_not(
    state: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "pki" / "etcd").mkdir(parents=True)
    for name in ("ca.crt", "front-proxy-ca.crt", "apiserver.crt", "etcd/ca.crt", "etcd/server.crt"):
        (tmp_path / "pki" / name).write_bytes(certificate(300))
    encoded = base64.b64encode(certificate(300)).decode()
    (tmp_path / "kubelet.conf").write_text(f"users:\n- user:\n    client-certificate-data: {encoded}\n")
    found = {Path(path).name for path in state.certificates(tmp_path)}
    assert found == {"apiserver.crt", "server.crt", "kubelet.conf"}


def test_the_digest_changes_with_settings_and_patches(state: ModuleType, tmp_path: Path) -> None:
    digests = [state.settings_digest(tmp_path)]
    (tmp_path / "kubeadm.yaml").write_text("a: 1\n")
    digests.append(state.settings_digest(tmp_path))
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / "etcd.yaml").write_text("b: 1\n")
    digests.append(state.settings_digest(tmp_path))
    assert len(set(digests)) == 3
    assert state.settings_digest(tmp_path) == digests[-1]


def test_what_kubeadm_wrote_is_found_and_what_ansible_wrote_is_not(state: ModuleType, tmp_path: Path) -> None:
    for name in ("admin.conf", "manifests/etcd.yaml", "pki/ca.crt", "kubeadm.yaml", "patches/etcd.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [str(Path(path).relative_to(tmp_path)) for path in state.written(tmp_path)]
    assert names == ["admin.conf", "manifests/etcd.yaml", "pki"]
