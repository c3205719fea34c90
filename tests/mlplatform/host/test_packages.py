"""Newer versions are told from apt's own words."""

import subprocess

import pytest
import yaml

from cli import doctor
from mlplatform.host import packages
from settings import ROOT

POLICY = """\
containerd:
  Installed: 1.6.20~ds1-1+b1
  Candidate: 1.6.20~ds1-1+deb12u3
  Version table:
     1.6.20~ds1-1+deb12u3 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
 *** 1.6.20~ds1-1+b1 100
        100 /var/lib/dpkg/status
runc:
  Installed: 1.1.5+ds1-1+deb12u1
  Candidate: 1.1.5+ds1-1+deb12u1
  Version table:
git:
  Installed: (none)
  Candidate: 1:2.39.5-0+deb12u2
"""


def test_s33_only_what_is_installed_and_older_is_named() -> None:
    assert packages.newer(POLICY) == {"containerd": ("1.6.20~ds1-1+b1", "1.6.20~ds1-1+deb12u3")}
    assert packages.newer("") == {}


def test_s33_doctor_warns_and_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def policy(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, POLICY, "")

    monkeypatch.setattr(doctor.subprocess, "run", policy)
    check = doctor._packages()
    assert asked == [["apt-cache", "policy", "containerd", "runc"]]
    assert check.ok
    assert check.detail == "newer: containerd 1.6.20~ds1-1+deb12u3 (installed: 1.6.20~ds1-1+b1)"
    assert "scripts/up --upgrade-packages" in check.fix


def test_doctor_asks_the_real_apt() -> None:
    """Whatever this machine has, it is an answer, and nothing was downloaded for it."""
    check = doctor._packages()
    assert check.ok
    assert check.detail


def test_s33_up_upgrades_them_only_when_asked() -> None:
    role = ROOT / "infra" / "ansible" / "roles" / "packages"
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    assert defaults["packages_upgrade"] is False
    assert tuple(defaults["packages_wall"]) == packages.WALL
    (task,) = [one for one in yaml.safe_load((role / "tasks" / "main.yml").read_text()) if one.get("register")]
    assert task["when"] == "packages_upgrade"
    assert task["ansible.builtin.apt"]["state"] == "latest"
    assert task["ansible.builtin.apt"]["only_upgrade"] is True
    (run,) = [
        one["vars"]["supervision_restart"]
        for one in yaml.safe_load((role.parent / "containerd" / "tasks" / "main.yml").read_text())
        if "vars" in one
    ]
    assert "packages_latest is changed" in run
