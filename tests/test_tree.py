"""The tests prove that they run: every file under tests/ is collected, and every module is tested where one looks."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.test import ML
from settings import ROOT

TESTS = ROOT / "tests"
# Where the modules of a folder are tested: by test_<module>.py at the same place below, or by a neighbour of it that
# imports the module.
TREES = {
    "src/mlplatform": "tests/mlplatform",
    "infra": "tests/infra",
    "scripts/lib": "tests/scripts",
    "ml/src/digits": "tests/ml",
    "ml/service": "tests/ml/service",
    "apps/bot/src/merge_bot": "tests/apps/bot",
    "apps/runner-controller/src/runner_controller": "tests/apps/runner_controller",
}
# Modules that are tested as a part of something bigger: the test that runs them, for real, as that part.
ELSEWHERE = {
    "apps/bot/src/merge_bot/activity.py": "tests/apps/bot/test_bot.py",
    "apps/bot/src/merge_bot/audit.py": "tests/apps/bot/test_bot.py",
    "apps/bot/src/merge_bot/health.py": "tests/apps/bot/test_server.py",
    "apps/runner-controller/src/runner_controller/controller.py": "tests/apps/runner_controller/test_jobs.py",
    "apps/runner-controller/src/runner_controller/launch.py": "tests/apps/runner_controller/test_jobs.py",
    "apps/runner-controller/src/runner_controller/registration.py": "tests/apps/runner_controller/test_restart.py",
    "apps/runner-controller/src/runner_controller/report.py": "tests/apps/runner_controller/test_jobs.py",
    "apps/runner-controller/src/runner_controller/supervise.py": "tests/apps/runner_controller/test_restart.py",
    "infra/__main__.py": "tests/infra/test_program.py",
    "infra/ansible/": "tests/host/test_playbook.py",
    "infra/bootstrap/__main__.py": "tests/infra/bootstrap/test_account.py",
    "infra/plugins/__main__.py": "tests/infra/plugins/test_kubernetes.py",
    "infra/plugins/aws/": "tests/infra/plugins/test_aws.py",
    "infra/plugins/kubernetes/": "tests/infra/plugins/test_kubernetes.py",
    "infra/policy/__main__.py": "tests/infra/policy/test_engine.py",
    "infra/policy/buckets.py": "tests/infra/policy/test_rules.py",
    "infra/policy/rules/": "tests/infra/policy/test_rules.py",
    "infra/policy/tokens.py": "tests/infra/policy/test_rules.py",
    "infra/settings/": "tests/clusters/test_invalid.py",
    "infra/settings/__main__.py": "tests/clusters/test_clusters.py",
    "infra/toolchain/build.py": "tests/infra/toolchain/test_installer.py",
    "infra/toolchain/commands.py": "tests/infra/toolchain/test_installer.py",
    "infra/toolchain/rows.py": "tests/infra/toolchain/test_installer.py",
    "infra/toolchain/runtimes.py": "tests/infra/toolchain/test_installer.py",
    "ml/service/": "tests/ml/service/test_service.py",
    "ml/src/digits/reproducible.py": "tests/ml/test_pipeline.py",
    "scripts/lib/ci/compare.py": "tests/scripts/ci/test_judging.py",
    "scripts/lib/ci/evidence.py": "tests/scripts/ci/test_loop.py",
    "scripts/lib/ci/pulumi.py": "tests/scripts/ci/test_infrastructure.py",
    "scripts/lib/ci/report.py": "tests/scripts/ci/test_loop.py",
    "scripts/lib/ci/train.py": "tests/scripts/ci/test_loop.py",
    "scripts/lib/cli/console.py": "tests/scripts/cli/test_app.py",
    "scripts/lib/cli/environments.py": "tests/scripts/test_run.py",
    "scripts/lib/forge/": "tests/scripts/forge/test_gitea.py",
    "src/mlplatform/evaluation/predict.py": "tests/mlplatform/evaluation/test_measure.py",
    "src/mlplatform/evaluation/score.py": "tests/mlplatform/evaluation/test_measure.py",
}


def modules() -> list[Path]:
    """Every module of the project that has code of its own."""
    found = [path for tree in TREES for path in (ROOT / tree).rglob("*.py") if path.name != "__init__.py"]
    return sorted(path.relative_to(ROOT) for path in found)


def twin(module: Path) -> Path:
    """Where a module's test belongs."""
    tree = max((one for one in TREES if module.is_relative_to(one)), key=len)
    below = module.relative_to(tree)
    return Path(TREES[tree]) / below.parent / f"test_{below.stem.strip('_')}.py"


def imports(test: Path) -> set[str]:
    """The names of the modules that a test file imports, `package.module` for each `from package import module`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(test.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def is_tested(module: Path) -> bool:
    """Whether the module has a twin, or a neighbour of the twin imports it."""
    own = ROOT / twin(module)
    name = ".".join(module.with_suffix("").parts)
    return own.is_file() or any(
        name.endswith(f".{imported}") for test in own.parent.glob("test_*.py") for imported in imports(test)
    )


@pytest.mark.parametrize("module", modules(), ids=str)
def test_every_module_is_tested_where_one_looks(module: Path) -> None:
    elsewhere = any(str(module).startswith(start) for start in ELSEWHERE)
    assert elsewhere or is_tested(module), (
        f"{twin(module)} is missing; if that is right, say in ELSEWHERE what tests it"
    )


@pytest.mark.parametrize("start", sorted(ELSEWHERE))
def test_what_is_tested_elsewhere_is_so_and_has_no_twin(start: str) -> None:
    assert (ROOT / ELSEWHERE[start]).is_file()
    assert [one for one in modules() if str(one).startswith(start) and not is_tested(one)]


def test_every_file_is_a_test_a_conftest_a_benchmark_or_support() -> None:
    others = [
        str(path.relative_to(ROOT))
        for path in TESTS.rglob("*.py")
        if not (
            path.name.startswith("test_") or path.name == "conftest.py" or {"benchmarks", "support"} & set(path.parts)
        )
    ]
    assert others == []


def plain() -> dict[str, str]:
    """Without options of whoever runs the tests: they change what a collection prints."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}


def collected(*arguments: str) -> set[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=plain(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    return {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}


def test_every_test_file_is_collected() -> None:
    """In the environment that runs this one; the files that need the other are collected there."""
    ours = [path for path in TESTS.rglob("test_*.py") if not any(path.is_relative_to(ROOT / one) for one in ML)]
    files = {str(path.relative_to(ROOT)) for path in ours}
    assert files - collected(*(f"--ignore={one}" for one in ML), "tests") == set()


@pytest.mark.tools
def test_every_test_file_of_the_pipeline_is_collected() -> None:
    files = {str(path.relative_to(ROOT)) for one in ML for path in (ROOT / one).rglob("test_*.py")}
    run = [ROOT / "scripts" / "lib" / "run", "--in", "dev-ml", "python", "-m", "pytest", "--collect-only", "-q"]
    done = subprocess.run([*run, *ML], cwd=ROOT, env=plain(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    assert files - {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line} == set()
