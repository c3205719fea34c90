"""Which jobs a change must pass, and that nothing of the repository is forgotten."""

import subprocess
from pathlib import Path

import pytest
import yaml

from mlplatform.checks.plan import (
    ALL,
    CHECK,
    EVERYTHING,
    IGNORED,
    JOBS,
    POLICIES,
    RENDER,
    RENDERED,
    RULES,
    UNIT,
    is_started,
    of,
    plan,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "path",
    [
        "ml/params.yaml",
        "ml/digits/params.yaml",
        "ml/dvc.lock",
        "ml/metrics.json",
        "ml/plots/curves.csv",
        "ml/data/digits.dvc",
        "ml/evaluation.yaml",
        "docs/results/attacks.json",
    ],
)
def test_b6_what_a_training_changes_starts_no_job(path: str) -> None:
    assert plan([path]).jobs == ()


def test_b6_a_digest_starts_no_job_and_any_other_change_of_an_overlay_does() -> None:
    path = "apps/classifier/overlays/dev/kustomization.yaml"
    assert plan([path], is_digest=lambda one: one == path).jobs == ()
    assert plan([path]).jobs == (CHECK, RENDER)


@pytest.mark.parametrize(
    "path",
    [
        "infra/local.py",
        "src/mlplatform/checks/plan.py",
        "scripts/lib/ci/report.py",
        ".github/workflows/ci.yml",
        "requirements/ci.txt",
        "pyproject.toml",
        "clusters/local/cluster.yaml",
        "tests/support/live.py",
        "tests/conftest.py",
        "tests/something.txt",
        "something/new",
    ],
)
def test_b6_what_anything_may_depend_on_needs_everything(path: str) -> None:
    assert plan([path]).jobs == JOBS
    assert plan([path]).targets[UNIT] == (ALL,)


def test_b6_the_facts_of_a_cluster_on_aws_concern_the_tests_that_judge_clusters() -> None:
    assert plan(["clusters/dev/cluster.yaml"]).targets == {
        CHECK: (),
        UNIT: ("tests/clusters", "tests/github", "tests/infra/policy"),
        RENDER: ("tests/infra/policy",),
    }
    assert plan(["clusters/Pulumi.dev.yaml"]).targets == EVERYTHING


def test_targets_of_several_paths_are_one_list_without_what_is_in_another() -> None:
    found = plan(["apps/bot/src/merge_bot/bot.py", "apps/bot/base/deployment.yaml", "README.md"])
    assert found.targets[UNIT] == (
        "tests/apps",
        "tests/attacks",
        "tests/mlplatform/pulls",
        "tests/test_readme.py",
        "tests/test_tree.py",
    )
    assert plan(["README.md", "infra/local.py"]).targets[UNIT] == (ALL,)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("tests/infra/test_local.py", "tests/infra/test_local.py"),
        ("tests/test_tree.py", "tests/test_tree.py"),
        ("tests/core/conftest.py", "tests/core"),
    ],
)
def test_a_changed_test_is_run_and_so_is_what_reads_what_lies_beside_it(path: str, target: str) -> None:
    assert of(path) == {CHECK: (), UNIT: (target,)}


def test_a_test_that_may_render_is_run_by_that_job_too() -> None:
    assert of("tests/argocd/test_install.py")[RENDER] == ("tests/argocd/test_install.py",)


@pytest.mark.parametrize(
    ("path", "rendered"),
    [
        ("tests/infra/policy/test_program.py", "tests/infra/policy/test_program.py"),
        ("tests/infra/policy/conftest.py", "tests/infra/policy"),
        ("tests/infra/conftest.py", "tests/infra/policy"),
        ("tests/infra/golden/local.urns", "tests/infra/policy"),
    ],
)
def test_b6_what_tests_of_policies_read_runs_them_where_the_tools_are(path: str, rendered: str) -> None:
    assert of(path)[RENDER] == (rendered,)


@pytest.mark.parametrize("path", ["infra/policy/rules/ingress.py", "infra/aws_stage.py", "clusters/prod/cluster.yaml"])
def test_b6_a_change_of_a_policy_or_of_what_it_judges_has_the_policies_tested(path: str) -> None:
    assert "tests/infra/policy" in of(path)[RENDER]


@pytest.mark.parametrize(("tier", "places"), [("render", RENDERED), ("policy", POLICIES)])
def test_tests_with_tools_lie_where_the_planner_looks_for_them(tier: str, places: tuple[str, ...]) -> None:
    command = ["git", "grep", "-l", f"pytest.mark.{tier}", "--", "tests"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert found
    assert [path for path in found if not path.startswith(tuple(f"{one}/" for one in places))] == []


def test_b6_the_forge_starts_no_job_for_just_what_main_says() -> None:
    document = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert document[True]["pull_request"]["paths-ignore"] == list(IGNORED)
    assert tuple(document["jobs"]) == JOBS
    deployed = ["apps/classifier/overlays/dev/kustomization.yaml", "apps/classifier/overlays/prod/release.yaml"]
    assert not is_started(["ml/params.yaml", "ml/digits/dvc.lock", "ml/plots/curves.csv", "ml/data/x.dvc", *deployed])
    for path in ("ml/dvc.yaml", "apps/classifier/overlays/dev/patch.yaml", "README.md"):
        assert is_started(["ml/params.yaml", path])


def test_a_text_of_a_folder_is_not_the_folder() -> None:
    assert plan(["README.md"]).jobs == (UNIT,)
    assert plan(["apps/README.md"]).jobs == (UNIT,)
    assert plan(["README.md.txt"]).targets == EVERYTHING


def test_every_target_and_every_rule_is_of_something_that_is_there() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    for pattern, targets in RULES:
        assert [path for path in listed if of(path) == targets], pattern
        for target in (one for some in targets.values() for one in some):
            assert (ROOT / target).exists(), target


def test_b6_a_plan_covers_another_where_it_runs_all_of_its_tests() -> None:
    text, code, all_ = plan(["docs/a.md"]), plan(["argocd/root.yaml"]), plan(["infra/x.py"])
    assert all_.covers("unit", text)
    assert all_.covers("unit", code)
    assert code.covers("unit", code)
    assert code.covers("check", all_)
    assert not text.covers("unit", code)
    assert not code.covers("unit", all_)
    assert not text.covers("check", all_)


def test_b6_what_starts_no_job_needs_none() -> None:
    for path in ("tests/x.dvc", "ml/params.yaml", "ml/plots/curves.csv"):
        assert not is_started([path])
        assert plan([path]).jobs == ()
    assert is_started(["ml/src/digits/plots/x.py"])
    assert plan(["ml/src/digits/plots/x.py"]).jobs
