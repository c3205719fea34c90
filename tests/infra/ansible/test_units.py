"""The definitions of a service, for systemd and for supervisord, as Ansible renders them.

No machine of the tests runs systemd as PID 1, so what its units say is stated here.
"""

import configparser
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from settings import ROOT

FOLDER = ROOT / "infra" / "ansible"
SERVICE = {
    "supervision_service": "forge",
    "supervision_command": ["/cache/gitea", "web", "--config=/srv/with space/app.ini", "100%"],
    "supervision_environment": {"HOME": "/srv/home", "SECRET": 'a"b%c\\d'},
    "supervision_user": "ml-platform",
    "supervision_stop_seconds": 10,
    "supervision_log_size": "20M",
    "supervision_log_backups": 2,
    "logs_dir": "/srv/logs",
    "run_dir": "/run/ml-platform",
}
TEMPLATES = {"systemd": "systemd.service.j2", "supervisor": "supervisor.service.j2", "logrotate": "logrotate.j2"}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The templates of the role `supervision`, filled in by Ansible."""
    folder = tmp_path_factory.mktemp("units")
    playbook = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": SERVICE | {"ansible_python_interpreter": sys.executable},
            "tasks": [
                {
                    "ansible.builtin.copy": {
                        "content": f"{{{{ lookup('ansible.builtin.template', '{template}') }}}}",
                        "dest": str(folder / name),
                        "mode": "0600",
                    }
                }
                for name, file in TEMPLATES.items()
                for template in [FOLDER / "roles" / "supervision" / "templates" / file]
            ],
        }
    ]
    (folder / "playbook.yml").write_text(json.dumps(playbook))
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, folder / "playbook.yml", "-i", "localhost,", "-c", "local"],
        env={**os.environ, "ANSIBLE_CONFIG": str(FOLDER / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: (folder / name).read_text() for name in TEMPLATES}


def parse(text: str) -> dict[str, dict[str, list[str]]]:
    """A unit: section, then key, then its values in order."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in filter(None, text.splitlines()):
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif not line.startswith("#"):
            key, value = line.split("=", 1)
            section.setdefault(key, []).append(value)
    return sections


def test_a_unit_runs_the_command_as_its_user_and_again_when_it_ends(rendered: dict[str, str]) -> None:
    service = parse(rendered["systemd"])["Service"]
    (command,) = service["ExecStart"]
    # Two percent signs mean one.
    assert shlex.split(command.replace("%%", "%")) == SERVICE["supervision_command"]
    assert service["User"] == ["ml-platform"]
    assert service["Restart"] == ["always"]


def test_a_unit_leaves_pods_running_when_it_stops(rendered: dict[str, str]) -> None:
    assert parse(rendered["systemd"])["Service"]["KillMode"] == ["process"]


def test_a_unit_escapes_its_environment(rendered: dict[str, str]) -> None:
    environment = parse(rendered["systemd"])["Service"]["Environment"]
    assert environment == ['"HOME=/srv/home"', '"SECRET=a\\"b%%c\\\\d"']


def test_a_unit_starts_at_boot_after_the_node_address(rendered: dict[str, str]) -> None:
    unit = parse(rendered["systemd"])
    assert unit["Install"]["WantedBy"] == ["multi-user.target"]
    assert unit["Unit"]["Requires"] == ["ml-platform-address.service"]
    assert "ml-platform-address.service" in unit["Unit"]["After"][0].split()


def test_a_program_of_supervisord_runs_the_same(rendered: dict[str, str]) -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(rendered["supervisor"])
    program = parser["program:forge"]
    assert shlex.split(program["command"].replace("%%", "%")) == SERVICE["supervision_command"]
    assert program["user"] == "ml-platform"
    assert program["autorestart"] == "true"
    assert program["stdout_logfile"] == "/srv/logs/forge.log"


def test_d7_logs_of_both_supervisors_are_kept_small(rendered: dict[str, str]) -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(rendered["supervisor"])
    program = parser["program:forge"]
    assert (program["stdout_logfile_maxbytes"], program["stdout_logfile_backups"]) == ("20MB", "2")
    lines = [line.strip() for line in rendered["logrotate"].splitlines()]
    assert {"/srv/logs/*.log {", "size 20M", "rotate 2", "su root root"} <= set(lines)
    # The log that systemd holds open is the one that is emptied.
    assert "copytruncate" in lines
    log = parse(rendered["systemd"])["Service"]["StandardOutput"]
    assert log == ["append:/srv/logs/forge.log"]


def test_d7_the_rotation_is_installed_with_systemd_and_goes_with_down() -> None:
    roles = FOLDER / "roles"
    place = yaml.safe_load((roles / "supervision" / "defaults" / "main.yml").read_text())["supervision_rotation"]
    assert yaml.safe_load((roles / "packages" / "defaults" / "main.yml").read_text())["packages_systemd"] == [
        "logrotate"
    ]
    removed = yaml.safe_load((roles / "teardown" / "tasks" / "systemd.yml").read_text())
    assert place in [task.get("ansible.builtin.file", {}).get("path") for task in removed]


def test_d17_kubelet_removes_images_that_no_pod_uses_for_long() -> None:
    text = (FOLDER / "roles" / "kubernetes" / "templates" / "kubelet.yaml.j2").read_text()
    assert "\nimageMaximumGCAge: 720h\n" in text


def test_d7_kubelet_rotates_the_logs_of_containers() -> None:
    text = (FOLDER / "roles" / "kubernetes" / "templates" / "kubelet.yaml.j2").read_text()
    assert "\ncontainerLogMaxFiles: 3\n" in text
    assert "\ncontainerLogMaxSize: 10Mi\n" in text
