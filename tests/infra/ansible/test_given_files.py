"""A service that shared an account moves to one of its own: stopped, given without following links, started again."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from settings import ROOT

FOLDER = ROOT / "infra" / "ansible"
# Two accounts that every Debian has and nothing uses.
FORMER, OWNER = "games", "news"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")


def ids(account: str) -> tuple[int, int]:
    found = pwd.getpwnam(account)
    return found.pw_uid, found.pw_gid


def owner(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid


@pytest.fixture
def module(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("given_files")


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder that every account may pass."""
    folder = Path(tempfile.mkdtemp(prefix="ml-given-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def service(work: Path) -> Path:
    """The files of a service, with what its account could put there to lead root astray."""
    folder = work / "service"
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "data" / "deep" / "blob").write_text("content")
    (folder / "settings").write_text("settings")
    (work / "outside").mkdir()
    (work / "outside" / "shadow").write_text("root's")
    (folder / "data" / "link").symlink_to(work / "outside")
    (folder / "shadow").symlink_to(work / "outside" / "shadow")
    (folder / "roots").write_text("root's")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, *ids(FORMER), follow_symlinks=False)
    os.chown(folder / "roots", 0, 0)
    os.chown(folder / "settings", 0, ids(FORMER)[1])
    os.chown(work / "outside" / "shadow", *ids(FORMER))
    return folder


def test_s18_everything_of_the_former_account_changes_and_nothing_else(module: ModuleType, service: Path) -> None:
    assert module.give(service, ids(FORMER), ids(OWNER))
    assert owner(service) == ids(FORMER), "the folder itself is last"
    module.give_folder(service, ids(FORMER), ids(OWNER))
    for name in (".", "data", "data/deep", "data/deep/blob", "data/link", "shadow"):
        assert owner(service / name) == ids(OWNER), name
    assert owner(service / "roots") == (0, 0)
    assert owner(service / "settings") == (0, ids(OWNER)[1])
    assert owner(service.parent / "outside") == (0, 0)
    assert owner(service.parent / "outside" / "shadow") == ids(FORMER), "what a link leads to is not the service's"
    assert (service / "data" / "deep" / "blob").read_text() == "content"
    assert not module.give(service, ids(FORMER), ids(OWNER))


def test_s18_what_the_service_had_started_ends_and_others_do_not(module: ModuleType, service: Path, work: Path) -> None:
    commands = [(service / "data", FORMER), (work, FORMER), (service, "root")]
    running = [
        subprocess.Popen(["sleep", "60"], cwd=folder, user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[])
        for folder, user in commands
    ]
    try:
        deadline = time.monotonic() + 10
        while module.at_work(service, ids(FORMER)[0]) != [running[0].pid] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert module.at_work(service, ids(FORMER)[0]) == [running[0].pid]
        module.end(service, ids(FORMER)[0])
        assert running[0].wait(10) == -15
        assert [process.poll() for process in running[1:]] == [None, None]
    finally:
        for process in running:
            process.kill()
            process.wait()


WRITER = "while :; do echo $$ >> {0}/data/log; sleep 0.02; done"


def play(work: Path, account: str) -> str:
    """Run the tasks that a role has for its service, with a supervisord of their own; returns Ansible's recap."""
    role: dict[str, Any] = {"name": "supervision"}
    files = str(work / "service")
    variables = {
        "supervision_service": "writer",
        "supervision_files": files,
        "supervision_user": account,
        "supervision_command": ["bash", "-c", WRITER.format(files)],
        "supervision_stop_seconds": 2,
    }
    folders = {
        "owner": account,
        "directories": [{"path": files, "mode": "0700"}, {"path": f"{files}/data", "mode": "0700"}],
    }
    playbook = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "former_account": FORMER,
                "host": {"manager": "supervisor"},
                "state_dir": str(work / "state"),
                "run_dir": str(work / "run"),
                "logs_dir": str(work / "state" / "logs"),
            },
            "tasks": [
                {"ansible.builtin.include_role": role},
                {"ansible.builtin.include_role": role | {"tasks_from": "account"}, "vars": variables},
                {"host_files": folders},
                {"ansible.builtin.include_role": role | {"tasks_from": "service"}, "vars": variables},
            ],
        }
    ]
    (work / "playbook.yml").write_text(json.dumps(playbook))
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, work / "playbook.yml", "-i", "localhost,", "-c", "local"],
        env={**os.environ, "ANSIBLE_CONFIG": str(FOLDER / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        cwd=FOLDER,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def running(work: Path) -> Iterator[Path]:
    """A service that runs as the former account under a supervisord, as a platform of before has it."""
    for folder in (work / "state" / "logs", work / "run"):
        folder.mkdir(parents=True)
    play(work, FORMER)
    yield work / "service"
    supervisor = int((work / "run" / "supervisord.pid").read_text())
    os.kill(supervisor, 15)
    deadline = time.monotonic() + 20
    while Path("/proc", str(supervisor)).exists() and time.monotonic() < deadline:
        time.sleep(0.1)


def writer(service: Path) -> int:
    """The process that wrote to the service's log last, once there is a new line."""
    before = (service / "data" / "log").stat().st_size if (service / "data" / "log").exists() else 0
    deadline = time.monotonic() + 10
    while (service / "data" / "log").stat().st_size == before:
        assert time.monotonic() < deadline, "the service does not write"
        time.sleep(0.05)
    return int((service / "data" / "log").read_text().split()[-1])


def test_s18_a_running_service_moves_to_its_own_account_and_goes_on(running: Path, work: Path) -> None:
    first = writer(running)
    assert Path("/proc", str(first)).stat().st_uid == ids(FORMER)[0]
    lines = (running / "data" / "log").read_text().split()
    # As a run leaves it that was killed in the middle of a move; the service still runs, which is worse than stopped.
    os.chown(running / "data", *ids(OWNER))
    play(work, OWNER)
    second = writer(running)
    assert not Path("/proc", str(first)).exists()
    assert Path("/proc", str(second)).stat().st_uid == ids(OWNER)[0]
    assert (running / "data" / "log").read_text().split()[: len(lines)] == lines
    assert {owner(path) for path in [running, *running.rglob("*")]} == {ids(OWNER)}
    assert "changed=0" in play(work, OWNER)
    assert writer(running) == second


def test_s18_a_stopped_service_whose_folder_was_not_yet_given_is_known(module: ModuleType, service: Path) -> None:
    """The folder is given last, so until then every run goes on, and what was given already stays given."""
    module.give_folder(service / "data", ids(FORMER), ids(OWNER))
    assert owner(service) == ids(FORMER)
    assert module.give(service, ids(FORMER), ids(OWNER))
    assert owner(service / "data") == ids(OWNER)
