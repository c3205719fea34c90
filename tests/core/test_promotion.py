"""A release that runs in dev is promoted: by pull request, pinned, and nothing else reaches staging."""

import pytest

from cli import applications, loop
from cli.applications import Application
from forge import PullRequest
from live import Platform, eventually
from mlplatform import pin
from mlplatform.pin import Pin

TARGET = "staging"
NAME = f"{loop.APP}-{TARGET}"


@pytest.fixture(scope="module")
def promoted(live: Platform) -> PullRequest:
    """The merged promotion to staging of what dev runs."""
    assert applications.named(live.kubectl, NAME) is None, "nothing runs there before a promotion"
    live.verb("promote", loop.APP, "--to", TARGET)
    found = [one for one in live.member.pull_requests(loop.MAIN) if one.title.startswith(f"Promote {loop.APP} ")]
    assert [one.author for one in found] == [loop.PROPOSER]
    live.merge(found[0])
    return live.member.pull_request(found[0].number)


@pytest.fixture(scope="module")
def pinned(live: Platform, promoted: PullRequest) -> Pin:
    """What main pins staging to."""
    return pin.parse(live.member.read_file(pin.path(loop.APP, TARGET), loop.MAIN) or b"")


def test_the_environment_runs_the_pinned_commit_and_the_digest_that_dev_runs(live: Platform, pinned: Pin) -> None:
    [image] = live.deployed()[f"{loop.APP}-{live.stage}"]
    assert image.endswith(f"@{pinned.images[loop.APP]}")

    def runs() -> Application | None:
        found = applications.named(live.kubectl, NAME)
        there = found is not None and found.is_settled and found.revision == pinned.revision
        return found if there and loop.ready_pods(live.kubectl, TARGET, pinned.images[loop.APP]) else None

    assert eventually(runs, 120, f"{NAME} at {pinned.revision[:10]}").images == (image,)


def test_what_runs_there_already_is_not_proposed_again(live: Platform, pinned: Pin) -> None:
    live.verb("promote", loop.APP, "--to", TARGET, status=2)


def test_a_pin_that_nobody_proved_is_refused(live: Platform, pinned: Pin) -> None:
    """A member's own pull request to the next environment: a digest that staging does not run."""
    other = Pin(pinned.revision, {loop.APP: f"sha256:{'0' * 64}"})
    pull = live.propose("Pin prod", lambda _: other.document().decode(), pin.path(loop.APP, "prod"))
    try:
        state, description = live.gate(pull)
        assert state == "failure"
        assert "staging does not run this release" in description
    finally:
        live.drop(pull)
