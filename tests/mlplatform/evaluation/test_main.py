"""The command: what it writes, and how it ends."""

import subprocess
import sys
from pathlib import Path

import toy_project as toy
from mlplatform.evaluation import bounded
from mlplatform.evaluation.declaration import load
from mlplatform.evaluation.result import Measured, Refused, parse


def run(root: Path, candidate: bytes, *more: str | Path) -> "subprocess.CompletedProcess[str]":
    (root.parent / "candidate").write_bytes(candidate)
    command = [sys.executable, "-m", "mlplatform.evaluation", "--root", root, "--project", root / "ml"]
    command += ["--candidate", root.parent / "candidate", "--test-set", root / "ml/data/test.safetensors"]
    command += ["--out", root.parent / "result.json", *more]
    environment = {"PYTHONPATH": str(bounded.SOURCES)}
    return subprocess.run(command, env=environment, cwd=root.parent, capture_output=True, text=True, timeout=300)


def test_the_result_is_what_report_reads(root: Path) -> None:
    (root.parent / "main").joinpath("model").write_bytes(toy.linear(255).SerializeToString())

    done = run(root, toy.linear().SerializeToString(), "--baseline", root / "model")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "candidate: accuracy 1, mistakes 0\nmain: accuracy 0.5, mistakes 20\n"
    found = parse((root.parent / "result.json").read_bytes(), load(root / "ml"))
    assert isinstance(found.candidate, Measured)
    assert isinstance(found.baseline, Measured)


def test_a_refused_candidate_is_a_result(root: Path) -> None:
    done = run(root, b"garbage")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("candidate: refused: the file is not an ONNX model")
    found = parse((root.parent / "result.json").read_bytes(), load(root / "ml"))
    assert isinstance(found.candidate, Refused)
    assert found.baseline is None


def test_main_s_own_fault_is_one_line_and_exit_2(root: Path) -> None:
    (root / "ml/evaluation.yaml").write_text("limits: {}\n")

    done = run(root, b"garbage")

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {root}/ml/evaluation.yaml: ")
    assert "Traceback" not in done.stderr
    assert not (root.parent / "result.json").exists()
