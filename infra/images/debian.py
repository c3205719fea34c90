"""Debian packages in images: the mirror and settings of the host's apt, and the base root file system.

Nothing of the host's apt stays in an image: the settings are mounted while packages are installed, and the base's own
sources are empty.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.commands import run
from images.errors import ImageError

RECIPE = Path(__file__).resolve().parent / "debian"
SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Where a build sees the directory that `write_settings` makes: a folder that every image has, so none is left behind.
MOUNT = "/mnt"

_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
_DEBIAN_SUITE = re.compile(
    r"(bookworm|trixie|forky|duke|sid|unstable|testing|stable|oldstable)(-updates|-security|-backports)?(/updates)?"
)
# apt's own defaults and what concerns only the host's index files; proxies found by a program of the host.
_NOT_CARRIED = re.compile(
    r"Acquire::(IndexTargets|Languages|CompressionTypes|GzipIndexes|Changelogs|cdrom"
    r"|.*Proxy-Auto-Detect|.*CaInfo|By-Hash)\b",
    re.IGNORECASE,
)
_DOCUMENTATION = ("doc", "man", "info", "locale", "lintian", "bug", "doc-base", "linda")


@dataclass(frozen=True)
class Mirror:
    """Where Debian's packages come from: the archive's URI, and the security archive's where the host has one."""

    archive: str
    security: str | None = None

    def sources(self) -> str:
        """A sources.list for the base's release."""
        lines = [(self.archive, SUITE), (self.archive, f"{SUITE}-updates")]
        if self.security:
            lines.append((self.security, f"{SUITE}-security"))
        return "".join(f"deb [signed-by={KEYRING}] {uri} {suite} main\n" for uri, suite in lines)


def host_mirror(apt_options: Sequence[str] = ()) -> Mirror:
    """The mirror that the host's apt uses for Debian, whatever the format of its sources; `apt_options` go to apt-get.

    Raises ImageError where the host has no source of Debian's.
    """
    # What apt knows of lists that it has downloaded; on a host that never ran `apt-get update`, its sources alone.
    for release_info in ([], ["--no-release-info"]):
        command = ["apt-get", *apt_options, "indextargets", *release_info, "--format", _FORMAT, "Created-By: Packages"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            problem = result.stderr.strip().splitlines()[0].removeprefix("E: ")
            raise ImageError(f"apt cannot read its sources: {problem}; correct that under /etc/apt")
        if mirror := choose_mirror(result.stdout.splitlines()):
            return mirror
    raise ImageError("/etc/apt: no source of Debian's main component; add one, for example Debian's default")


def choose_mirror(lines: Iterable[str]) -> Mirror | None:
    """Pick Debian's own entries among lines of `URI|suite|component|origin`, if there are any.

    A list that apt has not downloaded has no origin: then name and suite decide. The archive's signature is checked in
    any case.
    """
    archive = security = None
    for line in lines:
        uri, suite, component, origin = line.split("|")
        if component != "main" or not _DEBIAN_SUITE.fullmatch(suite) or uri.startswith(("cdrom:", "file:")):
            continue
        if origin != "Debian" and (origin not in ("", "$(ORIGIN)") or "debian" not in uri):
            continue
        if "-security" in suite or suite.endswith("/updates"):
            security = security or uri
        else:
            archive = archive or uri
    return Mirror(archive, security) if archive else None


def host_settings() -> list[str]:
    """The host's `Acquire` settings (proxies, retries, date checks) as apt.conf lines, without its CA bundle."""
    dump = run(["apt-config", "dump", "Acquire"], "apt's settings")
    return [line for line in dump.splitlines() if line.startswith("Acquire::") and not _NOT_CARRIED.match(line)]


def host_ca_bundle() -> Path | None:
    """The CA bundle that downloads on this host trust, if it has one."""
    named = os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
    return Path(named) if Path(named).is_file() else None


def write_settings(folder: Path, mirror: Mirror) -> None:
    """Fill `folder`, which builds see at MOUNT: apt's settings, sources, credentials, CA bundle, `install-packages`."""
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    (folder / "sources.list").write_text(mirror.sources(), encoding="utf-8")
    _credentials(folder / "auth.conf")
    settings = [
        *host_settings(),
        f'Dir::Etc::sourcelist "{MOUNT}/sources.list";',
        'Dir::Etc::sourceparts "-";',
        f'Dir::Etc::netrc "{MOUNT}/auth.conf";',
        'APT::Install-Recommends "false";',
        # The unprivileged user that apt downloads as cannot read the mounted files.
        'APT::Sandbox::User "root";',
    ]
    if bundle := host_ca_bundle():
        (folder / "ca.crt").write_bytes(bundle.read_bytes())
        settings.append(f'Acquire::https::CaInfo "{MOUNT}/ca.crt";')
    (folder / "apt.conf").write_text("\n".join(settings) + "\n", encoding="utf-8")
    for script in ("install-packages", "remove-packages"):
        shutil.copy(RECIPE / script, folder)


def make_base(target: Path, work: Path, log: Path, mirror: Mirror) -> None:
    """Write the base's root file system as a tar file: apt and ca-certificates, no documentation, nothing of the host.

    `work` is a scratch directory on a disk. Raises ImageError.
    """
    settings = [*host_settings(), f'Dir::Etc::netrc "{work}/auth.conf";']
    _credentials(work / "auth.conf")
    if bundle := host_ca_bundle():
        settings.append(f'Acquire::https::CaInfo "{bundle}";')
    (work / "base.conf").write_text("\n".join(settings) + "\n", encoding="utf-8")
    (work / "base.list").write_text(mirror.sources(), encoding="utf-8")
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _DOCUMENTATION]
    run(
        [
            "mmdebstrap",
            "--variant=apt",
            # usr-is-merged stands in for usrmerge, which would bring all of perl.
            "--include=ca-certificates,usr-is-merged",
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
            f"--aptopt={work}/base.conf",
            *left_out,
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            f"--customize-hook={RECIPE}/customize",
            "--format=tar",
            SUITE,
            str(target),
            str(work / "base.list"),
        ],
        "the Debian base",
        log=log,
        environment={"TMPDIR": str(work)},
    )


def _credentials(path: Path) -> None:
    """Gather the host's apt credentials (none, on most hosts) in one file that only root reads."""
    parts = [Path("/etc/apt/auth.conf"), *sorted(Path("/etc/apt/auth.conf.d").glob("*.conf"))]
    path.touch(mode=0o600)
    path.write_text("".join(part.read_text() + "\n" for part in parts if part.is_file()), encoding="utf-8")
