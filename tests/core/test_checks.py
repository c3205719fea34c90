"""The repository's own checks, in runner pods: what would break it is refused, what breaks nothing passes.

Environments and tools are the base layer's. The night makes those of the tests; here they are asked for.
"""

from collections.abc import Iterator

import httpx
import pytest

from cli import loop, people
from forge import ForgeError, Job, PullRequest
from live import Platform, eventually
from mlplatform.base_layer.environments import CHECKS, key_of
from mlplatform.pulls import verdict
from settings import ROOT

SECONDS = 900
# What makes each of them wrong, the one job that has to see it, and what its log has to name.
BREAKS = {
    "script": ("scripts/lib/ci/gate.py", lambda text: f"{text}\ndef broken(:\n", "check", "scripts/lib/ci/gate.py"),
    "answer": (
        "ml/service/service.py",
        lambda text: text.replace("probabilities.argmax()", "probabilities.argmin()"),
        "unit",
        "FAILED tests/ml/service/test_service.py::",
    ),
}
# Changed, it needs the jobs check and unit, and seconds of tests.
HARMLESS = "apps/bot/src/merge_bot/settings.py"
# Of jobs' pods: apps/runner-controller/pools/cpu.
USER = 1000


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
    path, change, _, _ = BREAKS[name]
    opened = live.propose(f"Break the {name}", change, path)
    yield opened
    live.drop(opened)


@pytest.fixture
def harmless(live: Platform, environments: None) -> Iterator[PullRequest]:
    """One that breaks nothing."""
    opened = live.propose("Say more", lambda text: f"{text}\n\n# More.\n", HARMLESS)
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


def job(live: Platform, sha: str, name: str) -> tuple[Job, str]:
    """A job of a commit's `ci.yml` once it has ended, and its log."""
    [run] = [one for one in live.member.workflow_runs(sha) if one.workflow == "ci.yml"]

    def ended() -> Job | None:
        return next((one for one in live.member.jobs(run.id) if one.name == name and one.conclusion), None)

    found = eventually(ended, SECONDS, f"the end of {name}")
    return found, "\n".join(loop.job_log(live.cluster, live.paths, found.id))


@pytest.mark.parametrize("name", ["script", pytest.param("answer", marks=pytest.mark.faults)])
def test_d6_what_breaks_the_repository_is_refused(live: Platform, pull: PullRequest, name: str) -> None:
    _, _, failing, named = BREAKS[name]
    state, description = checked(live, pull.head_sha)
    assert state == "failure", description
    found, log = job(live, pull.head_sha, failing)
    assert found.conclusion == "failure"
    # The check itself has seen it: what merely ends badly, or cannot start, names nothing.
    assert named in log, log[-4000:]
    with pytest.raises(ForgeError):
        live.member.merge_pull_request(pull.number, pull.head_sha, patience=0)


def test_b6_what_breaks_nothing_passes_as_an_ordinary_user(live: Platform, harmless: PullRequest) -> None:
    assert checked(live, harmless.head_sha) == ("success", "passed: check, unit")
    for name, said in (("check", "ok     types "), ("unit", " passed, 0 failed, ")):
        found, log = job(live, harmless.head_sha, name)
        assert found.conclusion == "success"
        # Not an empty success.
        assert said in log, log[-4000:]
        assert f"{name}: as user {USER}" in log
