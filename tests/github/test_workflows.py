"""The workflows are valid on both forges and grant no more than they need."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.affected import affected, known
from mlplatform.checks.plan import JOBS as PLANNED

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"actions/checkout@[0-9a-f]{40}")


class Checkout:
    """The files here, as a job sees those of a commit."""

    def read(self, path: str) -> bytes | None:
        return (ROOT / path).read_bytes() if (ROOT / path).is_file() else None

    def files(self, folder: str) -> list[str]:
        return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file())


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    # YAML 1.1 takes the key `on` for true.
    content["on"] = content.pop(True, content.get("on"))
    return content


def named(name: str) -> Path:
    return next(path for path in WORKFLOWS if path.name == name)


def job(path: Path) -> dict[str, Any]:
    [found] = load(path)["jobs"].values()
    assert isinstance(found, dict)
    return found


JOBS = [(path, name) for path in WORKFLOWS for name in load(path)["jobs"]]


def test_the_workflows_are_there() -> None:
    assert {path.stem for path in WORKFLOWS} >= {"apply", "ci", "preview", "release", "report", "train"}


@pytest.mark.tools
def test_actionlint_has_no_complaint(tool: Callable[[str], Path]) -> None:
    command = [tool("actionlint"), "-color=false", "-shellcheck=", "-pyflakes=", *WORKFLOWS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("path", "name"), JOBS)
def test_a_jobs_concurrency_is_a_group_only(path: Path, name: str) -> None:
    """Gitea hands `cancel-in-progress` of a job to act as a string, which act refuses."""
    assert isinstance(load(path)["jobs"][name].get("concurrency", ""), str)


def zizmor(folder: Path) -> "subprocess.CompletedProcess[str]":
    # Beside the interpreter, or on PATH.
    binary = shutil.which("zizmor", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert binary, "zizmor is not installed: it belongs to the dependency group dev"
    command = [binary, "--offline", "--quiet", "--no-progress", "--persona=auditor", str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def test_zizmor_has_no_complaint() -> None:
    done = zizmor(ROOT / ".github")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("text", ["inputs.branch", "github.event.inputs.branch", "github.event.pull_request.title"])
def test_text_that_others_chose_is_refused_in_a_script(text: str, tmp_path: Path) -> None:
    """Whoever may start a workflow by hand chooses its inputs, so they are as hostile as a pull request's title."""
    path = tmp_path / ".github" / "workflows" / "bad.yml"
    path.parent.mkdir(parents=True)
    start = "on: {workflow_dispatch: {inputs: {branch: {type: string}}}}\npermissions: {}\njobs:\n"
    path.write_text(f"{start}  one:\n    runs-on: ml-cpu\n    steps:\n      - run: echo ${{{{ {text} }}}}\n")
    done = zizmor(path.parents[1])

    assert "template-injection" in done.stdout, done.stdout + done.stderr
    assert done.returncode != 0


@pytest.mark.parametrize(("path", "name"), JOBS, ids=[f"{path.stem}-{name}" for path, name in JOBS])
def test_a_job_uses_what_both_forges_and_the_runner_offer(path: Path, name: str) -> None:
    workflow = load(path)
    found = workflow["jobs"][name]
    # An identity that AWS knows, for those only that go there.
    more = {"id-token": "write"} if path.stem in ("preview", "apply") else {}
    if path.stem == "prune":
        more = {"pull-requests": "read", "actions": "read"}

    assert workflow["permissions"] == {}
    assert found["permissions"] == {"contents": "read", **more}
    assert found["runs-on"] == "ml-cpu"
    assert found["timeout-minutes"] <= 60
    assert "concurrency" in workflow
    assert not {"outputs", "container", "services", "uses", "strategy"} & set(found)
    for step in found["steps"]:
        assert set(step) <= {"uses", "with", "run", "env"}
        if "uses" in step:
            assert PINNED.fullmatch(step["uses"])
            assert step["with"] == {"fetch-depth": 0, "persist-credentials": False}
        else:
            # Text from the event never reaches a shell as part of its script.
            assert "${{" not in step["run"]


@pytest.mark.parametrize("name", ["ci.yml", "preview.yml", "train.yml"])
def test_code_of_a_pull_request_gets_no_token_and_no_environment(name: str) -> None:
    path = named(name)

    assert set(load(path)["on"]) == {"pull_request"}
    for found in load(path)["jobs"].values():
        assert "environment" not in found
        first, *others = found["if"].split(" && ")
        assert first == "github.event.pull_request.head.repo.full_name == github.repository"
        assert all("||" not in one for one in others)
    assert "secrets" not in path.read_text()


def test_b6_each_job_of_ci_is_one_of_the_planners() -> None:
    found = load(named("ci.yml"))["jobs"]

    assert tuple(found) == PLANNED
    for name, one in found.items():
        # The status looks for a job by the name that the forge shows.
        assert one["name"] == name
        assert [step["run"] for step in one["steps"] if "run" in step] == [f"scripts/ci/checks {name}"]
        assert "needs" not in one


def test_d17_what_deletes_old_data_is_started_by_the_clock_or_a_person_and_holds_the_jobs_token_alone() -> None:
    path = named("prune.yml")

    assert set(load(path)["on"]) == {"schedule", "workflow_dispatch"}
    assert load(path)["on"]["workflow_dispatch"] is None
    assert "environment" not in job(path)
    assert "secrets" not in path.read_text()


def test_the_gate_runs_from_main_for_every_pull_request() -> None:
    triggers = load(named("report.yml"))["on"]

    assert set(triggers) == {"pull_request_target", "workflow_run"}
    # A filtered workflow would leave the required status unset.
    assert "paths" not in triggers["pull_request_target"]
    assert triggers["pull_request_target"]["branches"] == ["main"]
    assert triggers["workflow_run"] == {"workflows": ["train", "preview", "evaluate", "ci"], "types": ["completed"]}


def test_s5_models_are_measured_by_main_in_a_job_that_is_given_nothing() -> None:
    path = named("evaluate.yml")
    triggers = load(path)["on"]

    assert triggers == {
        "workflow_run": {"workflows": ["train"], "types": ["completed"]},
        "push": {
            "branches": ["main"],
            "paths-ignore": ["apps/*/overlays/*/kustomization.yaml", "apps/*/overlays/*/release.yaml"],
        },
        "schedule": [{"cron": "15,45 * * * *"}],
    }
    assert set(job(path)["permissions"]) == {"contents"}
    assert "environment" not in job(path)
    assert "secrets" not in path.read_text()


def test_c10_whoever_waits_for_a_measurement_is_told_of_one_that_the_clock_started() -> None:
    condition = job(named("report.yml"))["if"]

    assert "github.event.workflow_run.event == 'schedule'" in condition
    # Released by the next run of its own clock, a quarter of an hour later.
    assert load(named("release.yml"))["on"]["schedule"] == [{"cron": "*/30 * * * *"}]


def test_main_is_applied_stack_after_stack_in_the_order_in_which_they_depend() -> None:
    workflow = load(named("apply.yml"))
    stacks = [stack.name for stack in known(Checkout())]

    assert workflow["on"]["push"]["branches"] == ["main"]
    assert list(workflow["on"]) == ["push"]
    assert list(workflow["jobs"]) == stacks
    own = {"name", "needs", "environment", "concurrency"}
    first = workflow["jobs"][stacks[0]]
    for before, (name, found) in zip(["", *stacks], workflow["jobs"].items(), strict=False):
        assert found.get("needs", "") == before
        assert found["name"] == found["environment"] == name
        assert found["concurrency"] == f"apply-stack-{name}"
        assert found["steps"] is first["steps"], "the steps are written once"
        assert {key: value for key, value in found.items() if key not in own | {"steps"}} == {
            key: value for key, value in first.items() if key not in own | {"steps"}
        }
    # Both forges say in it which job this is, and a job is its stack.
    assert [step["run"] for step in first["steps"] if "run" in step] == ['scripts/ci/apply "$GITHUB_JOB"']


@pytest.mark.parametrize("name", ["apply.yml", "preview.yml"])
def test_whatever_affects_a_stack_starts_its_workflow(name: str) -> None:
    triggers = load(named(name))["on"]
    (about,) = triggers.values()
    wanted = about["paths"]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    stacks = known(Checkout())

    affecting = [path for path in tracked if affected([path], stacks)]
    assert "clusters/dev/cluster.yaml" in affecting
    # `**` matches `/` on the forges; fnmatch's `*` does already.
    assert [path for path in affecting if not any(fnmatchcase(path, pattern) for pattern in wanted)] == []
