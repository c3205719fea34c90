"""The other order: the forge's main is merged first, by a platform that commit 20dc5e4 made, and `scripts/up` runs
afterwards.

Makes that platform by itself, and removes whatever this project runs on the machine first.
"""

import time

import pytest

from cli import merging
from forge import PullRequest
from live import Platform, eventually
from settings import ROOT
from upgrading import WHY, identities, merge_upstream, script, serve_a_training

pytestmark = [pytest.mark.upgrade, pytest.mark.platform]

AFTER_THE_SYNC = 60


def synced(live: Platform, commit: str) -> bool | None:
    """Whether Argo CD has made the Applications of a commit of main."""
    root = next(
        one
        for one in live.kubectl.items("applications.argoproj.io", "-n", "argocd")
        if one["metadata"]["name"] == "root"
    )
    return root["status"]["sync"]["revision"] == commit or None


@pytest.fixture(scope="module")
def merged(live: Platform, pulls: dict[str, PullRequest]) -> tuple[str, dict[str, str]]:
    """The commit that makes main this checkout's, and pods and Applications with their UIDs from before it."""
    served = identities(live)
    pull = merge_upstream(live)
    script(ROOT, "merge-anyway", "--pull", str(pull.number), "--who", "owner", "--why", WHY)
    found = live.member.pull_request(pull.number)
    assert found.merged
    eventually(lambda: synced(live, found.merge_sha), 300, "the sync of main's Applications")
    return found.merge_sha, served


def test_a_main_of_today_breaks_nothing_that_runs(live: Platform, merged: tuple[str, dict[str, str]]) -> None:
    _, served = merged
    time.sleep(AFTER_THE_SYNC)
    assert {name: uid for name, uid in identities(live).items() if name in served} == served


def test_what_needs_the_host_of_today_says_so(live: Platform, merged: tuple[str, dict[str, str]]) -> None:
    commit, _ = merged

    def said() -> str | None:
        lines = live.failed_jobs_of(commit)
        return lines if "run scripts/up" in lines else None

    # What cannot start holds the only place for a branch's jobs and others up for 300 s.
    eventually(said, 600, "a job that asks for scripts/up")


def test_up_ends_what_the_merge_began(live: Platform, merged: tuple[str, dict[str, str]]) -> None:
    def served() -> dict[str, list[str]]:
        """What others deploy than the platform itself."""
        return {name: images for name, images in live.deployed().items() if name.endswith(f"-{live.stage}")}

    before = served()
    assert before
    script(ROOT, "up")
    assert merging.check(live.cluster, live.paths).ok
    live.settle(300)
    assert served() == before


def test_the_next_training_is_served(live: Platform, merged: tuple[str, dict[str, str]]) -> None:
    serve_a_training(live)
