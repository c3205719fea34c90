"""Each check looks at the files it knows, and says what is wrong with them."""

import os
import subprocess
from pathlib import Path

import pytest

from cli import check
from cli.check import Check
from settings import Paths


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    files = {
        "infra/good.py": "x = 1\n",
        "scripts/verb": "#!/usr/bin/env bash\ntrue\n",
        "scripts/program": "#!/usr/bin/env python3\n",
        "clusters/local/cluster.yaml": "name: local\n",
        ".github/workflows/train.yml": "name: train\n",
        "infra/ansible/site.yml": "[]\n",
        "infra/ansible/roles/a/tasks/main.yml": "[]\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)
    subprocess.run(["git", "-C", str(tmp_path), *identity, "commit", "--quiet", "-m", "one"], check=True)
    return tmp_path


def test_each_program_gets_its_files(checkout: Path) -> None:
    found = {one.name: one.command for one in check.checks(checkout, Paths(state=checkout, cache=checkout))}
    assert found["shell"][1:] == ("scripts/verb",)
    assert found["workflows"][1:] == (".github/workflows/train.yml",)
    assert found["playbooks"][2:] == ("infra/ansible/site.yml",)
    assert "clusters/local/cluster.yaml" in found["yaml"]
    assert found["clusters"][-1] == "settings"
    assert found["format"][-2:] == ("infra",) or "infra" in found["format"]


def test_a_failing_program_fails_the_check_with_its_words(tmp_path: Path) -> None:
    outcome = check.run(Check("a", ("sh", "-c", "echo wrong; exit 1")), tmp_path, dict(os.environ))
    assert not outcome.ok
    assert outcome.said == "wrong"


def test_a_missing_program_is_a_failure_that_says_how_to_get_it(tmp_path: Path) -> None:
    outcome = check.run(Check("a", ("no-such-program",)), tmp_path, dict(os.environ))
    assert not outcome.ok
    assert "toolchain install" in outcome.said


def test_with_fix_the_correction_runs_first(tmp_path: Path) -> None:
    one = Check("a", ("test", "-f", "made"), ("touch", "made"))
    assert not check.run(one, tmp_path, dict(os.environ)).ok
    assert check.run(one, tmp_path, dict(os.environ), fix=True).ok
