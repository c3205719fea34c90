"""What the host left under the state directory is read strictly."""

from pathlib import Path

import bcrypt
import pytest

import host
import host_state
from settings import Paths, SettingsError


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    host_state.write(tmp_path)
    return Paths(tmp_path, tmp_path)


def test_images_are_digests_by_name(paths: Paths) -> None:
    assert host.images(paths) == host_state.IMAGES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "images.json: cannot be read"),
        ("[]", "must be a mapping of image names to digests"),
        ('{"python": "latest"}', "python: 'latest' is not sha256:<64 hex digits>"),
        ('{"python": 1}', "python: 1 is not sha256"),
        ("{}", "has no digest for python"),
    ],
)
def test_wrong_images_are_refused_with_the_fix(paths: Paths, text: str, message: str) -> None:
    (paths.state / "images.json").write_text(text)
    with pytest.raises(SettingsError, match=message) as refused:
        host.images(paths)
    assert "scripts/up" in str(refused.value)


def test_variables_are_a_dotenv_file(paths: Paths) -> None:
    text = "# a comment\n\nHTTP_PROXY=http://p:1/?a=b\nQUOTED='a b'\nDOUBLE=\"c\"\nEMPTY=\n"
    (paths.state / "host" / "environment").write_text(text)
    assert host.variables(paths) == {"HTTP_PROXY": "http://p:1/?a=b", "QUOTED": "a b", "DOUBLE": "c", "EMPTY": ""}


@pytest.mark.parametrize("line", ["no equals", "1X=a", "=a", "export A=b"])
def test_a_line_that_is_no_variable_is_refused(paths: Paths, line: str) -> None:
    (paths.state / "host" / "environment").write_text(f"A=b\n{line}\n")
    with pytest.raises(SettingsError, match=r"environment: line 2: is not NAME=VALUE; scripts/up writes it anew"):
        host.variables(paths)


def test_s1_what_jobs_reach_is_looked_up_and_kept(paths: Paths) -> None:
    (paths.state / "host" / "environment").write_text("HTTPS_PROXY=http://10.9.0.1:3128\n")
    assert host.keep_egress(paths) == "jobs reach 10.9.0.1:3128 and nothing else beyond the platform"
    assert host.egress(paths).endpoints() == [("10.9.0.1", 3128)]
    (paths.state / "host" / "egress.json").unlink()
    with pytest.raises(SettingsError, match=r"egress.json: cannot be read .*; scripts/up writes it"):
        host.egress(paths)


def test_missing_files_are_told(paths: Paths) -> None:
    (paths.state / "host" / "ca-certificates.crt").unlink()
    with pytest.raises(SettingsError, match=r"ca-certificates.crt: cannot be read .*; scripts/up writes it"):
        host.certificates(paths)


def test_a_password_has_one_hash_on_one_host(paths: Paths) -> None:
    name = "argocd-admin-password"
    first = host.password_hash(paths, name)
    assert host.password_hash(paths, name) == first
    assert bcrypt.checkpw(host_state.secret(name).encode(), first.encode())
    assert not bcrypt.checkpw(b"other", first.encode())
    (paths.secrets / "pulumi-passphrase").write_text("another host's")
    assert host.password_hash(paths, name) != first, "the salt is not to be guessed from the password"
