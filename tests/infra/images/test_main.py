"""The command line: what it prints, records and refuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from images import __main__ as command_line
from images.__main__ import main
from images.catalog import DIGESTS, images
from images.registry import Registry
from images.store import Outcome
from settings import Paths, load_local


@pytest.fixture
def platform(paths: Paths, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """The local cluster, with its registry and directories replaced by the test's own."""
    cluster = load_local("local")
    cluster = cluster.model_copy(update={"registry": cluster.registry.model_copy(update={"host": registry.host})})
    monkeypatch.setattr(command_line, "load_local", lambda name: cluster)
    monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(paths.state))
    monkeypatch.setenv("ML_PLATFORM_CACHE_DIR", str(paths.cache))
    (paths.secrets / "registry-password").write_text(registry.password)
    return paths


def test_list_prints_upstream_references(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "registry.k8s.io/pause:3.10.1" in lines
    assert not [line for line in lines if "debian" in line]


def test_list_as_json_is_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed == {image.name: image.upstream for image in images().values() if image.pushed}


def test_an_unknown_image_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["build", "--only", "puase"])
    assert re.search(r"invalid choice: 'puase'.*'pause'", capsys.readouterr().err)


def test_an_unknown_cluster_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--cluster", "locla"]) == 2
    assert "there is no cluster 'locla'" in capsys.readouterr().err


def test_a_missing_password_says_what_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(tmp_path))
    assert main(["build", "--only", "pause"]) == 2
    assert "registry-password: cannot be read" in capsys.readouterr().err


def test_only_what_others_deploy_by_digest_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "state" / "images.json"
    outcomes = [Outcome(name, f"sha256:{name}", changed=True) for name in ("pause", "python", "runner-job")]
    assert command_line._record(path, outcomes)
    assert json.loads(path.read_text()) == {"python": "sha256:python", "runner-job": "sha256:runner-job"}
    assert not command_line._record(path, outcomes)
    assert command_line._record(path, [Outcome("runner-controller", "sha256:new", changed=True)])
    assert list(json.loads(path.read_text())) == ["python", "runner-controller", "runner-job"]


@pytest.mark.tools
def test_the_last_line_says_whether_anything_changed(platform: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    for changed in (True, False):
        assert main(["build", "--only", "pause", "etcd"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"changed": changed}


@pytest.mark.tools
def test_pinning_writes_what_upstream_has_now(
    platform: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pins = tmp_path / "digests.json"
    pins.write_text(DIGESTS.read_text())
    monkeypatch.setattr(command_line, "DIGESTS", pins)
    monkeypatch.setattr(command_line, "current_digest", lambda image, crane: "sha256:" + "1" * 64)
    assert main(["pin", "--only", "redis"]) == 0
    before, after = json.loads(DIGESTS.read_text()), json.loads(pins.read_text())
    assert after.pop(images()["redis"].upstream) == "sha256:" + "1" * 64
    assert after.items() <= before.items()


@pytest.mark.tools
def test_an_interrupted_build_leaves_no_process_and_no_mount(platform: Paths) -> None:
    arguments = [sys.executable, "-m", "images", "build", "--no-push", "--only", "redis"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    log = platform.cache / "images" / "logs" / "debian.log"
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (log.exists() and "running apt-get update" in log.read_text()):
            assert process.poll() is None, "the build ended before it could be interrupted"
            assert time.monotonic() < deadline, "the build did not start"
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the next run goes on from here" in said
    assert str(platform.cache) not in Path("/proc/mounts").read_text()
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(platform.cache) in _read(path)]
    assert not (platform.cache / "images" / "work").exists()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
