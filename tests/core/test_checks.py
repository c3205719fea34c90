"""The repository's own checks, in runner pods: what would break it is refused.

Environments and tools are the base layer's. The night makes those of the tests; here they are asked for.
"""

from collections.abc import Iterator

import httpx
import pytest

from cli import loop, people
from forge import ForgeError, PullRequest
from live import Platform, eventually
from mlplatform.base_layer.environments import CHECKS, key_of
from mlplatform.pulls import verdict
from settings import ROOT

SECONDS = 900
# What makes each of them wrong, and the one job that has to see it.
BREAKS = {
    "script": ("scripts/lib/ci/gate.py", lambda text: f"{text}\ndef broken(:\n", "check"),
    "answer": (
        "ml/service/service.py",
        lambda text: text.replace("probabilities.argmax()", "probabilities.argmin()"),
        "unit",
    ),
}


def is_made(live: Platform, group: str) -> bool:
    folder = live.paths.cache / "runner" / "base" / "environments"
    return any(folder.glob(f"{group}-{key_of((ROOT / 'requirements' / f'{group}.txt').read_bytes())}-*.json"))


@pytest.fixture(scope="module")
def environments(live: Platform) -> None:
    """Those that tests run in, made by a job of main where no earlier platform of this host left them."""
    if all(is_made(live, group) for group in CHECKS):
        return
    login = people.administrator(live.paths)
    place = f"{live.cluster.forge.url}/api/v1/repos/{live.cluster.forge.repository}/actions/workflows/nightly.yml"
    answer = httpx.post(
        f"{place}/dispatches", json={"ref": loop.MAIN}, headers={"Authorization": login.basic}, timeout=30
    )
    assert answer.is_success, answer.text
    eventually(lambda: all(is_made(live, group) for group in CHECKS), SECONDS, "the environments of tests")


@pytest.fixture
def pull(live: Platform, environments: None, name: str) -> Iterator[PullRequest]:
    """One that breaks what the test is named after."""
    path, change, _ = BREAKS[name]
    opened = live.propose(f"Break the {name}", change, path)
    yield opened
    live.drop(opened)


def checked(live: Platform, sha: str) -> tuple[str, str]:
    """How the status `ci` of a commit ends."""

    def ended() -> tuple[str, str] | None:
        found = live.member.status(sha, "ci", loop.BOT)
        if found is None or (found.state == "pending" and not verdict.asks_an_owner(found.state, found.description)):
            return None
        return found.state, found.description

    return eventually(ended, SECONDS, f"ci of {sha[:10]}")


@pytest.mark.parametrize("name", ["script", pytest.param("answer", marks=pytest.mark.faults)])
def test_d6_what_breaks_the_repository_is_refused(live: Platform, pull: PullRequest, name: str) -> None:
    job = BREAKS[name][2]
    state, description = checked(live, pull.head_sha)
    assert state == "failure", description
    [run] = [one for one in live.member.workflow_runs(pull.head_sha) if one.workflow == "ci.yml"]

    def ended() -> str | None:
        return next((one.conclusion for one in live.member.jobs(run.id) if one.name == job), None) or None

    assert eventually(ended, SECONDS, f"the end of {job}") == "failure"
    with pytest.raises(ForgeError):
        live.member.merge_pull_request(pull.number, pull.head_sha, patience=0)
