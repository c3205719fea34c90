"""A result names the commit that was tested, and whether the checkout was that commit."""

import json
import subprocess
from pathlib import Path

from cli import results


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def test_a_result_says_what_was_tested_where_and_how_it_ended(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    counts = {"passed": 3, "failed": 1, "skipped": 0}

    found = json.loads(results.document(tmp_path, "attacks", counts, 12.4, [7, 4, 7]))
    assert (found["tier"], found["commit"]) == ("attacks", git(tmp_path, "rev-parse", "HEAD"))
    assert (found["tests"], found["seconds"], found["changed"]) == (counts, 12, False)
    assert found["machine"]["cpus"] >= 1
    assert found["seeds"] == [4, 7]

    path = results.path(tmp_path, "attacks")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert not json.loads(results.document(tmp_path, "attacks", counts, 1, []))["changed"]
    (tmp_path / "other").write_text("")
    assert json.loads(results.document(tmp_path, "attacks", counts, 1, []))["changed"]
