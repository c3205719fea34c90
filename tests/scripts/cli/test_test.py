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


TWO_TIERS = """<testsuites><testsuite tests="3">
<testcase time="1.5"><properties><property name="tier" value="tools"/></properties></testcase>
<testcase time="2"><properties><property name="tier" value="tools"/></properties></testcase>
<testcase time="0.25"><properties><property name="tier" value="policy"/><property name="seed" value="7"/></properties>
</testcase></testsuite></testsuites>"""


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In pytest's place what leaves the report `left.xml`, once, and else ends as pytest does that found nothing."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "python"
    program.write_text(
        "#!/bin/sh\n"
        'for word; do case "$word" in --junitxml=*-ml.xml) exit 5;; '
        f'--junitxml=*) cp {tmp_path}/left.xml "${{word#*=}}" 2>/dev/null || exit 5;; esac; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(test.environments, "python", lambda group: program)
    return program


def test_b6_the_seconds_of_each_tier_are_said_where_several_ran_together(
    session: Session, python: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "left.xml").write_text(TWO_TIERS)
    session.pytest([test.TIERS["policy"]])
    session.pytest([test.TIERS["tools"]])
    assert session.close() == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["tools", "7.0", "s"] in lines[-6:]
    assert ["policy", "0.5", "s"] in lines[-6:]
    assert session.seeds["policy"] == {7}
    assert session.seeds["tools"] == set()


@pytest.mark.parametrize(
    ("extra", "asked", "status", "said"),
    [
        ([], ["tools", "render", "policy"], 2, "there is no test of tier render: no test has its marker"),
        ([], ["tools", "policy"], 0, ""),
        (["-k", "some"], ["tools", "render"], 0, ""),
        (["-k", "some"], ["render"], 2, "no test of render is chosen by -k some"),
    ],
)
def test_b6_a_tier_without_a_test_is_no_success(
    session: Session,
    python: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    extra: list[str],
    asked: list[str],
    status: int,
    said: str,
) -> None:
    (tmp_path / "left.xml").write_text(TWO_TIERS)
    session.extra = extra
    session.pytest([test.TIERS[name] for name in asked])
    assert session.close() == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "3 passed, 0 failed, 0 skipped"
    assert [line for line in lines if line.startswith(said)] if said else not any("no test" in line for line in lines)


def test_b6_nothing_found_at_all_is_an_error_but_not_where_nothing_may_be(session: Session, python: Path) -> None:
    session.pytest([test.TIERS["unit"]])
    assert session.close() == 2
    session.may_be_empty = True
    assert session.close() == 0


def test_b6_a_run_that_failed_is_a_failure_and_not_empty(session: Session, python: Path) -> None:
    python.write_text("#!/bin/sh\nexit 4\n")
    session.pytest([test.TIERS["unit"]])
    assert session.close() == 1


def test_b6_a_seed_is_noted_by_the_test_that_takes_it(seed: int, request: pytest.FixtureRequest) -> None:
    assert ("seed", seed) in request.node.user_properties


def test_b6_a_real_report_says_tier_and_seed(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(test.environments, "python", lambda group: Path(sys.executable))
    monkeypatch.setattr(test, "_SIDE_BY_SIDE", ("--numprocesses=1", "--dist=loadfile"))
    session.extra = ["tests/scripts/cli/test_test.py", "-k", "seed_is_noted"]
    session.seed = 11
    session.pytest([test.TIERS["unit"]])
    assert session.close() == 0, capfd.readouterr().out
    assert session.seeds == {"unit": {11}}


def test_b6_tools_that_are_ready_are_not_announced(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(test.ansible, "playbook", lambda *_: "")
    monkeypatch.setattr(test.process, "stream", lambda command, log: None)
    test.Tools(session.artifacts / "log", session.paths).wait(lambda: said.append("tools"))
    assert said == []
    monkeypatch.setattr(test.process, "stream", lambda command, log: test.time.sleep(2.5))
    test.Tools(session.artifacts / "log", session.paths).wait(lambda: said.append("tools"))
    assert said == ["tools"]


@pytest.mark.parametrize(
    ("user", "names", "played"), [(0, (), ["packages.yml"]), (1000, (), []), (0, ("actionlint",), [])]
)
def test_b6_a_new_host_gets_its_packages_before_tests_that_use_them(
    user: int, names: tuple[str, ...], played: list[str], session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of a pull request, which names its tools, and an ordinary user install none."""
    found: list[str] = []
    monkeypatch.setattr(test.os, "geteuid", lambda: user)
    monkeypatch.setattr(test.process, "stream", lambda command, log: None)
    monkeypatch.setattr(test.ansible, "playbook", lambda context, name, *_: found.append(name))
    test.Tools(session.artifacts / "log", session.paths, names).wait(lambda: None)
    assert found == played


def test_b6_the_job_that_renders_runs_the_tests_of_policies_too() -> None:
    ran = {name for names in test._RUN.values() for name in names}
    assert ran == {"unit", "render", "policy"}
