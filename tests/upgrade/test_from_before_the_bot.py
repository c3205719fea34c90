"""A platform that commit 20dc5e4 made, with a released model, an open training and an open deploy pull request, is
brought to this checkout as docs/runbooks/upgrade.md says: first `scripts/up`, then the merge of it into the forge's
main, then `scripts/up` again.

Makes that platform by itself, and removes whatever this project runs on the machine first.
"""

from collections.abc import Callable

import pytest
import yaml

from cli import loop, merging
from forge import PullRequest
from live import Platform, eventually
from settings import ROOT
from upgrading import WHY, identities, merge, merge_upstream, script, serve_a_training

pytestmark = [pytest.mark.upgrade, pytest.mark.platform]


def merge_main(live: Platform, pull: PullRequest, change: Callable[[str], str]) -> None:
    """Merge main into a pull request's branch, with main's files and one change of the parameters."""
    login = loop.member_login(live.cluster, live.paths)
    with loop.Clone(live.member.clone_url, login) as clone:
        clone.git("fetch", "--quiet", live.member.clone_url, f"+refs/heads/{pull.head_branch}:refs/heads/branch")
        commit = merge(clone, "branch", loop.MAIN)
        clone.git("push", "--quiet", live.member.clone_url, f"{commit}:refs/heads/{pull.head_branch}")
    live.amend(pull, {loop.PARAMS: change((live.member.read_file(loop.PARAMS, loop.MAIN) or b"").decode())})


def test_the_model_stays_while_the_platform_moves(live: Platform, pulls: dict[str, PullRequest]) -> None:
    served = identities(live)
    said = script(ROOT, "up")
    assert "no apps/bot yet" in said

    assert {name: uid for name, uid in identities(live).items() if name in served} == served
    check = merging.check(live.cluster, live.paths)
    assert not check.ok
    assert "merge whitelist" in check.detail


def test_main_is_the_bots_once_it_has_one(live: Platform, pulls: dict[str, PullRequest]) -> None:
    deployed = live.deployed()
    pull = merge_upstream(live)
    script(ROOT, "merge-anyway", "--pull", str(pull.number), "--who", "owner", "--why", WHY)
    assert live.member.pull_request(pull.number).merged
    live.cancel(pull)
    script(ROOT, "up")
    assert merging.check(live.cluster, live.paths).ok
    live.settle(300)
    assert {name: images for name, images in live.deployed().items() if name in deployed} == deployed


def refusal(live: Platform, pull: PullRequest, seconds: float) -> str:
    """What the gate says against a pull request, which it passed before, once it judges it anew."""

    def said() -> str | None:
        head = live.member.pull_request(pull.number).head_sha
        status = live.member.status(head, loop.GATE, loop.BOT)
        return status.description if status and status.state == "failure" else None

    return eventually(said, seconds, f"a judgement of today about #{pull.number}")


def test_the_open_deployment_is_refused(live: Platform, pulls: dict[str, PullRequest]) -> None:
    """Its release left no record that the gate of today looks for."""
    assert "is not an image that release has published" in refusal(live, pulls["deploy"], 300)


def test_the_open_training_is_measured_by_main_and_refused(live: Platform, pulls: dict[str, PullRequest]) -> None:
    """No event of it came. It trained on rows that main's rule of today assigns to the test set."""
    assert "rows of the test set" in refusal(live, pulls["training"], 600)


def test_the_next_training_is_served_and_supersedes_the_open_deployment(
    live: Platform, pulls: dict[str, PullRequest]
) -> None:
    serve_a_training(live)
    assert not live.member.pull_request(pulls["deploy"].number).open


def test_the_open_training_is_merged_once_it_has_main(live: Platform, pulls: dict[str, PullRequest]) -> None:
    pull = pulls["training"]
    merge_main(live, pull, lambda text: loop.known_good(text, [yaml.safe_load(text)]))
    live.merge(pull)
