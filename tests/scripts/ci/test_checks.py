"""The job of `ci.yml`: what it runs, with what, and what it does not know. The commands are real, their tests small."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ci import checks
from mlplatform.base_layer.environments import Place, key_of, name_of
from mlplatform.base_layer.folders import BaseLayerError
from settings import ROOT


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A runner's cache whose base layer lends what runs these tests."""
    found = Place(tmp_path / "cache")
    found.base.root.mkdir(parents=True)
    for group in ("ci", "dev", "dev-ml", "ops"):
        made = subprocess.run([ROOT / "scripts/lib/run", "--venv", "dev"], capture_output=True, text=True, check=True)
        name = name_of(ROOT / "requirements" / f"{group}.txt")
        (found.base.root / name).symlink_to(made.stdout.strip())
        found.base.manifest(name).write_text("{}")
    (tmp_path / "kustomize").write_text("#!/bin/sh\n")
    found.tools.take({"kustomize/kustomize": str(tmp_path / "kustomize")})
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of this repository's commands, with two tests."""
    root = tmp_path / "checkout"
    for folder in ("scripts", "src", "infra", "ml/src"):
        shutil.copytree(
            ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "ansible", "images", "toolchain")
        )
    for name in ("pyproject.toml", *(f"requirements/{group}.txt" for group in ("ci", "dev", "dev-ml", "ops"))):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name in ("good", "bad"):
        (root / "tests" / name).mkdir(parents=True)
        text = f"import os\n\ndef test_it():\n    assert {name == 'good'}, sorted(os.environ)\n"
        (root / "tests" / name / f"test_{name}.py").write_text(text)
    (root / ".gitignore").write_text("__pycache__/\n.artifacts/\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root)
    return root


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t.invalid", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def touch(path: Path) -> None:
    path.write_text(path.read_text() + "\n")


def commit(root: Path) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "one")
    return git(root, "rev-parse", "HEAD")


def job(root: Path, place: Place, *arguments: str) -> "subprocess.CompletedProcess[str]":
    base, head = git(root, "rev-parse", "HEAD~1"), git(root, "rev-parse", "HEAD")
    event = {"pull_request": {"head": {"sha": head}, "base": {"sha": base}, "merge_base": base}}
    (place.mount / "event.json").write_text(json.dumps(event))
    given = {"CACHE_DIR": str(place.mount), "GITHUB_EVENT_PATH": str(place.mount / "event.json")}
    given |= {"AWS_SECRET_ACCESS_KEY": "secret", "FORGE_URL": "http://forge.invalid", "TMPDIR": str(place.mount)}
    return subprocess.run(
        [root / "scripts/ci/checks", *arguments],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=170,
    )


def test_b6_a_job_that_a_change_does_not_concern_ends_at_once(checkout: Path, place: Place) -> None:
    (checkout / "ml" / "params.yaml").write_text("a: 1\n")
    commit(checkout)
    done = job(checkout, place, "unit")
    assert (done.returncode, done.stdout) == (0, "unit: nothing of this change concerns it\n"), done.stderr
    assert not (place.mount / "platform").exists()


def test_b6_the_tests_of_what_changed_are_run_and_know_no_credential(checkout: Path, place: Place) -> None:
    touch(checkout / "tests" / "good" / "test_good.py")
    commit(checkout)
    done = job(checkout, place, "unit")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"
    assert f"unit: as user {os.geteuid()}\n" in done.stdout

    touch(checkout / "tests" / "bad" / "test_bad.py")
    commit(checkout)
    done = job(checkout, place, "unit")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"
    assert "ML_PLATFORM_CACHE_DIR" in done.stdout, "the test printed the names of all variables"
    for variable in ("AWS_SECRET_ACCESS_KEY", "FORGE_URL", "GITHUB_EVENT_PATH"):
        assert variable not in done.stdout


def test_b6_without_tools_a_job_that_needs_them_says_who_brings_them(checkout: Path, place: Place) -> None:
    (checkout / "infra" / "new").write_text("new\n")
    commit(checkout)
    [name] = place.tools.names()
    place.tools.remove(name)
    done = job(checkout, place, "render")
    assert done.returncode == 2
    assert done.stderr == "error: the runner's base layer has no tools: scripts/up on its host copies them there\n"


@pytest.mark.parametrize("arguments", [(), ("core",), ("check", "unit")])
def test_an_unknown_job_is_refused(checkout: Path, place: Place, arguments: tuple[str, ...]) -> None:
    (checkout / "README.md").write_text("x\n")
    commit(checkout)
    done = job(checkout, place, *arguments)
    assert (done.returncode, done.stderr) == (2, "error: usage: scripts/ci/checks check|unit|render\n")


def test_b6_environments_and_tools_of_the_base_layer_are_used_in_place(place: Place) -> None:
    cache = checks.layout(ROOT, place, ("ops", "dev"))
    lock = ROOT / "requirements" / "dev.txt"
    assert (cache / "venvs" / f"dev-{key_of(lock.read_bytes())}").readlink() == place.base.root / name_of(lock)
    newest = place.tools.newest()
    assert newest
    assert (cache / "bin" / "kustomize").readlink() == newest / "kustomize" / "kustomize"
    # The same again, and the command that finds what was linked.
    checks.layout(ROOT, place, ("ops", "dev"))
    variables = {**os.environ, "ML_PLATFORM_CACHE_DIR": str(cache)}
    run = subprocess.run([ROOT / "scripts/lib/run", "--venv", "dev"], env=variables, capture_output=True, text=True)
    assert (run.stdout.strip(), run.stderr) == (str(cache / "venvs" / f"dev-{key_of(lock.read_bytes())}"), "")


def test_an_environment_that_cannot_be_made_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.base.remove(name_of(ROOT / "requirements" / "dev-ml.txt"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BaseLayerError, match="uv cannot be started"):
        checks.layout(ROOT, place, ("dev-ml",))


def test_b6_a_check_knows_where_packages_come_from_and_nothing_of_the_platform(tmp_path: Path) -> None:
    given = {"PATH": "/bin", "https_proxy": "p", "UV_DEFAULT_INDEX": "i", "SSL_CERT_FILE": "c", "HOME": "/home/runner"}
    secret = {"AWS_ACCESS_KEY_ID": "a", "DATA_BUCKET": "b", "FORGE_URL": "u", "BOT_TOKEN": "t", "GITHUB_TOKEN": "t"}
    found = checks.variables({**given, **secret}, tmp_path / "cache", tmp_path)
    assert set(found) == {*given, "ML_PLATFORM_CACHE_DIR", "ML_PLATFORM_STATE_DIR", "PYTEST_XDIST_AUTO_NUM_WORKERS"}
