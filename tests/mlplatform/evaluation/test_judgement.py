"""What becomes of a pull request, case by case."""

from typing import Any

import pytest

import toy_project as toy
from mlplatform.evaluation.declaration import Kind, parse
from mlplatform.evaluation.identity import Model
from mlplatform.evaluation.judgement import (
    UNCOMPARED,
    UNMEASURED,
    UNSEARCHED,
    WAITS,
    Number,
    Verdict,
    below_limits,
    judge,
    numbers,
    unmeasured,
)
from mlplatform.evaluation.result import Evaluation, Measured, Refused
from mlplatform.evaluation.scope import Ask, Change, Scope, scope

DECLARATION = parse(toy.declaration(), "evaluation.yaml")
RULES = DECLARATION.metrics
MODEL = Model(sha256="a" * 64, md5="b" * 32, size=7)
NOTHING = Scope(judged=("ml/src/train.py",))


def measured(accuracy: float, mistakes: float = 3.0) -> Measured:
    return Measured(model=MODEL, metrics={"accuracy": accuracy, "mistakes": mistakes})


def refused(why: str, cause: Any = "file") -> Refused:
    return Refused(model=MODEL, refused=why, cause=cause)


def of(candidate: Measured | Refused, baseline: Measured | Refused | None) -> Evaluation:
    return Evaluation(evaluator="e" * 64, test_set="f" * 64, rows=40, candidate=candidate, baseline=baseline)


def owner(kind: Kind) -> Scope:
    return Scope(owner=(Ask("ml/x", kind, "it is so"),))


MAIN = measured(0.98)


@pytest.mark.parametrize("accuracy", [0.99, 0.98, 0.975])
def test_main_alone_judges_what_only_changes_the_model(accuracy: float) -> None:
    verdict = judge(of(measured(accuracy), MAIN), RULES, NOTHING)

    assert verdict.state == "success"
    assert verdict.summary == f"accuracy {accuracy:.4f}, main 0.9800 ({accuracy - 0.98:+.4f})"
    assert verdict.reasons == ()


def test_a_worse_model_fails_by_main_s_tolerance() -> None:
    verdict = judge(of(measured(0.9749), MAIN), RULES, NOTHING)

    reason = "accuracy 0.9749, main 0.9800 (-0.0051): it may fall by 0.005 at most"
    assert verdict == Verdict("failure", reason, (reason,))


def test_a_number_that_is_only_shown_is_not_judged() -> None:
    assert judge(of(measured(0.98, 1000.0), MAIN), RULES, NOTHING).state == "success"


def test_a_number_of_which_less_is_better_is_judged_in_its_direction() -> None:
    rules = RULES | {"mistakes": RULES["mistakes"].model_copy(update={"tolerance": 2.0})}

    assert judge(of(measured(0.98, 5.0), MAIN), rules, NOTHING).state == "success"
    verdict = judge(of(measured(0.98, 5.5), MAIN), rules, NOTHING)
    assert verdict.summary == "mistakes 5.5000, main 3.0000 (+2.5000): it may rise by 2 at most"


def test_a_loosened_tolerance_neither_counts_nor_passes_unseen() -> None:
    """The pull request allows itself a fall by a half."""
    before, after = ({"gate": {"tolerance": value}, "train": {}} for value in (0.005, 0.5))
    changed = scope([Change("ml/params.yaml", before, after)], DECLARATION, "ml")

    verdict = judge(of(measured(0.9), MAIN), RULES, changed)
    assert verdict.state == "failure"
    assert "it may fall by 0.005 at most" in verdict.summary

    verdict = judge(of(MAIN, MAIN), RULES, changed)
    assert verdict.state == "pending"
    expected = "main cannot judge ml/params.yaml (gate): it decides what the gate allows: an owner's approval is asked"
    assert verdict.summary == expected


@pytest.mark.parametrize("kind", list(Kind))
def test_an_owner_is_asked_where_main_cannot_judge(kind: Kind) -> None:
    asked = judge(of(measured(0.98), MAIN), RULES, owner(kind))
    assert (asked.state, asked.summary) == ("pending", "main cannot judge ml/x: it is so: an owner's approval is asked")
    assert asked.reasons[-1] == "accuracy 0.9800, main 0.9800 (+0.0000)"


@pytest.mark.parametrize("kind", [Kind.CONTRACT, Kind.SERVICE, Kind.EVALUATOR, Kind.TEST_SET])
def test_where_main_s_numbers_say_little_an_owner_decides_over_them(kind: Kind) -> None:
    asked = judge(of(measured(0.9), MAIN), RULES, owner(kind))
    assert asked.state == "pending"
    assert "accuracy 0.9000, main 0.9800 (-0.0800): it may fall by 0.005 at most" in asked.reasons


@pytest.mark.parametrize("kind", [Kind.GATE, Kind.UNKNOWN])
def test_elsewhere_they_stand_and_nobody_is_asked(kind: Kind) -> None:
    assert judge(of(measured(0.9), MAIN), RULES, owner(kind)).state == "failure"


@pytest.mark.parametrize("cause", ["file", "limits", "answers"])
def test_a_faulty_model_fails_and_nobody_is_asked(cause: str) -> None:
    candidate = refused("it uses the operator x::y", cause)

    verdict = judge(of(candidate, MAIN), RULES, owner(Kind.CONTRACT))

    assert (verdict.state, verdict.summary) == ("failure", "the model was refused: it uses the operator x::y")


def test_a_model_of_another_contract_is_an_owner_s() -> None:
    candidate = refused("its inputs are a; main's are b", "contract")

    asked = judge(of(candidate, MAIN), RULES, NOTHING)
    assert asked.state == "pending"
    assert asked.summary == (
        "main cannot judge the model: its inputs are a; main's are b: an owner's approval is asked"
    )


def test_a_first_model_needs_an_owner_and_main_s_absolute_limits() -> None:
    asked = judge(of(measured(0.8), None), RULES, NOTHING)
    assert asked.state == "pending"
    assert asked.summary == "no baseline: main has no model to compare with: an owner's approval is asked"
    assert asked.reasons[-1] == "no baseline; accuracy 0.8000"

    poor = judge(of(measured(0.79), None), RULES, NOTHING)
    assert (poor.state, poor.summary) == ("failure", "accuracy 0.7900 does not reach main's limit of 0.8")
    assert below_limits(measured(0.8), RULES) == []


def test_main_s_own_model_that_cannot_be_measured_is_no_baseline() -> None:
    verdict = judge(of(measured(0.98), refused("it took too long", "limits")), RULES, NOTHING)

    assert verdict.state == "pending"
    assert verdict.summary == "main's own model was not measured: it took too long: an owner's approval is asked"


def test_test_rows_in_the_training_data_fail_and_nobody_is_asked() -> None:
    leaked = {"ml/data/x (of ml/dvc.lock)": 3, "ml/y": 1}
    verdict = judge(of(measured(0.99), MAIN), RULES, NOTHING, leaked=leaked, waits=[UNCOMPARED])

    assert verdict.state == "failure"
    assert verdict.reasons == (
        "ml/data/x (of ml/dvc.lock) shows 3 rows of the test set, on which no model may train: take them out",
        "ml/y shows 1 row of the test set, on which no model may train: take them out",
    )


def test_nobody_is_asked_and_nothing_passes_before_main_has_compared_the_data() -> None:
    verdict = judge(of(measured(0.99), MAIN), RULES, owner(Kind.TEST_SET), waits=[UNCOMPARED, UNSEARCHED])

    assert (verdict.state, verdict.summary) == ("pending", UNCOMPARED)
    assert verdict.reasons[:2] == (
        "main has not compared the new test set with its own yet: this comment is then written anew",
        "main has not looked for its test rows in the training data yet: this comment is then written anew",
    )
    assert all(text.startswith(WAITS) for text in (UNCOMPARED, UNSEARCHED, UNMEASURED))


def test_other_problems_and_what_is_not_understood_fail() -> None:
    changed = Scope(refused=("ml/dvc.yaml: must be a mapping",))

    verdict = judge(of(measured(0.99), MAIN), RULES, changed, problems=["the lock is stale"])

    assert (verdict.state, verdict.reasons) == ("failure", ("the lock is stale", "ml/dvc.yaml: must be a mapping"))


def test_nothing_is_judged_before_it_is_measured() -> None:
    verdict = judge(None, RULES, NOTHING)
    assert (verdict.state, verdict.summary) == ("pending", "main has not measured the model yet")
    assert "written anew" in verdict.reasons[0]
    assert judge(None, RULES, owner(Kind.SERVICE)).state == "pending"
    assert judge(None, RULES, NOTHING, problems=["no"]).state == "failure"


def test_c10_without_a_model_to_measure_an_owner_is_asked_all_the_same() -> None:
    sentence = "main cannot judge ml/x: it is so: an owner's approval is asked"
    assert unmeasured(owner(Kind.SERVICE)) == Verdict("pending", sentence, (sentence,))
    assert unmeasured(NOTHING) is None
    broken = unmeasured(Scope(owner=owner(Kind.SERVICE).owner, refused=("ml/dvc.yaml: must be a mapping",)))
    assert broken is not None
    assert (broken.state, broken.summary) == ("failure", "ml/dvc.yaml: must be a mapping")


def test_each_number_says_whose_code_came_to_it() -> None:
    found = numbers(of(measured(0.9), MAIN), {"accuracy": 1.0})

    assert found == [
        Number("accuracy", 0.98, 0.9, "measured by main"),
        Number("mistakes", 3.0, 3.0, "measured by main"),
        Number("accuracy", None, 1.0, "reported by the run"),
    ]
    assert numbers(of(refused("no"), MAIN))[0] == Number("accuracy", 0.98, None, "measured by main")
    assert numbers(None) == []


def test_s5_what_the_run_reports_decides_nothing() -> None:
    """Typed metrics of 1.0 are only shown: `judge` takes no numbers but those of an evaluation by main."""
    verdict = judge(of(measured(0.5), MAIN), RULES, NOTHING)

    assert verdict.state == "failure"
    assert numbers(of(measured(0.5), MAIN), {"accuracy": 1.0})[-1].source == "reported by the run"
