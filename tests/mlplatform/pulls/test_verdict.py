"""The judgement, where the live tests of the bot cannot reach: times to the second, orders, and what is said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mlplatform.pulls.model import Comment, Commit, Pull, Push, Review, Status
from mlplatform.pulls.rules import People, Rules
from mlplatform.pulls.verdict import ready

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(People(frozenset({"owner"}), frozenset({"member", "second"})))
ASKED = "main cannot judge X: an owner's approval is asked"


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def judged(number: int, seconds: int, state: str = "success", text: str = "held", sha: str = "a") -> Status:
    return Status(number, sha, "ml-bot", "quality-gate", state, text, at(seconds))


def approved(number: int, seconds: int, account: str = "second", sha: str = "a") -> Review:
    return Review(number, account, "APPROVED", sha, at(seconds))


GOOD = Pull(
    number=1,
    author="member",
    branch="change",
    head="a",
    pushes=(Push(1, "member", "change", "", "a", at(0)),),
    commits=(Commit("a", frozenset({"member"})),),
    statuses=(judged(1, 10),),
    reviews=(approved(1, 20),),
)


def test_ready() -> None:
    verdict = ready(GOOD, RULES)
    assert verdict.ready
    assert (verdict.approved_by, verdict.approved_at) == (("second",), at(20))


def test_in_the_second_of_the_judgement_an_approval_counts_and_in_the_one_before_it_does_not() -> None:
    assert ready(replace(GOOD, reviews=(approved(1, 10),)), RULES).ready
    assert not ready(replace(GOOD, reviews=(approved(1, 9),)), RULES).ready


def test_the_newest_status_is_the_one_with_the_highest_number_whatever_its_time() -> None:
    pull = replace(GOOD, statuses=(judged(1, 10), judged(2, 10, "failure", "fell")))
    assert ready(pull, RULES).missing[0] == "quality-gate: fell"


def test_a_judgement_that_changed_between_and_came_back_is_a_new_one() -> None:
    pull = replace(GOOD, statuses=(judged(1, 10), judged(2, 25, "pending", "training"), judged(3, 30)))
    [said] = ready(pull, RULES).missing
    assert "before the gate had judged it" in said
    same = replace(GOOD, statuses=(judged(1, 10), judged(3, 30)))
    assert ready(same, RULES).ready


def test_every_context_must_have_been_judged_before_the_approval() -> None:
    late = Status(1, "a", "ml-bot", "infrastructure", "success", "3 to change", at(30))
    assert not ready(replace(GOOD, statuses=(*GOOD.statuses, late)), RULES).ready


def test_b6_an_approval_counts_that_was_given_while_checks_ran_and_nothing_merges_before_they_passed() -> None:
    rules = RULES.with_checks()

    def checked(number: int, seconds: int, state: str, text: str) -> Status:
        return Status(number, "a", "ml-bot", "ci", state, text, at(seconds))

    running = checked(2, 10, "pending", "being checked: unit")
    assert ready(GOOD, rules).missing == ("ci: ml-bot has not judged a yet",)
    waiting = ready(replace(GOOD, statuses=(*GOOD.statuses, running)), rules)
    assert (waiting.missing, waiting.only_waits) == (("ci: being checked: unit",), True)
    passed = checked(3, 60, "success", "passed: unit")
    verdict = ready(replace(GOOD, statuses=(*GOOD.statuses, running, passed)), rules)
    assert (verdict.ready, verdict.approved_at) == (True, at(20))
    # What main cannot judge is asked of an owner, after it was.
    asked = replace(
        GOOD, statuses=(*GOOD.statuses, checked(3, 60, "pending", ASKED)), reviews=(approved(1, 20, "owner"),)
    )
    assert "ci cannot judge this" in ready(asked, rules).missing[-1]
    assert ready(replace(asked, reviews=(*asked.reviews, approved(2, 61, "owner"))), rules).ready


def test_a_required_context_that_is_missing_is_named() -> None:
    [said] = ready(GOOD, replace(RULES, required=("quality-gate", "ci"), optional=())).missing[:1]
    assert said == "ci: ml-bot has not judged a yet"


def test_only_a_judgement_under_way_is_missing() -> None:
    # The approval was given on the head before, from which only main leads here.
    updated = (*GOOD.pushes, Push(2, "ml-merge", "change", "a", "b", at(40)))
    pull = replace(GOOD, head="b", pushes=updated)
    assert ready(pull, RULES).only_waits
    refused = replace(pull, statuses=(*pull.statuses, judged(1, 50, "failure", "fell", "b")))
    assert not ready(refused, RULES).only_waits
    passed = replace(pull, statuses=(*pull.statuses, judged(1, 50, sha="b")))
    assert ready(passed, RULES).ready
    assert ready(passed, RULES).approved_at == at(20)


def test_a_dismissed_approval_counts_nothing_and_a_dismissed_objection_holds_nothing_up() -> None:
    dismissed = replace(GOOD, reviews=(replace(approved(1, 20), dismissed=True),))
    assert "dismissed" in ready(dismissed, RULES).missing[0]
    objection = Review(1, "owner", "REQUEST_CHANGES", "a", at(15), dismissed=True)
    assert ready(replace(GOOD, reviews=(objection, approved(2, 20))), RULES).ready


def test_an_approval_that_was_withdrawn_counts_nothing() -> None:
    reviews = (approved(1, 20), Review(2, "second", "REQUEST_CHANGES", "a", at(30)))
    assert not ready(replace(GOOD, reviews=reviews), RULES).ready
    # A plain comment after an approval takes nothing back.
    assert ready(replace(GOOD, reviews=(approved(1, 20), Review(2, "second", "COMMENT", "a", at(30)))), RULES).ready


@pytest.mark.parametrize("counts", [True, False])
def test_an_objection_by_who_is_not_listed_counts_where_the_forge_counts_it(counts: bool) -> None:
    objection = Review(2, "stranger", "REQUEST_CHANGES", "a", at(15), counts_at_forge=counts)
    assert ready(replace(GOOD, reviews=(*GOOD.reviews, objection)), RULES).ready is not counts


def test_two_approvals_by_one_person_are_one() -> None:
    two = replace(RULES, people=replace(RULES.people, approvals=2))
    twice = replace(GOOD, reviews=(approved(1, 20), approved(2, 21)))
    assert "an approval by somebody else" in ready(twice, two).missing[0]
    verdict = ready(replace(GOOD, reviews=(approved(1, 20), approved(2, 30, "owner"))), two)
    assert (verdict.ready, verdict.approved_at) == (True, at(30))


def test_an_author_of_a_commit_cannot_approve_it() -> None:
    pull = replace(GOOD, commits=(Commit("a", frozenset({"second"})),))
    assert "second approved, but wrote a commit of it" in ready(pull, RULES).missing[0]


def test_an_owner_answers_only_on_the_head_for_which_he_was_asked() -> None:
    statuses = (judged(1, 10, "pending", ASKED), judged(1, 50, "pending", ASKED, "b"))
    pull = replace(GOOD, statuses=statuses, reviews=(approved(1, 20, "owner"),))
    assert ready(pull, RULES).ready
    updated = (*GOOD.pushes, Push(2, "ml-merge", "change", "a", "b", at(40)))
    moved = replace(pull, head="b", pushes=updated)
    assert ready(moved, RULES).missing == ("an owner's approval of b: quality-gate cannot judge this",)
    again = replace(moved, reviews=(*moved.reviews, approved(2, 60, "owner", "b")))
    assert ready(again, RULES).ready


def test_a_fork_and_an_unknown_pusher_are_refused() -> None:
    assert "fork" in ready(replace(GOOD, fork=True), RULES).missing[0]
    assert "does not say who pushed" in ready(replace(GOOD, pushes=()), RULES).missing[0]


def test_an_owner_alone_needs_no_second_person_only_where_none_is_asked() -> None:
    alone = replace(RULES, people=replace(RULES.people, approvals=0))
    own = replace(GOOD, author="owner", reviews=(), paths=("scripts/up",))
    assert not ready(own, alone).ready
    asked = replace(own, comments=(Comment(1, "owner", "/merge\r\n", at(11), at(11)),))
    assert ready(asked, alone).ready
    assert not ready(asked, RULES).ready
    early = replace(own, comments=(Comment(1, "owner", "/merge", at(9), at(9)),))
    assert not ready(early, alone).ready
