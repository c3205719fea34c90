"""The Python language host runs programs for the real command line."""

import subprocess
from pathlib import Path

import pytest

from control_plane.stack import Stack

pytestmark = pytest.mark.tools


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: probe\nruntime: python\nmain: src/\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "backend").mkdir()
    return tmp_path


def _pulumi(stack: Stack, project: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (project / "src" / "__main__.py").write_text(program)
    environment = {**stack.environment, "PULUMI_BACKEND_URL": f"file://{project}/backend", "PULUMI_STACK": "probe"}
    if not (project / "Pulumi.probe.yaml").exists():
        subprocess.run(
            ["pulumi", "stack", "init", "probe"], cwd=project, env=environment, capture_output=True, check=True
        )
    command = ["pulumi", *arguments, "--non-interactive", "--color=never"]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def test_a_program_finds_its_neighbours_its_stack_and_its_configuration(loopback: Stack, project: Path) -> None:
    (project / "src" / "neighbour.py").write_text("NAME = 'found'\n")
    program = (
        "import pulumi, neighbour\n"
        "pulumi.export('all', [neighbour.NAME, pulumi.get_stack(), pulumi.get_project()])\n"
        "pulumi.export('colour', pulumi.Config().require('colour'))\n"
    )
    _pulumi(loopback, project, "", "preview")
    (project / "Pulumi.probe.yaml").write_text(
        (project / "Pulumi.probe.yaml").read_text() + "config:\n  probe:colour: red\n"
    )
    done = _pulumi(loopback, project, program, "up", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = " ".join(done.stdout.split())
    assert "found" in shown
    assert 'colour: "red"' in shown
    assert "warning" not in done.stdout + done.stderr


def test_a_run_error_is_its_message_and_other_errors_have_their_place(loopback: Stack, project: Path) -> None:
    told = _pulumi(loopback, project, "import pulumi\nraise pulumi.RunError('do this instead')\n", "preview")
    assert told.returncode != 0
    assert "error: do this instead" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr
    bug = _pulumi(loopback, project, "\n\n1 / 0\n", "preview")
    assert bug.returncode != 0
    assert "ZeroDivisionError" in bug.stdout
    assert '__main__.py", line 3' in bug.stdout


def test_a_type_that_is_not_implemented_is_refused_by_name(loopback: Stack, project: Path) -> None:
    program = (
        "import pulumi, pulumi_aws as aws\n"
        "provider = aws.Provider('p', region='us-east-1')\n"
        "options = pulumi.ResourceOptions(provider=provider)\n"
        "pulumi.CustomResource('aws:ec2/instance:Instance', 'v', {'instanceType': 't3.micro'}, options)\n"
    )
    done = _pulumi(loopback, project, program, "preview")
    assert done.returncode != 0
    assert "the offline plugin does not implement aws:ec2/instance:Instance; it has aws:" in done.stdout


def test_about_lists_what_the_program_could_import(loopback: Stack, project: Path) -> None:
    done = _pulumi(loopback, project, "", "about")
    assert done.returncode == 0, done.stderr
    assert "pulumi_kubernetes" in done.stdout.replace("-", "_")
