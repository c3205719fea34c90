"""What the role `forge` tells Gitea of workflows, on a real Gitea with the role's own section."""

import configparser
import hashlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from runner_harness.forge import REPOSITORY, Forge, gitea
from runner_harness.process import eventually
from settings import ROOT

ROLES = ROOT / "infra" / "ansible" / "roles"
# By Gitea's documentation: what it skips workflows for when it is told nothing.
SKIPPING = ["[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]"]


def workflow(events: str) -> str:
    return f"on: {events}\npermissions: {{}}\njobs:\n  one:\n    runs-on: nobody\n    steps: [{{run: 'true'}}]\n"


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """With the gate's kind of workflows on main."""
    with gitea(tmp_path_factory.mktemp("forge") / "gitea") as found:
        found.push(
            "main",
            {
                ".github/workflows/release.yml": workflow("{push: {branches: [main]}}"),
                ".github/workflows/report.yml": workflow("pull_request_target"),
                ".github/workflows/train.yml": workflow("pull_request"),
            },
        )
        yield found


def judged_after(forge: Forge, before: int) -> bool:
    """Whether the gate ran since the run `before`; it belongs to main's commit, not to the pull request's."""
    return any(run["path"].startswith("report.yml@") and run["id"] > before for run in forge.runs())


@pytest.mark.tools
def test_s13_a_gitea_folder_on_main_hides_no_workflow_and_counts_for_none(forge: Forge) -> None:
    sha = forge.push("main", {".gitea/workflows/x.yml": workflow("[push, pull_request, pull_request_target]")})
    forge.run_of("release.yml", sha)
    before = max(run["id"] for run in forge.runs())
    head = forge.push("later", {"a": "1"})
    forge.api("POST", f"/repos/{REPOSITORY}/pulls", json={"head": "later", "base": "main", "title": "later"})
    forge.run_of("train.yml", head)
    eventually(lambda: judged_after(forge, before), "the gate's run")
    assert not [run["path"] for run in forge.runs() if run["path"].startswith("x.yml@")]


@pytest.mark.tools
@pytest.mark.parametrize("text", SKIPPING)
def test_s13_a_commit_that_asks_to_skip_ci_starts_its_workflows(forge: Forge, text: str) -> None:
    sha = forge.push("main", {f"{text}.txt": text}, message=f"change this {text}")
    forge.run_of("release.yml", sha)


@pytest.mark.tools
def test_s13_a_pull_request_that_asks_to_skip_ci_is_judged(forge: Forge) -> None:
    before = max(run["id"] for run in forge.runs())
    head = forge.push("asks", {"asks": "1"}, message="[skip ci] change")
    title = "[no ci] please"
    forge.api("POST", f"/repos/{REPOSITORY}/pulls", json={"head": "asks", "base": "main", "title": title})
    forge.run_of("train.yml", head)
    eventually(lambda: judged_after(forge, before), "the gate's run")


@pytest.mark.tools
def test_d17_the_log_of_a_job_goes_after_thirty_days(tmp_path: Path) -> None:
    """Gitea's own nightly task, on jobs that ended then and then."""
    with gitea(tmp_path / "gitea") as found, closing(sqlite3.connect(tmp_path / "gitea" / "gitea.db")) as database:
        for days in (29, 31):
            values = (days, str(days), int(time.time()) - days * 86400)
            insert = "INSERT INTO action_task (id, token_hash, stopped, log_expired) VALUES (?, ?, ?, 0)"
            database.execute(insert, values)
        database.commit()
        found.api("POST", "/admin/cron/cleanup_actions")
        assert database.execute("SELECT id FROM action_task WHERE log_expired").fetchall() == [(31,)]


def test_s13_what_would_skip_a_workflow_is_known_to_nobody(tmp_path: Path) -> None:
    """The role's template with its defaults, filled in by Ansible."""
    for name in ("forge-secret-key", "forge-internal-token", "forge-signing-key"):
        (tmp_path / name).write_text(f"{name}-0123456789\n")
    playbook = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars_files": [str(ROLES / "forge" / "defaults" / "main.yml")],
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "service_accounts": {"forge": "somebody"},
                "cache_dir": "/srv/cache",
                "state_dir": "/srv/state",
                "secrets_dir": str(tmp_path),
                "node_address": "10.0.0.1",
                "platform": {"forge": {"url": "http://10.0.0.1:3000"}},
                "forge_static_root": "/srv/static",
            },
            "tasks": [
                {
                    "ansible.builtin.template": {
                        "src": str(ROLES / "forge" / "templates" / "app.ini.j2"),
                        "dest": str(tmp_path / "app.ini"),
                        "mode": "0600",
                    }
                }
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(playbook))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "play.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string("[DEFAULT]\n" + (tmp_path / "app.ini").read_text())
    actions = settings["actions"]
    assert actions["WORKFLOW_DIRS"] == ".github/workflows"
    assert (actions["LOG_RETENTION_DAYS"], actions["ARTIFACT_RETENTION_DAYS"]) == ("30", "30")
    assert actions["SKIP_WORKFLOW_STRINGS"] == hashlib.sha256(b"forge-internal-token-0123456789").hexdigest()
