"""S2: nobody merges alone. Each rule by itself is tried in tests/apps/bot, the whole of it here."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from cli import health, loop, people
from forge import ForgeError, PullRequest
from live import Platform, eventually


@pytest.fixture(scope="module")
def pull(live: Platform) -> Iterator[PullRequest]:
    opened = live.propose("Say more", lambda text: f"{text}\nMore.\n", "LICENSE")
    assert live.gate(opened)[0] == "success"
    yield opened
    if live.member.pull_request(opened.number).open:
        live.drop(opened)


def ready(live: Platform, pull: PullRequest) -> Any:
    """The status `ready` as the forge has it, with who set it."""
    url = f"{live.cluster.forge.url}/api/v1/repos/{live.cluster.forge.repository}/commits/{pull.head_sha}/status"
    login = people.login(live.paths, live.proposer)
    statuses = json.loads(health.content(url, login.basic, limit=2**20))["statuses"]
    return next((one for one in statuses if one["context"] == loop.READY), None)


def test_s2_a_forged_status_merges_nothing(live: Platform, pull: PullRequest) -> None:
    for context in (loop.GATE, loop.READY):
        live.member.set_status(pull.head_sha, context, "success", "forged")
    for name in live.cluster.people.all:
        with closing(people.connect(live.cluster, live.paths, name)) as person, pytest.raises(ForgeError):
            person.merge_pull_request(pull.number, pull.head_sha, patience=0)
    assert not live.member.pull_request(pull.number).merged


def test_s2_the_bot_says_what_is_missing_whatever_others_wrote_there(live: Platform, pull: PullRequest) -> None:
    def said() -> bool | None:
        status = ready(live, pull)
        return True if status and status["creator"]["login"] == loop.MERGER else None

    eventually(said, 60, "the bot's own word")
    status = ready(live, pull)
    assert (status["status"], status["description"]) == ("pending", "missing: an approval by somebody else")


def test_s2_what_another_person_approved_the_bot_merges(live: Platform, pull: PullRequest) -> None:
    live.merge(pull, 120)
    url = f"{live.cluster.forge.url}/api/v1/repos/{live.cluster.forge.repository}/pulls/{pull.number}"
    login = people.login(live.paths, live.proposer)
    assert json.loads(health.content(url, login.basic, limit=2**20))["merged_by"]["login"] == loop.MERGER
