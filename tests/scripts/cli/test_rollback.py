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
    git.write({PATH: release.document().decode()})
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
    # And back again.
    assert rollback.rollback(pins_of(git), "churn", "prod", None).release == third
    assert rollback.rollback(pins_of(git), "churn", "prod", first.revision[:7]).release == first


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
        ("staging", None, "churn is not pinned in staging"),
        ("prod", "0123456789", "--to 0123456789: prod never ran a release of that commit"),
        ("prod", "012345", "--to 012345: too short"),
    ],
)
def test_what_cannot_be_says_why_and_what_to_do(git: Git, environment: str, to: str | None, problem: str) -> None:
    ran(git, A, B)
    with pytest.raises(BadInput) as raised:
        rollback.rollback(pins_of(git), "churn", environment, to)
    assert raised.value.message.startswith(problem)
    assert raised.value.fix


def test_the_first_release_has_none_before_it(git: Git) -> None:
    ran(git, A)
    with pytest.raises(BadInput, match="prod has run no other release of churn"):
        rollback.rollback(pins_of(git), "churn", "prod", None)
