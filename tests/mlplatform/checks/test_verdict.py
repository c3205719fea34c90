"""The status `ci` by what the forge recorded."""

import pytest

from mlplatform.checks.verdict import Job, Run, judge

NEEDED = ("check", "unit")


def run(**jobs: str) -> Run:
    return Run("run", {name: Job(conclusion, f"job-{name}") for name, conclusion in jobs.items()})


def said(*runs: Run, own: bool = True, has_file: bool = True, needed: tuple[str, ...] = NEEDED) -> tuple[str, str]:
    found = judge(needed, dict.fromkeys(needed, runs), runs[0] if own and runs else None, has_file)
    return found.state, found.text


def test_b6_where_nothing_is_needed_nothing_is_waited_for() -> None:
    assert said(needed=(), has_file=False) == ("success", "nothing of the repository's own code changed")


def test_b6_all_needed_jobs_must_have_passed_and_others_do_not_matter() -> None:
    assert said(run(check="success", unit="success", render="failure")) == ("success", "passed: check, unit")
    assert said(run(check="success", unit="")) == ("pending", "being checked: unit")
    assert said(run(check="", unit="failure")) == ("failure", "unit failed: its log says why")


@pytest.mark.parametrize("conclusion", ["skipped", "cancelled", "neutral", "timed_out"])
def test_b6_a_job_that_did_not_pass_has_failed_however_it_ended(conclusion: str) -> None:
    assert said(run(check="success", unit=conclusion)) == ("failure", f"unit ended as {conclusion}: run it again")


def test_b6_a_branch_that_takes_a_job_away_is_refused_with_the_fix() -> None:
    text = "ci.yml of this branch has no job unit: merge main into it"
    assert said(run(check="success")) == ("failure", text)
    text = "this branch has no .github/workflows/ci.yml: merge main into it"
    assert said(has_file=False) == ("failure", text)


def test_b6_without_a_run_it_waits_and_says_what_to_do() -> None:
    state, text = said()
    assert state == "pending"
    assert "push another one" in text


def test_b6_an_earlier_commits_word_counts_until_the_head_has_its_own() -> None:
    passed = run(check="success", unit="success")
    assert said(run(check="", unit=""), passed) == ("success", "passed: check, unit")
    assert said(passed, own=False) == ("success", "passed: check, unit")
    assert said(run(check="success", unit="failure"), passed)[0] == "failure"
    # A newer push ends what an earlier one started.
    assert said(run(check="", unit=""), run(check="success", unit="cancelled")) == ("pending", "being checked: unit")
    assert said(run(check="", unit=""), run(check="success", unit="failure"))[0] == "failure"
