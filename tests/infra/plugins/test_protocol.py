"""A plugin starts without the SDK, and ends with the engine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner_harness.process import eventually
from settings import ROOT

WITHOUT_SDK = "from plugins import protocol; protocol.without_sdk();"


def _python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "infra", capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize("module", ["plugins.kubernetes.provider", "plugins.aws.provider"])
def test_a_provider_starts_without_the_sdk_or_any_client(module: str) -> None:
    """A preview without changes should not wait for what it does not use."""
    heavy = {"boto3", "botocore", "httpx", "pulumi.resource", "pulumi.runtime.stack", "yaml"}
    done = _python(f"{WITHOUT_SDK} import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))")
    assert done.stdout.strip() == "[]"


def test_the_sdk_stays_whole_where_it_is_loaded_already() -> None:
    done = _python(f"import pulumi; {WITHOUT_SDK} print(pulumi.ComponentResource.__name__)")
    assert done.stdout.strip() == "ComponentResource"


def test_deep_messages_are_allowed() -> None:
    program = (
        "from plugins import protocol; from plugins.wire import to_struct;"
        "from google.protobuf import struct_pb2; protocol.allow_deep_messages(); v = {};"
        "[v := {'a': v} for _ in range(200)]; s = to_struct(v);"
        "print(struct_pb2.Struct.FromString(s.SerializeToString()) == s)"
    )
    assert _python(program).stdout.strip() == "True"


@pytest.mark.parametrize("plugin", ["language", "kubernetes", "aws"])
def test_a_plugin_ends_when_its_engine_is_killed(plugin: str, tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    engine = subprocess.Popen(
        ["sh", "-c", f'"{sys.executable}" -P -m plugins {plugin} 127.0.0.1:1 & echo $! > {pids}; wait'],
        env={**os.environ, "PYTHONPATH": str(ROOT / "infra")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert engine.stdout is not None
    assert int(engine.stdout.readline()) > 0, "the port it listens on"
    pid = int(pids.read_text())
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    engine.stdout.close()

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    started = time.monotonic()
    eventually(gone, "the plugin ends", 20)
    assert time.monotonic() - started < 20


def test_an_unknown_plugin_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "plugins", "gcp"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "infra")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("usage: python -m plugins language|kubernetes|aws ADDRESS")
