"""What an overlay may deploy: only what release published, and past the first environment only what ran before it."""

import json

import pytest

from mlplatform import releases
from mlplatform.releases import Overlay, Release

OLD, NEW, OTHER = (f"sha256:{letter * 64}" for letter in "abc")


def problems(
    wanted: str, current: str = OLD, before: str | None = None, released: str = NEW, deployed: str = ""
) -> list[str]:
    earlier = None if before is None else frozenset({before})
    overlay = Overlay("churn", "staging", frozenset({wanted}), frozenset({current}), earlier)
    found = releases.judge(overlay, released.__eq__, deployed.__eq__)
    assert found.foreign == ()
    return list(found.refused)


def test_s20_a_digest_that_release_published_is_deployed_to_the_first_environment() -> None:
    assert problems(NEW) == []


def test_s20_an_unknown_digest_is_refused() -> None:
    [problem] = problems(OTHER)
    assert problem == (
        "apps/churn/overlays/staging: sha256:cccccccccccc is not an image that release has published; another's is "
        "named with its registry"
    )


def test_s20_beyond_the_first_environment_the_one_before_must_run_the_digest() -> None:
    assert problems(NEW, before=NEW) == []
    [problem] = problems(NEW, before=OLD)
    assert "does not run in the environment before staging" in problem


def test_s20_what_main_has_or_had_there_is_not_asked_about() -> None:
    assert problems(OTHER, current=OTHER) == []
    assert problems(OTHER, deployed=OTHER, before=OLD) == []


def test_a2_somebody_elses_image_is_an_owners_wherever_it_may_run() -> None:
    def judge(before: str | None, deployed: str = "") -> releases.Findings:
        earlier = None if before is None else frozenset({before})
        names = {OTHER: "quay.io/brand/cache", NEW: "quay.io/brand/ours"}
        overlay = Overlay("churn", "staging", frozenset({NEW, OTHER}), frozenset({NEW}), earlier, names)
        return releases.judge(overlay, NEW.__eq__, deployed.__eq__)

    assert judge(None) == judge(OTHER) == releases.Findings(foreign=("quay.io/brand/cache@sha256:cccccccccccc",))
    assert len(judge(OLD).refused) == 1
    assert judge(OLD, deployed=OTHER) == releases.Findings()


def test_a2_what_release_published_is_ours_whatever_it_is_called() -> None:
    names = {NEW: "registry.example/churn"}
    overlay = Overlay("churn", "dev", frozenset({NEW}), frozenset(), None, names)
    assert releases.judge(overlay, NEW.__eq__, "".__eq__) == releases.Findings()


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("classifier", False),
        ("brand/cache", False),
        ("quay.io/brand/cache", True),
        ("localhost/cache", True),
        ("registry:5000/cache", True),
        ("quay.io", False),
    ],
)
def test_a_registry_is_recognized_as_docker_does(name: str, registry: bool) -> None:
    assert releases.has_registry(name) is registry


def test_digests_are_found_in_any_file() -> None:
    text = f"images:\n  - digest: {OLD}\n---\nimage: registry/x@{NEW} # {OTHER[:-1]}\n".encode()
    assert releases.digests(text + b"\xff") == {OLD, NEW}


def test_a_release_is_recorded_below_its_app() -> None:
    release = Release("churn", NEW, "0123", OLD, "c0ffee")
    assert release.record == f"releases/churn/{'b' * 64}.json"
    assert json.loads(release.document()) == {
        "app": "churn",
        "digest": NEW,
        "inputs": "0123",
        "model_digest": OLD,
        "commit": "c0ffee",
    }


@pytest.mark.parametrize("digest", ["", "latest", "sha256:abc", f"{NEW}/../x", f"sha512:{'b' * 64}"])
def test_what_is_no_digest_has_no_record(digest: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        releases.record("churn", digest)
