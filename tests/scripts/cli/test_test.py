"""Results of several pytest runs become one sum and one exit status."""

import sys
from pathlib import Path

import pytest

from cli import evidence, test
from cli.test import Count, Session
from settings import ROOT, Paths

REPORT = '<testsuites><testsuite tests="7" failures="1" errors="1" skipped="2"/><testsuite tests="1"/></testsuites>'


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Paths(state=tmp_path, cache=tmp_path), tmp_path)


def test_reports_are_counted(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    assert test.count(tmp_path / "report.xml") == Count(passed=4, failed=2, skipped=2)


def test_a_report_that_was_cut_off_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT[:30])
    assert test.count(tmp_path / "report.xml") == Count()
    assert test.count(tmp_path / "missing.xml") == Count()


def test_the_sum_is_the_last_line(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.total = Count(3, 0, 1)
    assert session.close() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 0 failed, 1 skipped"


def test_a_failed_verb_counts_as_a_failure(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.total = Count(3)
    assert not session.command("up", "false")
    assert session.close() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "3 passed, 1 failed, 0 skipped"
    assert any(line.startswith("failed: up; logs and reports are in") for line in lines)


def test_a_run_without_a_single_test_is_no_success(session: Session) -> None:
    assert session.close() == 1


@pytest.mark.parametrize(
    ("tier", "apart"), [("unit", False), ("tools", False), ("host", True), ("core", True), ("faults", True)]
)
def test_tests_of_the_platform_run_one_after_the_other(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tier: str, apart: bool
) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\n')
    python.chmod(0o755)
    monkeypatch.setattr(test.environments, "python", lambda group: python)
    session.pytest([test.TIERS[tier]])
    assert session.problems == []
    assert ("--numprocesses" not in (tmp_path / "arguments").read_text()) is apart


@pytest.mark.parametrize(
    ("tiers", "ran"),
    [
        ([], ["fast", "live host core"]),
        (["fast"], ["fast"]),
        (["core", "fast"], ["fast", "live core"]),
        (["host"], ["live host"]),
    ],
)
def test_b6_fast_is_all_that_needs_no_platform(
    monkeypatch: pytest.MonkeyPatch, tiers: list[str], ran: list[str]
) -> None:
    done: list[str] = []
    monkeypatch.setattr(test, "fast", lambda session: done.append("fast"))
    monkeypatch.setattr(
        test, "live", lambda session, chosen: done.append(f"live {' '.join(one.name for one in chosen)}")
    )
    monkeypatch.setattr(test.Session, "close", lambda self: 0)
    monkeypatch.setattr(sys, "argv", ["test", *tiers])
    assert test.main() == 0
    assert done == ran


def test_the_evidence_of_the_run_that_runs_the_tests_is_none_of_theirs() -> None:
    assert not evidence.folder().is_relative_to(ROOT)


def test_without_names_each_environment_runs_its_own_tests() -> None:
    ignored = ["--ignore=tests/ml", "--ignore=tests/mlplatform/evaluation"]
    assert test.selection("dev", ["-k", "ml"]) == [*ignored, "-k", "ml"]
    assert test.selection("dev-ml", ["-x"]) == ["tests/ml", "tests/mlplatform/evaluation", "-x"]


def test_named_tests_run_in_the_environment_that_they_need() -> None:
    measured = "tests/mlplatform/evaluation/test_measure.py"
    named = ["-x", "tests/scripts", "tests/ml/test_seed.py::test_a", "tests/mlops", measured]
    assert test.selection("dev", named) == ["-x", "tests/scripts", "tests/mlops"]
    assert test.selection("dev-ml", named) == ["-x", "tests/ml/test_seed.py::test_a", measured]
    assert test.selection("dev-ml", ["tests/scripts"]) is None
    assert test.selection("dev", ["tests/ml"]) is None


def test_a_named_folder_with_tests_for_both_runs_in_both() -> None:
    evaluation = "tests/mlplatform/evaluation"
    assert test.selection("dev", ["tests/mlplatform", "-x"]) == ["-x", f"--ignore={evaluation}", "tests/mlplatform"]
    assert test.selection("dev-ml", ["tests/mlplatform", "-x"]) == ["-x", evaluation]


def test_every_test_belongs_to_a_tier() -> None:
    unit = test.TIERS["unit"].expression
    for name in test.TIERS:
        assert name == "unit" or f"not {name}" in unit


def test_what_is_run_by_name_is_in_no_other_tier() -> None:
    for name in ("unit", "tools"):
        assert "attacks" in test.TIERS[name].expression
        assert "faults" in test.TIERS[name].expression


def test_the_seconds_of_each_part_are_said_before_the_sum(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.command("one", "true")
    session.total = Count(1)
    session.close()
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("took")
    assert lines[at + 1].split()[0] == "one"
    assert lines[-1] == "1 passed, 0 failed, 0 skipped"
