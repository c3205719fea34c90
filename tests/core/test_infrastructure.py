"""Infrastructure on the local forge, whole: a pull request changes an environment of an emulated AWS account.

Pods preview and apply it against an emulator on the node's address, which the forge's Actions variable names. What a
policy refuses is part of the one story; a change from its preview to its apply, and back, is run by name.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from cli import loop, people
from components import network_policies
from components.network_policies import Endpoint
from emulator.process import Emulator, emulator
from forge import Comment, ForgeError, PullRequest
from live import Platform, eventually
from program import shared
from settings import ROOT

STACK = "shared"
DAYS = shared().retention.untagged_image_days
FILE = f"clusters/{STACK}/cluster.yaml"
VARIABLE = "AWS_ENDPOINT_URL"
SECONDS = 300


@pytest.fixture(scope="module")
def account(live: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An account as infra/bootstrap leaves it, that pods can reach and the forge knows; both end with the module."""
    address = live.cluster.kubernetes.node_address
    with emulator(tmp_path_factory.mktemp("aws"), "--prepared", "--address", address, checkout=ROOT) as running:
        owner = _owner(live)
        admitted = json.dumps(admission(running.url))
        try:
            live.kubectl.run("apply", "--filename=-", text=admitted)
            owner("DELETE", None)  # what a run left that was killed
            owner("POST", {"value": running.url})
            yield running
        finally:
            owner("DELETE", None)
            live.kubectl.run("delete", "--ignore-not-found", "--filename=-", text=admitted)


def admission(url: str) -> dict[str, Any]:
    """What lets jobs reach the emulator: no fact of the cluster names it, so by default they do not."""
    return network_policies.policy(
        "aws-emulator",
        "runner-controller",
        {"matchLabels": {"app.kubernetes.io/component": "job"}},
        egress=network_policies.to_endpoints([Endpoint.of(url)]),
    )


def untagged_days(account: Emulator) -> set[int]:
    """For how long repositories keep untagged images."""
    ecr = account.client("ecr")
    found = set()
    for repository in ecr.describe_repositories()["repositories"]:
        policy = json.loads(
            ecr.get_lifecycle_policy(repositoryName=repository["repositoryName"])["lifecyclePolicyText"]
        )
        found |= {
            rule["selection"]["countNumber"] for rule in policy["rules"] if rule["selection"]["tagStatus"] == "untagged"
        }
    return found


def _owner(live: Platform) -> Any:
    """Calls the forge's API on the repository's variable, as its administrator."""
    login = people.administrator(live.paths)
    url = f"{live.cluster.forge.url}/api/v1/repos/{live.cluster.forge.repository}/actions/variables/{VARIABLE}"

    def call(method: str, body: dict[str, str] | None) -> None:
        answer = httpx.request(method, url, json=body, headers={"Authorization": login.basic}, timeout=30)
        assert answer.is_success or method == "DELETE", answer.text

    return call


def judged(live: Platform, sha: str, context: str) -> tuple[str, str]:
    account = loop.PROPOSER if context.startswith("apply/") else loop.BOT

    def ended() -> tuple[str, str] | None:
        status = live.member.status(sha, context, account)
        return (status.state, status.description) if status and status.state != "pending" else None

    return eventually(ended, SECONDS, f"{context} of {sha[:10]}", every=3)


def kept_days(days: int) -> Callable[[str], str]:
    """Changes for how long the shared stack keeps untagged images."""
    return lambda text: re.sub(r"untaggedImageDays: \d+", f"untaggedImageDays: {days}", text)


@pytest.fixture
def opened(live: Platform) -> Iterator[list[PullRequest]]:
    """Pull requests that are closed at the end, merged or not."""
    pulls: list[PullRequest] = []
    yield pulls
    for pull in pulls:
        if live.member.pull_request(pull.number).open:
            live.drop(pull)


@pytest.fixture(scope="module")
def made(live: Platform, account: Emulator) -> Emulator:
    """The account with the shared stack in it, as main describes it."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in account.variables.items():
            environment.setenv(name, value)
        live.verb("up", "--environment", STACK)
    assert untagged_days(account) == {DAYS}
    return account


def movable(text: str) -> str:
    return text.replace('image_tag_mutability="IMMUTABLE"', 'image_tag_mutability="MUTABLE"')


def comment(live: Platform, pull: PullRequest) -> Comment:
    """What the preview says on the pull request."""
    [found] = [one for one in live.member.comments(pull.number) if "ml-platform:infrastructure" in one.body]
    return found


def test_d5_what_a_policy_forbids_is_refused(live: Platform, made: Emulator, opened: list[PullRequest]) -> None:
    opened.append(live.propose("Let tags of images move", movable, "infra/components/container_registry.py"))

    def started() -> bool | None:
        runs = live.member.workflow_runs(opened[0].head_sha)
        return True if any(run.workflow == "ci.yml" for run in runs) else None

    eventually(started, 60, "the start of ci.yml")
    # Which another test looks at, and which would take the preview's time.
    live.cancel(opened[0], "ci.yml")
    state, description = judged(live, opened[0].head_sha, "infrastructure")
    assert state == "failure"
    assert "policy violation" in description
    assert "| **mandatory** | `repository-tags` |" in comment(live, opened[0]).body
    with pytest.raises(ForgeError):
        live.member.merge_pull_request(opened[0].number, opened[0].head_sha, patience=0)


@pytest.mark.infrastructure
def test_a_change_is_previewed_and_its_merge_applied(live: Platform, made: Emulator, opened: list[PullRequest]) -> None:
    opened.append(live.propose("Keep untagged images longer", kept_days(DAYS + 1), FILE))
    pull = opened[-1]
    state, description = judged(live, pull.head_sha, "infrastructure")
    assert state == "success", description
    assert description.startswith(f"{STACK}: ")
    assert "to update" in description
    assert "prod: not made yet" in description
    said = comment(live, pull)
    assert said.author == loop.BOT
    assert "aws:ecr/lifecyclePolicy:LifecyclePolicy" in said.body
    assert untagged_days(made) == {DAYS}

    sha = live.merge(pull)
    state, description = judged(live, sha, f"apply/{STACK}")
    assert state == "success", description
    assert untagged_days(made) == {DAYS + 1}

    opened.append(live.propose("Say something", lambda text: f"# Something.\n{text}", FILE))
    state, description = judged(live, opened[-1].head_sha, "infrastructure")
    assert (state, description.partition(";")[0]) == ("success", f"{STACK}: no changes")


@pytest.mark.infrastructure
def test_main_is_left_as_it_was(live: Platform, made: Emulator, opened: list[PullRequest]) -> None:
    opened.append(live.propose("Keep untagged images as before", kept_days(DAYS), FILE))
    pull = opened[-1]
    assert judged(live, pull.head_sha, "infrastructure")[0] == "success"
    sha = live.merge(pull)
    assert judged(live, sha, f"apply/{STACK}")[0] == "success"
    assert untagged_days(made) == {DAYS}
