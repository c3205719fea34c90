"""Programs that the language host starts for the engine: what they write is handed on as it comes."""

import os
import time
from pathlib import Path

import pytest

from plugins import child


@pytest.fixture
def program(tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    folder.mkdir()
    return folder


def run(program: Path, source: str, *arguments: str, environment: tuple[str, ...] = ()) -> tuple[bytes, bytes, int]:
    (program / "__main__.py").write_text(source)
    process = child.start(str(program), arguments, str(program.parent), [f"PATH={os.defpath}", *environment])
    written = {"stdout": b"", "stderr": b""}
    for stream, output in child.outputs(process):
        written[stream] += output
    return written["stdout"], written["stderr"], process.wait()


def test_it_gets_its_arguments_folder_and_variables(program: Path) -> None:
    source = "import os, sys; print(sys.argv[1:], os.getcwd(), os.environ['COLOUR'], 'HOME' in os.environ)"
    stdout, stderr, status = run(program, source, "127.0.0.1:1", environment=("COLOUR=red", "COLOUR=a=b"))
    assert stdout.decode() == f"['127.0.0.1:1'] {program.parent} a=b False\n"
    assert (stderr, status) == (b"", 0)


def test_both_streams_and_the_status_are_told(program: Path) -> None:
    stdout, stderr, status = run(program, "import sys; print('x' * 100_000); sys.exit('no')")
    assert (len(stdout), stderr, status) == (100_001, b"no\n", 1)


def test_a_line_arrives_before_the_program_ends(program: Path) -> None:
    (program / "__main__.py").write_text("import time; print(4711); time.sleep(60)")
    process = child.start(str(program), [], str(program), [])
    started = time.monotonic()
    written = child.outputs(process)
    stream, output = next(written)
    assert (stream, output.strip()) == ("stdout", b"4711")
    assert time.monotonic() - started < 30
    process.terminate()
    assert process.wait() != 0
    assert b"".join(output for _, output in written).strip() == b"", "it ends with the program"
