"""The first certificate that ends is found, wherever kubeadm keeps it."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cli import doctor, health, up
from cli.health import Check
from mlplatform.host import certificates
from settings import ROOT, Paths, load_local


def certificate(days: float) -> bytes:
    """A certificate that ends in so many days."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1)
        .not_valid_before(now - timedelta(days=366))
        .not_valid_after(now + timedelta(days=days, minutes=5))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "state", tmp_path / "cache")


def write(paths: Paths, server: float, admin: float = 340, authority: float = 3) -> None:
    folder = paths.state / "kubernetes"
    (folder / "pki" / "etcd").mkdir(parents=True, exist_ok=True)
    (folder / "pki" / "ca.crt").write_bytes(certificate(authority))
    (folder / "pki" / "front-proxy-ca.crt").write_bytes(certificate(authority))
    (folder / "pki" / "etcd" / "server.crt").write_bytes(certificate(server))
    data = base64.b64encode(certificate(admin)).decode()
    (folder / "admin.conf").write_text(f"users:\n- user:\n    client-certificate-data: {data}\n")


@pytest.mark.parametrize(("server", "admin", "days"), [(100, 340, 100), (340, 20, 20)])
def test_the_first_end_counts_and_authorities_do_not(paths: Paths, server: int, admin: int, days: int) -> None:
    write(paths, server, admin)
    end = certificates.first_end(paths.state / "kubernetes")
    assert end
    assert certificates.days_left(end) == days


def test_no_cluster_has_no_certificates(tmp_path: Path) -> None:
    assert certificates.first_end(tmp_path) is None


def test_s23_up_has_a_reason_when_certificates_end_soon_and_nothing_else_changed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = up.Setup(load_local("local"), paths)
    paths.state.mkdir(parents=True)
    up.fingerprint.record(setup.stamp, up.fingerprint.of_checkout(ROOT))
    monkeypatch.setattr(up.health, "probes", lambda *_: [lambda: health.certificates_end(paths)])
    monkeypatch.setattr(up.merging, "check", lambda *_: Check("merging", True, "the bot merges"))
    write(paths, certificates.RENEW_DAYS + 1)
    assert setup.reason() == ""
    write(paths, certificates.RENEW_DAYS - 1)
    assert "certificates: the first ends in 59 days" in setup.reason()


def test_s23_up_renews_what_ansible_takes_for_ending_soon() -> None:
    role = ROOT / "infra" / "ansible" / "roles" / "kubernetes" / "defaults" / "main.yml"
    assert yaml.safe_load(role.read_text())["kubernetes_renew_days"] == certificates.RENEW_DAYS


@pytest.mark.parametrize(("days", "ok", "shown"), [(200, True, "ok"), (59, True, "warn"), (13, False, "not")])
def test_s23_doctor_and_status_warn_and_then_fail(paths: Paths, days: int, ok: bool, shown: str) -> None:
    write(paths, days)
    check = health.certificates_end(paths)
    assert check.ok is ok
    assert f"{days} days" in check.detail
    assert bool(check.fix) is (days < certificates.RENEW_DAYS)
    assert shown in doctor.mark(check)
    assert any(check == probe() for probe in health.probes(load_local("local"), paths))


def test_what_is_no_certificate_is_a_finding(paths: Paths) -> None:
    write(paths, 200)
    (paths.state / "kubernetes" / "pki" / "etcd" / "server.crt").write_text("damaged")
    assert not health.certificates_end(paths).ok
    assert health.certificates_end(paths).fix
