"""What an environment may be pinned to: a release that the environment before runs, or one that it ran itself."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ci.document import DocumentError
from ci.git import Repository
from ci.pins import Pins
from ci.tree import CommitTree
from commits import Git
from mlplatform import pin
from mlplatform.pin import Pin
from pinned_app import BASE, DEV, FILES, PROD, STAGING, A, B, C, overlay

BEFORE = {"dev": None, "staging": "dev", "prod": "staging"}


@pytest.fixture
def git(tmp_path: Path) -> Git:
    git = Git(tmp_path)
    git.init(FILES)
    return git


def problems(git: Git, environment: str, content: str | bytes | None) -> list[str]:
    """What is said of a branch of main that gives an environment this file."""
    main = git("rev-parse", "main")
    path = git.root / pin.path("churn", environment)
    git("checkout", "--quiet", "--detach", "main")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    head = git.commit()
    git("checkout", "--quiet", "main")
    repository = Repository(git.root)
    pins = Pins(repository, CommitTree(repository, main))
    return list(pins.problems("churn", environment, BEFORE[environment], CommitTree(repository, head)))


def pinned(revision: str, digest: str = A) -> bytes:
    return Pin(revision, {"churn": digest}).document()


def change(git: Git, files: Mapping[str, str]) -> str:
    git.write(files)
    return git.commit()


def promote(git: Git, environment: str, content: bytes) -> str:
    return change(git, {pin.path("churn", environment): content.decode()})


def test_what_the_environment_before_runs_may_come_and_nothing_else(git: Git) -> None:
    first = git("rev-parse", "HEAD")
    assert problems(git, "staging", pinned(first)) == []
    [problem] = problems(git, "staging", pinned(first, B))
    assert problem.startswith("apps/churn/overlays/staging/release.yaml: dev does not run this release")
    assert "staging does not run this release" in problems(git, "prod", pinned(first))[0]
    promote(git, "staging", pinned(first))
    assert problems(git, "prod", pinned(first)) == []


def test_a_base_that_only_main_has_so_far_is_another_release(git: Git) -> None:
    """So what environments share reaches each of them by its promotion, as an image does."""
    first = git("rev-parse", "HEAD")
    promote(git, "staging", pinned(first))
    second = change(git, {BASE: "resources: []\nnamePrefix: x-\n"})
    assert problems(git, "staging", pinned(second)) == []
    assert "staging does not run this release" in problems(git, "prod", pinned(second))[0]
    assert problems(git, "prod", pinned(first)) == []
    promote(git, "staging", pinned(second))
    assert problems(git, "prod", pinned(second)) == []


def test_an_overlay_that_main_has_changed_since_does_not_come_back_with_an_older_commit(git: Git) -> None:
    """It may have been withdrawn, and the environment never ran it."""
    old = change(git, {STAGING: "resources: [../../base]\nreplicas: [{name: churn, count: 9}]\n"})
    new = change(git, {STAGING: FILES[STAGING]})
    [problem] = problems(git, "staging", pinned(old))
    assert f"{old[:10]} has another apps/churn/overlays/staging than main" in problem
    assert problems(git, "staging", pinned(new)) == []
    promote(git, "staging", pinned(old))
    change(git, {pin.path("churn", "staging"): pinned(new).decode()})
    assert problems(git, "staging", pinned(old)) == []


def test_whatever_folder_a_base_takes_is_part_of_the_release(git: Git) -> None:
    base = {BASE: "resources: [../common, ../../common]\n"}
    common = {"apps/churn/common/kustomization.yaml": "resources: []\n", "apps/common/kustomization.yml": "{}\n"}
    first = change(git, base | common)
    promote(git, "staging", pinned(first))
    for path in (*common, "apps/common/x.yaml"):
        later = change(git, {path: "namePrefix: x-\n"})
        assert "staging does not run this release" in problems(git, "prod", pinned(later))[0]
    assert problems(git, "prod", pinned(first)) == []


def test_a_base_that_is_not_there_is_named(git: Git) -> None:
    git("rm", "--quiet", "-r", "apps/churn/base")
    change(git, {"apps/churn/ba se/kustomization.yaml": "{}\n"})
    [problem] = problems(git, "staging", pinned(git("rev-parse", "HEAD")))
    assert problem.endswith("apps/churn/base/kustomization.yaml: is missing")


def test_a_commit_whose_checkout_is_not_what_it_holds_is_not_pinned(git: Git) -> None:
    """Such a one may have come to main before there was a rule against it."""
    early = change(git, {"apps/churn/.gitattributes": "*.yaml ident\n"})
    git("rm", "--quiet", "apps/churn/.gitattributes")
    change(git, {"README.md": "x"})
    [problem] = problems(git, "staging", pinned(early))
    assert f"at {early[:10]}, apps/churn/.gitattributes: ident" in problem


def test_an_image_that_only_the_later_overlay_lists_has_no_registry_there(git: Git) -> None:
    at = change(git, {STAGING: f"resources: [../../base]\nimages: [{{name: worker, digest: '{B}'}}]\n"})
    [problem] = problems(git, "staging", pinned(at))
    assert "names the image worker, and dev has none of this name: list it there too" in problem


def test_what_an_environment_got_past_the_gate_does_not_come_back_by_it(git: Git) -> None:
    first = git("rev-parse", "HEAD")
    promote(git, "staging", pinned(first, C))
    promote(git, "staging", pinned(first))
    [problem] = problems(git, "staging", pinned(first, C))
    assert f"churn@{C[:19]} never ran in dev" in problem


def test_an_environment_runs_what_its_pin_names_and_its_overlay_had_then(git: Git) -> None:
    beside = f"patches: [{{patch: '[{{op: add, path: /x, value: {{image: \"x@{C}\"}}}}]'}}]\n"
    first = change(git, {STAGING: FILES[STAGING] + beside})
    promote(git, "staging", pinned(first))
    change(git, {STAGING: FILES[STAGING]})
    repository = Repository(git.root)
    pins = Pins(repository, CommitTree(repository, git("rev-parse", "HEAD")))
    assert pins.digests("churn", "staging") == {A, C}
    assert pins.digests("churn", "dev") == {A}
    assert pins.digests("churn", "prod") == frozenset()


def test_what_dev_no_longer_runs_does_not_come_to_staging(git: Git) -> None:
    first = git("rev-parse", "HEAD")
    change(git, {DEV: overlay(B)})
    assert "dev does not run this release" in problems(git, "staging", pinned(first))[0]


def test_a_later_commit_of_main_is_the_same_release_where_the_app_is_the_same(git: Git) -> None:
    promote(git, "staging", pinned(git("rev-parse", "HEAD")))
    later = change(git, {PROD: "resources: [../../base]\nreplicas: [{name: churn, count: 3}]\n"})
    assert problems(git, "prod", pinned(later)) == []


def test_an_environment_goes_back_to_what_it_ran_whatever_others_run(git: Git) -> None:
    first = git("rev-parse", "HEAD")
    promote(git, "staging", pinned(first))
    second = change(git, {DEV: overlay(B)})
    promote(git, "staging", pinned(second, B))
    assert problems(git, "staging", pinned(first)) == []
    [problem] = problems(git, "staging", pinned(second, A))
    assert "dev does not run this release" in problem


def test_a_commit_that_was_only_a_branchs_is_refused(git: Git) -> None:
    git("checkout", "--quiet", "-b", "branch")
    inner = change(git, {BASE: "resources: []\nnamePrefix: evil-\n"})
    change(git, {BASE: FILES[BASE], "README.md": "x"})
    git.merge("branch")
    assert "is no commit of main" in problems(git, "staging", pinned(inner))[0]
    assert "is no commit of main" in problems(git, "staging", pinned("0" * 40))[0]


def test_a_pin_of_a_merged_branch_was_never_the_environments(git: Git) -> None:
    first = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "branch")
    promote(git, "staging", pinned(first, B))
    promote(git, "staging", pinned(first))
    git.merge("branch")
    assert "dev does not run this release" in problems(git, "staging", pinned(first, B))[0]


def test_a_commit_without_the_environments_overlay_deploys_nothing_there(git: Git) -> None:
    git("rm", "--quiet", STAGING)
    without = git.commit()
    change(git, {STAGING: FILES[STAGING]})
    [problem] = problems(git, "staging", pinned(without))
    assert "has no apps/churn/overlays/staging/kustomization.yaml" in problem


def test_an_overlay_of_which_nobody_could_tell_what_it_deploys_is_not_pinned(git: Git) -> None:
    """Such a one may have come to main before there was a rule against it."""
    early = change(git, {STAGING: "resources: [../../base]\ncomponents: [../../x]\n"})
    change(git, {STAGING: FILES[STAGING]})
    [problem] = problems(git, "staging", pinned(early))
    assert f"at {early[:10]}, {STAGING}: components: not read here" in problem


def test_the_first_environment_is_not_pinned_and_the_others_stay_so(git: Git) -> None:
    first = git("rev-parse", "HEAD")
    assert "dev follows main" in problems(git, "dev", pinned(first))[0]
    promote(git, "staging", pinned(first))
    assert "is gone, and staging runs what it says" in problems(git, "staging", None)[0]


def test_what_is_no_pin_is_refused_and_what_main_has_is_left_alone(git: Git) -> None:
    first = git("rev-parse", "HEAD")
    assert "let scripts/promote write it" in problems(git, "staging", f"revision: {first}\n")[0]
    promote(git, "staging", b"revision: main\n")
    assert problems(git, "staging", "revision: main\n") == []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [("name: x, newName: y.test/x", "x has a newName, which no pin carries"), ("name: Churn", "Churn: no pin carries")],
)
def test_an_image_that_no_pin_carries_is_named(git: Git, entry: str, problem: str) -> None:
    change(git, {DEV: f"resources: [../../base]\nimages: [{{{entry}, digest: '{A}'}}]\n"})
    repository = Repository(git.root)
    with pytest.raises(DocumentError, match=problem):
        Pins(repository, CommitTree(repository, git("rev-parse", "HEAD"))).runs("churn", "dev")
