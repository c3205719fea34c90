"""The way back: to the release before, or to one that is named; only to what the environment ran."""

from pathlib import Path

import pytest

from ci.git import Repository
from ci.pins import Pins
from ci.tree import CommitTree
from cli import rollback
from cli.failure import BadInput
from commits import Git
from mlplatform import pin
from mlplatform.pin import Pin
from pinned_app import FILES, A, B, C, pins_of

PATH = pin.path("churn", "prod")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    git = Git(tmp_path)
    git.init(FILES)
    return git


def ran(git: Git, *digests: str) -> list[Pin]:
    """Have prod pinned to a release of each digest, one after the other."""
    pins = []
    for digest in digests:
        pins.append(Pin(git("rev-parse", "HEAD"), {"churn": digest}))
        put(git, pins[-1])
    return pins


def put(git: Git, release: Pin) -> None:
    """In staging first, as everywhere."""
    for environment in ("staging", "prod"):
        git.write({pin.path("churn", environment): release.document().decode()})
        git.commit()


def test_back_is_to_what_ran_before_and_the_gate_admits_it(git: Git) -> None:
    first, second, third = ran(git, A, B, C)
    found = rollback.rollback(pins_of(git), "churn", "prod", None)
    assert (found.release, found.current) == (second, third)
    assert f"| `churn` | {C[:19]} | {B[:19]} |" in found.text
    main = CommitTree(Repository(git.root), git("rev-parse", "HEAD"))
    put(git, found.release)
    head = CommitTree(main.repository, git("rev-parse", "HEAD"))
    assert list(Pins(main.repository, main).problems("churn", "prod", "staging", head)) == []
    # Once more is further back, not to what was left.
    assert rollback.rollback(pins_of(git), "churn", "prod", None).release == first
    assert rollback.rollback(pins_of(git), "churn", "prod", third.revision[:7]).release == third


def test_what_an_environment_ran_is_listed(git: Git) -> None:
    first, second, third = ran(git, A, B, C)
    put(git, second)
    table = rollback.listed(pins_of(git), "churn", "prod")
    shown = [list(column.cells) for column in table.columns]
    assert shown[0] == [one.revision[:10] for one in (second, third, first)]
    assert shown[1] == [f"churn@{digest[:19]}" for digest in (B, C, A)]
    assert shown[2] == ["runs now", "", ""]


def test_a_commit_that_a_branch_had_is_none_that_ran(git: Git) -> None:
    first, second = ran(git, A, B)
    git("checkout", "--quiet", "-b", "branch")
    ran(git, C)
    put(git, second)
    git.merge("branch")
    assert rollback.rollback(pins_of(git), "churn", "prod", None).release == first


@pytest.mark.parametrize(
    ("environment", "to", "problem"),
    [
        ("dev", None, "--environment dev: it follows main"),
        ("prod", "now", "--to {now}: prod runs this release now"),
        ("prod", "0123456789", "--to 0123456789: prod never ran a release of that commit"),
        ("prod", "012345", "--to 012345: too short"),
    ],
)
def test_what_cannot_be_says_why_and_what_to_do(git: Git, environment: str, to: str | None, problem: str) -> None:
    now = ran(git, A, B)[1].revision[:10]
    with pytest.raises(BadInput) as raised:
        rollback.rollback(pins_of(git), "churn", environment, now if to == "now" else to)
    assert raised.value.message.startswith(problem.format(now=now))
    assert raised.value.fix


def test_what_is_not_pinned_is_promoted_first(git: Git) -> None:
    with pytest.raises(BadInput, match="churn is not pinned in staging"):
        rollback.rollback(pins_of(git), "churn", "staging", None)
    with pytest.raises(BadInput, match="chrun: main has no apps/chrun/overlays/"):
        rollback.rollback(pins_of(git), "chrun", "staging", None)


def test_the_first_release_has_none_before_it(git: Git) -> None:
    ran(git, A)
    with pytest.raises(BadInput, match="prod ran no other release of churn"):
        rollback.rollback(pins_of(git), "churn", "prod", None)
