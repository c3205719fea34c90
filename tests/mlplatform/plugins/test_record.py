"""What wrote a stack's state is remembered with it, and every change of that has a line."""

import os
import subprocess
from pathlib import Path

import pytest

from mlplatform.plugins.record import TAG, Plugin, Record, changes, decode, encode, sources
from runner_harness.process import tool
from settings import SettingsError

AWS, KUBERNETES = Plugin("aws", "official", "7.51.1"), Plugin("kubernetes", "offline", "4.34.2")
BOTH = frozenset({AWS, KUBERNETES})


def test_p3_a_record_survives_its_way_into_a_tag() -> None:
    assert encode(BOTH) == "aws=official@7.51.1 kubernetes=offline@4.34.2"
    assert decode(encode(BOTH)) == BOTH
    assert sources(BOTH) == {"aws": "official", "kubernetes": "offline"}


@pytest.mark.parametrize("text", ["", "aws", "aws=mine@1", "aws=official@", "; rm"])
def test_what_is_no_record_names_no_plugin(text: str) -> None:
    assert decode(text) == frozenset()


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (BOTH, BOTH, []),
        (
            {AWS},
            BOTH,
            [f"kubernetes: nothing says which plugin wrote its part of the state; it is {KUBERNETES} now"],
        ),
        (
            {KUBERNETES},
            {Plugin("kubernetes", "official", "4.34.2")},
            [f"kubernetes: {KUBERNETES} wrote its part of the state; it is the official kubernetes 4.34.2 now"],
        ),
        (
            {AWS},
            {Plugin("aws", "official", "7.52.0")},
            ["aws: the official aws 7.51.1 wrote its part of the state; it is the official aws 7.52.0 now"],
        ),
    ],
)
def test_p3_every_change_is_said(before: set[Plugin], now: set[Plugin], expected: list[str]) -> None:
    assert changes(before, now) == expected


@pytest.mark.tools
def test_p3_the_backend_keeps_the_record_beside_the_state(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: p\nruntime: python\n")
    variables = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "PULUMI_BACKEND_URL": f"file://{tmp_path}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_STACK": "s",
    }
    record = Record(variables, tmp_path)
    assert record.read() == frozenset(), "there is no stack"
    with pytest.raises(SettingsError, match="does not keep which plugins write the state: error: no stack"):
        record.write(BOTH)
    init = [tool("pulumi"), "stack", "init", "s", "--non-interactive", "--no-select"]
    subprocess.run(init, cwd=tmp_path, env=variables, check=True, capture_output=True)
    assert record.read() == frozenset(), "there is no record"
    record.write(BOTH)
    assert record.read() == BOTH
    (kept,) = (tmp_path / ".pulumi" / "stacks").rglob("s.pulumi-tags")
    assert f'"{TAG}":"{encode(BOTH)}"' in kept.read_text()


def test_without_the_command_line_the_fix_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="scripts/up installs it"):
        Record({"PATH": "/nowhere"}, tmp_path).read()
