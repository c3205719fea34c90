"""The bot against a real Gitea: each rule, where it alone is violated."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from merge_bot.api import Api
from merge_bot.reader import Reader
from mlplatform.pulls.record import Record
from runner_harness.process import eventually

pytestmark = pytest.mark.attacks

Place = Any
CHANGE = {"ml/notes.md": "a change that no owner needs to see"}


def test_what_somebody_else_approved_is_merged(place: Place) -> None:
    number = place.open(CHANGE)
    head = place.judge(number)
    place.review(number, "second")
    assert place.merged(number)
    pull = place.pull(number)
    assert pull["merged_by"]["login"] == "ml-merge"
    assert place.api("GET", f"/git/commits/{pull['merge_commit_sha']}")["parents"][1]["sha"] == head


def test_s2_a_member_cannot_merge_with_a_forged_status(place: Place) -> None:
    """The forge itself refuses: the account is not on main's merge whitelist."""
    number = place.open(CHANGE)
    for context in ("quality-gate", "ready"):
        place.say(place.head(number), "success", "forged", user="member", context=context)
    for user in ("member", "root", "ml-bot", "ml-proposer"):
        refused = place.refusal("POST", f"/pulls/{number}/merge", user, json={"Do": "merge"})
        assert refused.status_code == 405, user
        refused = place.refusal("POST", f"/pulls/{number}/merge", user, json={"Do": "merge", "force_merge": True})
        assert refused.status_code == 405, user


def test_s2_a_status_by_anybody_but_the_judge_counts_nothing(place: Place) -> None:
    number = place.open(CHANGE)
    place.say(place.head(number), "success", "forged", user="member")
    place.review(number, "second")
    assert "quality-gate: ml-bot has not judged" in place.missing(number)
    # Neither does one that says the opposite, newer than the judge's.
    place.judge(number)
    place.say(place.head(number), "failure", "forged", user="member")
    place.review(number, "second")
    assert place.merged(number)


def test_s2_a_forged_ready_is_written_anew(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    assert "an approval by somebody else" in place.missing(number)
    place.say(place.head(number), "success", "forged", user="member", context="ready")
    assert "an approval by somebody else" in place.missing(number)


def test_the_gate_refuses(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number, "failure", "accuracy fell")
    place.review(number, "second")
    assert "quality-gate: accuracy fell" in place.missing(number)


def test_infrastructure_counts_where_the_judge_judged_it(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    place.say(place.head(number), "failure", "the preview failed", context="infrastructure")
    place.review(number, "second")
    assert "infrastructure: the preview failed" in place.missing(number)


def test_b6_where_main_checks_itself_a_head_must_have_passed(place: Place) -> None:
    number = place.open({".github/workflows/ci.yml": "name: ci\n", **CHANGE})
    head = place.judge(number)
    place.review(number, "owner")
    assert place.merged(number), "a main of before has nobody who sets the status"

    number = place.open({"ml/more.md": "more"}, branch="more")
    head = place.judge(number)
    place.review(number, "second")
    assert place.missing(number).startswith(f"missing: ci: ml-bot has not judged {head[:10]} yet")
    place.say(head, "success", "forged", user="member", context="ci")
    assert "ci: ml-bot has not judged" in place.missing(number)
    place.say(head, "failure", "unit failed: its log says why", context="ci")
    assert "ci: unit failed" in place.missing(number)
    place.say(head, "success", "passed: unit", context="ci")
    assert place.merged(number), "the approval given before counts"


def test_nobody_approved(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    assert place.missing(number) == "missing: an approval by somebody else"


def test_the_author_cannot_approve(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    refused = place.refusal("POST", f"/pulls/{number}/reviews", "member", json={"event": "APPROVED", "body": "mine"})
    assert refused.status_code == 422
    assert "an approval by somebody else" in place.missing(number)


def test_an_approval_by_who_pushed_counts_nothing(place: Place) -> None:
    number = place.open(CHANGE)
    place.push("change", {"ml/more.md": "mine too"}, user="second")
    place.judge(number)
    place.review(number, "second")
    assert "second approved, but pushed a commit of it" in place.missing(number)
    place.review(number, "owner")
    assert place.merged(number)


def test_an_approval_by_who_pushed_before_the_opening_counts_nothing(place: Place) -> None:
    place.push("change", CHANGE, user="second")
    number = place.open({"ml/more.md": "another's"})
    place.judge(number)
    place.review(number, "second")
    assert "second approved, but pushed a commit of it" in place.missing(number)


def test_an_approval_by_who_pushed_a_commit_of_it_to_another_branch_counts_nothing(place: Place) -> None:
    place.push("theirs", CHANGE, user="second")
    place.api("POST", "/branches", "member", json={"new_branch_name": "change", "old_ref_name": "theirs"})
    answer = place.api("POST", "/pulls", "member", json={"title": "t", "head": "change", "base": "main"})
    place.judge(answer["number"])
    place.review(answer["number"], "second")
    assert "second approved, but pushed a commit of it" in place.missing(answer["number"])


def test_an_approval_by_who_is_not_listed_counts_nothing(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    place.review(number, "stranger")
    assert "stranger approved, but is no member or owner" in place.missing(number)


def test_an_approval_before_the_judgement_counts_nothing(place: Place) -> None:
    number = place.open(CHANGE)
    place.review(number, "second")
    time.sleep(1.1)  # the forge's times are whole seconds
    place.judge(number)
    assert "before the gate had judged it" in place.missing(number)
    # The same judgement said again asks nobody anew.
    place.review(number, "second")
    time.sleep(1.1)
    place.say(place.head(number), "success", "accuracy held")
    assert place.merged(number)


def test_an_approval_of_an_earlier_head_counts_nothing(place: Place) -> None:
    number = place.open(CHANGE)
    first = place.judge(number)
    place.review(number, "second")
    place.push("change", {"ml/more.md": "unseen"})
    place.judge(number)
    assert f"second approved {first[:10]}, and the branch has changed since" in place.missing(number)
    # Not even where the reviewer's own request names the new head beforehand.
    place.review(number, "second", commit=first)
    assert "the branch has changed since" in place.missing(number)


def test_s2_a_branch_that_moves_while_it_is_merged_is_not_merged(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the bot's last look and its merge, with the one status that the forge asks for already forged on the new
    head: the forge refuses, for the merge names the head that was judged."""
    number = place.open(CHANGE)
    place.judge(number)
    place.review(number, "second")
    main = place.api("GET", "/branches/main")["commit"]["id"]
    ask, moved = Api.call, []

    def call(api: Api, method: str, path: str, *arguments: Any, **options: Any) -> Any:
        if path == f"pulls/{number}/merge" and not moved:
            moved.append(place.push("change", {"ml/more.md": "unseen"}))
            eventually(lambda: place.head(number) == moved[0], "the pull request has the new head", 60)
            place.say(moved[0], "success", "forged", user="member", context="ready")
            eventually(lambda: place.pull(number)["mergeable"], "the forge knows that it merges", 60)
        return ask(api, method, path, *arguments, **options)

    monkeypatch.setattr(Api, "call", call)
    place.bot.turn()
    assert moved
    assert place.api("GET", "/branches/main")["commit"]["id"] == main
    assert "has not judged" in place.missing(number)


def test_s2_a_branch_that_moved_there_and_back_is_judged_anew(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read meanwhile may be that of the other head, so the bot looks again at who pushed before it merges."""
    number = place.open(CHANGE)
    head = place.judge(number)
    place.review(number, "second")
    main = place.api("GET", "/branches/main")["commit"]["id"]
    complete, moved = Reader.complete, []

    def read(*arguments: Any) -> Any:
        found = complete(*arguments)
        if not moved:
            moved.append(place.push("change", {"ml/more.md": "unseen"}))
            place.put_back("change", head)
            eventually(lambda: place.head(number) == head, "the pull request has its head again", 60)
            eventually(lambda: place.pull(number)["mergeable"], "the forge knows that it merges", 60)
        return found

    monkeypatch.setattr(Reader, "complete", read)
    assert place.bot.turn(), "it looks at everything again at once"
    assert moved
    assert place.api("GET", "/branches/main")["commit"]["id"] == main


def test_an_approval_outlasts_the_platforms_own_commits(place: Place) -> None:
    """The lock that the judge commits, and main that the bot merges."""
    number = place.open(CHANGE)
    place.judge(number)
    place.review(number, "second")
    place.push("change", {"ml/dvc.lock": "trained"}, user="ml-bot")
    assert "has not judged" in place.missing(number)
    place.judge(number)
    assert place.merged(number)


def test_an_approval_of_a_head_that_was_not_judged_does_not_outlast_them(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number, "pending", "training")
    place.review(number, "second")
    place.push("change", {"ml/dvc.lock": "trained"}, user="ml-bot")
    place.judge(number)
    assert "before the gate had judged it" in place.missing(number)


def test_a_commit_that_only_names_the_judge_as_its_author_is_a_persons(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    place.review(number, "second")
    body = {
        "branch": "change",
        "content": "aGVsbG8=",
        "message": "Record the training",
        "author": {"name": "ml-bot", "email": "ml-bot@localhost.localdomain"},
        "committer": {"name": "ml-bot", "email": "ml-bot@localhost.localdomain"},
    }
    place.api("POST", "/contents/ml/dvc.lock", "member", json=body)
    place.judge(number)
    assert "the branch has changed since" in place.missing(number)


def test_a_draft_waits(place: Place) -> None:
    number = place.open(CHANGE)
    place.api("PATCH", f"/pulls/{number}", "member", json={"title": "WIP: not yet"})
    place.judge(number)
    place.review(number, "second")
    assert place.missing(number) == "missing: it is a draft"


def test_a_review_that_asks_for_changes_holds_it_up(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    place.review(number, "second")
    place.review(number, "owner", "REQUEST_CHANGES")
    assert place.missing(number) == "missing: owner asks for changes"
    place.review(number, "owner")
    assert place.merged(number)


@pytest.mark.parametrize(
    "path", ["scripts/ci/report", ".gitea/workflows/x.yml", "apps/a/overlays/prod/k.yaml", "x/.dvc/config"]
)
def test_what_protects_main_needs_an_owner(place: Place, path: str) -> None:
    number = place.open({path: "changed"})
    place.judge(number)
    place.review(number, "second")
    assert place.missing(number) == f"missing: an owner's approval of {path}"
    place.review(number, "owner")
    assert place.merged(number)


def test_the_gates_own_parameters_need_an_owner_and_others_do_not(place: Place) -> None:
    params = "train:\n  epochs: 8\nevaluate:\n  parity_tolerance: 0.0001\ngate:\n  tolerance: 0.5\n"
    number = place.open({"ml/params.yaml": params})
    place.judge(number)
    place.review(number, "second")
    assert place.missing(number) == "missing: an owner's approval of ml/params.yaml: gate"
    place.push("change", {"ml/params.yaml": params.replace("0.5", "0.005").replace("8", "9")})
    place.judge(number)
    place.review(number, "second")
    assert place.merged(number)


def test_where_the_gate_cannot_judge_an_owner_must(place: Place) -> None:
    number = place.open(CHANGE)
    asked = "main cannot judge ml/src/x.py: an owner's approval is asked"
    place.judge(number, "pending", asked)
    place.review(number, "second")
    assert "an owner's approval of" in place.missing(number)
    assert "quality-gate cannot judge this" in place.missing(number)
    place.review(number, "owner")
    assert place.merged(number)


def test_an_owner_who_approved_before_he_was_asked_is_asked_again(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    place.people(2)
    place.review(number, "owner")
    place.review(number, "second")
    place.push("change", {"ml/dvc.lock": "trained"}, user="ml-bot")
    time.sleep(1.1)
    place.judge(number, "pending", "main cannot judge ml/src/x.py: an owner's approval is asked")
    assert "quality-gate cannot judge this" in place.missing(number)
    place.review(number, "owner")
    assert place.merged(number)


def test_what_the_platform_proposes_is_refused_once_anybody_else_pushed(place: Place) -> None:
    number = place.open({"apps/classifier/overlays/dev/kustomization.yaml": "digest: 1"}, user="ml-proposer")
    place.push("change", {"apps/classifier/overlays/dev/kustomization.yaml": "digest: 2"})
    place.judge(number)
    place.review(number, "second")
    assert "ml-proposer proposes this, but member pushed to its branch" in place.missing(number)


def test_s20_a_digest_that_a_member_adds_to_the_platforms_branch_is_refused(place: Place) -> None:
    """Also where the account that proposed was still the judge's, as in pull requests of before."""
    number = place.open({"apps/classifier/overlays/dev/kustomization.yaml": "digest: 1"}, user="ml-bot")
    place.push("change", {"apps/classifier/overlays/dev/kustomization.yaml": "digest: abab"})
    place.judge(number)
    place.review(number, "owner")
    assert "ml-bot proposes this, but member pushed to its branch" in place.missing(number)


def test_what_the_platform_proposes_is_merged_after_one_approval(place: Place) -> None:
    number = place.open({"apps/classifier/overlays/dev/kustomization.yaml": "digest: 1"}, user="ml-proposer")
    place.judge(number)
    place.review(number, "member")
    assert place.merged(number)


def test_a_pusher_whose_activity_is_hidden_is_nobody(place: Place) -> None:
    """What the forge does not show cannot be judged, so it counts against the pull request."""
    number = place.open(CHANGE)
    place.forge.api("PATCH", "/user/settings", user="stranger", json={"hide_activity": True})
    try:
        place.push("change", {"ml/more.md": "hidden"}, user="stranger")
        place.judge(number)
        place.review(number, "second")
        assert "does not say who pushed each commit" in place.missing(number)
    finally:
        place.forge.api("PATCH", "/user/settings", user="stranger", json={"hide_activity": False})


@pytest.mark.parametrize("marker", ["<!-- ml-platform:report -->", ""])
def test_a_comment_of_the_gate_that_was_changed_is_noticed(place: Place, marker: str) -> None:
    """On Gitea a member may edit anybody's comment: the report that people read before they approve."""
    number = place.open(CHANGE)
    place.judge(number)
    time.sleep(1.1)
    [own] = place.api("GET", f"/issues/{number}/comments")
    place.api("PATCH", f"/issues/comments/{own['id']}", "member", json={"body": f"{marker}\naccuracy 1.0000"})
    place.review(number, "second")
    assert "was changed after the judgement" in place.missing(number)


def test_two_approvals_where_two_are_asked(place: Place) -> None:
    place.people(2)
    number = place.open(CHANGE)
    place.judge(number)
    place.review(number, "second")
    assert place.missing(number) == "missing: an approval by somebody else"
    place.review(number, "owner")
    assert place.merged(number)


def test_a_person_alone_merges_by_a_comment(place: Place) -> None:
    place.people(0)
    number = place.open(CHANGE)
    place.judge(number)
    assert "the comment /merge" in place.missing(number)
    place.comment(number, "stranger", "/merge")
    place.comment(number, "member", "please /merge")
    assert "the comment /merge" in place.missing(number)
    place.comment(number, "member", "/merge")
    assert place.merged(number)


def test_a_comment_that_was_edited_asks_for_nothing(place: Place) -> None:
    """A member may write `/merge` into an owner's comment."""
    place.people(0)
    number = place.open({"scripts/x": "changed"})
    place.judge(number)
    comment = place.comment(number, "owner", "I will look at it")
    time.sleep(1.1)
    place.api("PATCH", f"/issues/comments/{comment}", "member", json={"body": "/merge"})
    place.comment(number, "member", "/merge")
    assert place.missing(number) == "missing: an owner's approval of scripts/x"


def test_a_comment_before_the_judgement_asks_for_nothing(place: Place) -> None:
    place.people(0)
    number = place.open(CHANGE)
    place.comment(number, "member", "/merge")
    time.sleep(1.1)
    place.judge(number)
    assert "the comment /merge" in place.missing(number)


def test_outdated_branches_are_brought_up_to_date_one_after_another(place: Place) -> None:
    numbers = [place.open({f"ml/{name}.md": name}, branch=name) for name in ("first", "second-one", "third")]
    for number in numbers:
        place.judge(number)
    # The order is that of the approvals, not of the numbers.
    for number in (numbers[2], numbers[0], numbers[1]):
        place.review(number, "second")
        time.sleep(1.1)
    place.turns()
    third = place.pull(numbers[2])
    assert third["merged"]
    [first, other] = numbers[:2]
    heads = {number: place.head(number) for number in (first, other)}
    assert "waits its turn" in place.missing(other)
    assert "has not judged" in place.missing(first)
    # The bot merged main into the first one only, and its approval still counts once the gate has judged again.
    parents = place.api("GET", f"/git/commits/{heads[first]}")["parents"]
    assert third["merge_commit_sha"] in {one["sha"] for one in parents}
    place.judge(first)
    assert place.merged(first)
    assert place.head(other) != heads[other]
    place.judge(other)
    assert place.merged(other)


def test_a_branch_that_conflicts_with_main_is_left_to_its_author(place: Place) -> None:
    one = place.open({"ml/same.md": "one"}, branch="one")
    two = place.open({"ml/same.md": "two"}, branch="two")
    for number in (one, two):
        place.judge(number)
    place.review(one, "second")
    time.sleep(1.1)
    place.review(two, "second")
    assert place.merged(one)
    assert "conflicts with main" in place.missing(two)


def test_a_new_bot_goes_on_where_the_old_one_was(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    assert "an approval" in place.missing(number)
    place.review(number, "second")
    again = place.new_bot()
    place.turns(again)
    assert place.pull(number)["merged"]


def test_nothing_is_written_twice(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    place.turns()
    before = place.api("GET", f"/commits/{place.head(number)}/statuses")
    place.turns()
    place.turns(place.new_bot())
    assert place.api("GET", f"/commits/{place.head(number)}/statuses") == before


def test_a_pull_request_that_cannot_be_read_does_not_hold_up_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One account floods its own head with statuses; the other pull request is merged all the same."""
    monkeypatch.setattr("merge_bot.api.MOST_PAGES", 1)
    flooded = place.open({"ml/a.md": "a"}, branch="flooded")
    for count in range(51):
        place.say(place.head(flooded), "success", f"{count}", user="member")
    number = place.open(CHANGE)
    place.judge(number)
    place.review(number, "second")
    assert place.merged(number)
    place.turns()
    shown = place.api("GET", f"/commits/{place.head(flooded)}/statuses")
    [said] = [one["description"] for one in shown if one["creator"]["login"] == "ml-merge"]
    assert "missing: it cannot be read" in said
    assert "more than 50 entries" in said


def test_entries_too_big_to_read_hide_no_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One account's long texts stand in lists that every pull request is judged by."""
    monkeypatch.setattr("merge_bot.api.MOST_BYTES", 60_000)
    place.push("long", {"ml/long.md": "long"})
    body = {"title": "long", "body": "x" * 100_000, "head": "long", "base": "main"}
    place.api("POST", "/pulls", "member", json=body)
    number = place.open(CHANGE)
    place.judge(number)
    place.review(number, "second")
    assert place.merged(number)


@pytest.fixture
def merge_by_hand(place: Place) -> Callable[[int], str]:
    """A function that merges as root, who took the protection away for that; the merge commit."""

    def merge(number: int) -> str:
        place.api("DELETE", "/branch_protections/main")
        place.api("POST", f"/pulls/{number}/merge", json={"Do": "merge"})
        place.protect()
        return str(place.pull(number)["merge_commit_sha"])

    return merge


def said_of(place: Place, sha: str) -> list[tuple[str, str]]:
    shown = place.api("GET", f"/commits/{sha}/statuses")
    return [(one["status"], one["description"]) for one in shown if one["context"] == "merged-by-bot"]


def test_a_merge_by_another_is_reported_once(place: Place, merge_by_hand: Callable[[int], str]) -> None:
    number = place.open(CHANGE)
    sha = merge_by_hand(number)
    for bot in (place.bot, place.bot, place.new_bot()):
        place.turns(bot)
    assert said_of(place, sha) == [("failure", f"#{number} was merged by root, not by ml-merge")]
    [report] = place.api("GET", f"/issues/{number}/comments")
    assert report["user"]["login"] == "ml-merge"
    assert f"git revert -m 1 {sha}" in report["body"]


def test_a_merge_with_an_administrators_record_is_shown_and_not_reported(
    place: Place, merge_by_hand: Callable[[int], str]
) -> None:
    number = place.open(CHANGE)
    record = Record("alice", place.head(number), "the gate does not start")
    place.comment(number, "root", record.render())
    sha = merge_by_hand(number)
    place.turns()
    assert said_of(place, sha) == [("success", "merged past the rules by alice: the gate does not start")]
    assert len(place.api("GET", f"/issues/{number}/comments")) == 1


def test_a_record_that_no_administrator_wrote_is_none(place: Place, merge_by_hand: Callable[[int], str]) -> None:
    number = place.open(CHANGE)
    place.comment(number, "member", Record("alice", place.head(number), "I like it").render())
    sha = merge_by_hand(number)
    place.turns()
    assert said_of(place, sha) == [("failure", f"#{number} was merged by root, not by ml-merge")]


def test_what_the_bot_merged_is_not_reported(place: Place) -> None:
    number = place.open(CHANGE)
    place.judge(number)
    place.review(number, "second")
    assert place.merged(number)
    place.turns()
    assert said_of(place, place.pull(number)["merge_commit_sha"]) == []


def test_a_push_to_main_is_reported(place: Place) -> None:
    place.api("DELETE", "/branch_protections/main")
    sha = place.push("main", {"scripts/x": "pushed"}, user="root")
    place.turns()
    assert said_of(place, sha) == [("failure", "pushed to main by root, not merged by ml-merge")]
