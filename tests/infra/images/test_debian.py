"""The mirror is found in whatever form the host's apt has it; its settings go only where builds mount them."""

from pathlib import Path

import pytest

from images import debian
from images.debian import Mirror, choose_mirror, host_mirror
from images.errors import ImageError

ONE_LINE = """
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/vendor.gpg] https://apt.vendor.test bookworm main
deb http://mirror.test/debian bookworm main contrib
deb http://mirror.test/debian bookworm-updates main
deb http://security.test/debian-security bookworm-security main
deb-src http://mirror.test/debian bookworm main
"""

DEB822 = """
Types: deb
URIs: https://download.vendor.test/linux/debian
Suites: bookworm
Components: stable

Types: deb deb-src
URIs: http://mirror.test/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.test/debian-security
Suites: trixie-security
Components: main
"""

FOUND = Mirror("http://mirror.test/debian/", "http://security.test/debian-security/")


def apt_with(tmp_path: Path, name: str, sources: str) -> list[str]:
    """Options that make apt read these sources only, and no lists that it downloaded."""
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / name).write_text(sources)
    (tmp_path / "lists").mkdir()
    return [
        f"-oDir::Etc::sourceparts={parts}",
        "-oDir::Etc::sourcelist=/dev/null",
        f"-oDir::State::lists={tmp_path}/lists",
    ]


@pytest.mark.parametrize(("name", "sources"), [("host.list", ONE_LINE), ("host.sources", DEB822)])
def test_debians_own_entries_are_found(tmp_path: Path, name: str, sources: str) -> None:
    assert host_mirror(apt_with(tmp_path, name, sources)) == FOUND


def test_a_host_without_debian_sources_is_told_so(tmp_path: Path) -> None:
    options = apt_with(tmp_path, "vendor.list", "deb https://apt.vendor.test stable main\n")
    with pytest.raises(ImageError, match="/etc/apt: no source of Debian's main component"):
        host_mirror(options)


def test_unreadable_sources_are_reported_in_apts_words(tmp_path: Path) -> None:
    options = apt_with(tmp_path, "broken.list", "deb nonsense\n")
    with pytest.raises(
        ImageError, match=r"Malformed entry 1 in list file \S+broken\.list.*; correct that under /etc/apt"
    ):
        host_mirror(options)


def test_an_origin_that_apt_knows_decides() -> None:
    lines = [
        "https://debian.vendor.test/|bookworm|main|Vendor",
        "https://mirror.test/os/|bookworm|main|Debian",
    ]
    assert choose_mirror(lines) == Mirror("https://mirror.test/os/")


def test_sources_are_those_of_the_bases_release_whatever_the_hosts() -> None:
    lines = FOUND.sources().splitlines()
    assert [line.split("] ")[1] for line in lines] == [
        "http://mirror.test/debian/ bookworm main",
        "http://mirror.test/debian/ bookworm-updates main",
        "http://security.test/debian-security/ bookworm-security main",
    ]
    assert all(f"signed-by={debian.KEYRING}" in line for line in lines)


def test_without_a_security_archive_there_are_two_sources() -> None:
    assert len(Mirror("http://mirror.test/debian/").sources().splitlines()) == 2


def test_the_mounted_settings_carry_the_hosts_ca_and_are_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    folder = tmp_path / "packages"
    debian.write_settings(folder, FOUND)
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "ca.crt").read_text() == bundle.read_text()
    assert (folder / "auth.conf").stat().st_mode & 0o077 == 0
    assert (folder / "sources.list").read_text() == FOUND.sources()
    settings = (folder / "apt.conf").read_text()
    assert 'Acquire::https::CaInfo "/mnt/ca.crt";' in settings
    assert str(tmp_path) not in settings
    assert {path.name for path in folder.iterdir()} >= {"install-packages", "remove-packages"}


def test_the_hosts_download_settings_are_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = tmp_path / "apt.conf"
    configuration.write_text(
        'Acquire::http::Proxy "http://proxy.test:3128";\n'
        'Acquire::http::Proxy-Auto-Detect "/usr/local/bin/find-proxy";\n'
        'Acquire::https::CaInfo "/somewhere/ca.crt";\n'
        'Acquire::Retries "7";\n'
        'Acquire::Languages "none";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    settings = debian.host_settings()
    assert 'Acquire::http::Proxy "http://proxy.test:3128";' in settings
    assert 'Acquire::Retries "7";' in settings
    assert not [line for line in settings if "Auto-Detect" in line or "CaInfo" in line or "Languages" in line]
