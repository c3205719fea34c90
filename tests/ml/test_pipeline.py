"""`dvc.yaml` declares what the stages read, and what they give is the same again on one machine."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from digits import params
from mlplatform.evaluation import declaration

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "ml"
STAGES: dict[str, Any] = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]


def imported(module: str) -> set[str]:
    """The files of `digits` and of the platform that a module reads when it loads, itself included, as dvc.yaml names
    them."""
    found: set[str] = set()
    waiting = [f"digits.{module}"]
    while waiting:
        name = waiting.pop()
        path = file_of(name)
        if path is None or path in found:
            continue
        found.add(path)
        waiting.append(name.rpartition(".")[0])
        for node in ast.walk(ast.parse((PROJECT / path).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def file_of(module: str) -> str | None:
    """The file of a module of the project or the platform, as dvc.yaml names it."""
    for root in ("src", "../src"):
        for path in (f"{root}/{module.replace('.', '/')}.py", f"{root}/{module.replace('.', '/')}/__init__.py"):
            if module and (PROJECT / path).is_file():
                return path
    return None


def module_of(stage: str) -> str:
    words = STAGES[stage]["cmd"].split()
    return str(words[words.index("-m") + 1]).removeprefix("digits.")


def files_of(stage: str, kinds: tuple[str, ...]) -> list[str]:
    entries = [entry for kind in kinds for entry in STAGES[stage].get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_every_module_that_it_imports(stage: str) -> None:
    listed = {path for path in STAGES[stage]["deps"] if "src/" in path}
    assert listed == imported(module_of(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_a_command_names_only_files_that_the_stage_lists(stage: str) -> None:
    words = STAGES[stage]["cmd"].split()
    arguments = words[words.index("-m") + 2 :]
    known = [*STAGES[stage]["deps"], *files_of(stage, ("outs", "metrics"))]
    assert arguments
    for argument in arguments:
        assert any(path == argument or path.startswith(f"{argument}/") for path in known), argument


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_whole_sections_of_the_parameters(stage: str) -> None:
    assert stage in STAGES[stage]["params"]
    assert set(STAGES[stage]["params"]) <= set(params.Params.model_fields) - {"gate"}


def test_git_tracks_metrics_and_plots_and_nothing_larger() -> None:
    tracked = {
        path: options["cache"]
        for stage in STAGES.values()
        for kind in ("outs", "metrics")
        for entry in stage.get(kind, [])
        if isinstance(entry, dict)
        for path, options in entry.items()
    }
    assert tracked == {"metrics.json": False, "plots/confusion.csv": False, "plots/curves.csv": False}


def test_metrics_hold_nothing_that_changes_from_run_to_run() -> None:
    metrics = json.loads((PROJECT / "metrics.json").read_text())
    assert set(metrics) == {"accuracy", "loss", "parity", "recall", "validation_images"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what git tracks under ml/ and src/, in a repository of its own: nothing pulled."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "ml", "src"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = tmp_path / "checkout" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    subprocess.run(["git", "init", "--quiet", tmp_path / "checkout"], check=True)
    return tmp_path / "checkout" / "ml"


def run(project: Path, *command: str, variables: dict[str, str] | None = None, status: int = 0) -> str:
    """Run a command as a person does in ml/, with this environment's programs first on PATH; return its output."""
    environment = {**os.environ, **(variables or {}), "CUDA_VISIBLE_DEVICES": ""}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["DVC_SITE_CACHE_DIR"] = str(project.parents[1] / "site-cache")
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_committed_lock_is_fresh_where_nothing_was_pulled(checkout: Path) -> None:
    output = run(checkout, "dvc", "repro", "--dry", "--allow-missing")
    for stage in STAGES:
        assert f"Stage '{stage}' didn't change, skipping" in output


def test_a_changed_parameter_makes_its_stages_stale_and_no_other(checkout: Path) -> None:
    path = checkout / "params.yaml"
    path.write_text(path.read_text().replace("epochs: 8", "epochs: 9"))
    status = json.loads(run(checkout, "dvc", "status", "--json"))
    changed = {stage for stage in STAGES if "params.yaml" in json.dumps(status[stage])}
    assert changed == {"train", "evaluate"}


def test_a_changed_tolerance_trains_nothing(checkout: Path) -> None:
    path = checkout / "evaluation.yaml"
    changed = path.read_text().replace("tolerance: 0.015", "tolerance: 0.5")
    assert changed != path.read_text()
    path.write_text(changed)
    assert "Running stage" not in run(checkout, "dvc", "repro", "--dry", "--allow-missing")


@pytest.mark.tools
def test_pull_reproduce_push_and_pull_again(checkout: Path, object_store: Any) -> None:
    variables = object_store.variables
    run(
        checkout,
        sys.executable,
        "-m",
        "digits.seed",
        f"--project={checkout}",
        variables=variables | pythonpath(checkout),
    )
    pulled = run(checkout, "dvc", "pull", "--allow-missing", "data/digits.dvc", *STAGES, variables=variables)
    assert "1798 files added" in pulled
    tolerance = declaration.load(checkout).metrics["accuracy"].tolerance
    metrics = json.loads((checkout / "metrics.json").read_text())
    run(checkout, "dvc", "repro", "--force", variables=variables)
    # Trained numbers differ by processor, so the committed lock is another machine's; what prepares the data is not.
    first = yaml.safe_load((checkout / "dvc.lock").read_text())
    committed = yaml.safe_load((PROJECT / "dvc.lock").read_text())
    assert first["stages"]["prepare"] == committed["stages"]["prepare"]
    measured = json.loads((checkout / "metrics.json").read_text())
    assert measured["accuracy"] == pytest.approx(metrics["accuracy"], abs=tolerance)
    run(checkout, "dvc", "repro", "--force", variables=variables)
    assert yaml.safe_load((checkout / "dvc.lock").read_text()) == first
    run(checkout, "dvc", "push", *STAGES, variables=variables)
    model = (checkout / "model" / "model.onnx").read_bytes()
    shutil.rmtree(checkout / "model")
    shutil.rmtree(checkout / ".dvc" / "cache")
    run(checkout, "dvc", "pull", "model/model.onnx", variables=variables)
    assert (checkout / "model" / "model.onnx").read_bytes() == model


def pythonpath(project: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(project / "src"), str(project.parent / "src")])}
