"""The one edit that a deployment makes."""

import pytest

from ci.document import DocumentError
from ci.overlay import digest, path, set_digest

OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
SOURCE = path("classifier", "dev")
OVERLAY = f"""# Written by the release.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../base
images:
  - name: other
    digest: sha256:{"c" * 64}
  - {{name: classifier, digest: "{OLD}"}} # the served model
"""


def test_the_first_deployment_creates_the_overlay() -> None:
    text = set_digest(None, "classifier", NEW, SOURCE)

    assert SOURCE == "apps/classifier/overlays/dev/kustomization.yaml"
    assert digest(None, "classifier", SOURCE) is None
    assert digest(text, "classifier", SOURCE) == NEW
    assert b"../../base" in text


def test_a_deployment_changes_the_digest_and_nothing_else() -> None:
    text = set_digest(OVERLAY.encode(), "classifier", NEW, SOURCE).decode()

    assert text == OVERLAY.replace(OLD, NEW)
    assert digest(text.encode(), "classifier", SOURCE) == NEW


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with-byte-order-mark"])
def test_d1_one_image_among_several_is_changed_even_where_another_is_at_the_same_digest(mark: str) -> None:
    entries = [("classifier-worker", OLD), ("classifier", OLD), ("docker.io/library/redis", OLD)]
    lines = [f"  - {{name: {name}, digest: '{found}'}} # {found} für {name}" for name, found in entries]
    before = "\n".join([f"{mark}# Größe", "resources: [../../base]", "images:", *lines, ""])

    text = set_digest(before.encode(), "classifier", NEW, SOURCE).decode()

    own = lines[1].replace(f"'{OLD}'", f"'{NEW}'")
    assert text == before.replace(lines[1], own)
    assert [digest(text.encode(), name, SOURCE) for name, _ in entries] == [OLD, NEW, OLD]


def test_setting_the_same_digest_changes_nothing() -> None:
    assert set_digest(OVERLAY.encode(), "classifier", OLD, SOURCE) == OVERLAY.encode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kind: Kustomization\n", "has no entry named classifier"),
        ("images: [{name: classifier, newTag: latest}]\n", "classifier has no digest"),
        ("images: [{name: classifier, digest: latest}]\n", "classifier has no digest"),
        ("images: {}\n", "must be a list"),
        ("images: [classifier]\n", "must be a mapping"),
        ("- images\n", "must be a mapping"),
        ("images: [\n", "not readable as YAML"),
    ],
)
def test_an_overlay_that_pins_otherwise_is_refused_with_file_and_fix(text: str, reason: str) -> None:
    with pytest.raises(DocumentError) as caught:
        set_digest(text.encode(), "classifier", NEW, SOURCE)

    assert str(caught.value).startswith(SOURCE)
    assert reason in str(caught.value)


@pytest.mark.parametrize("new", ["latest", "sha256:abc", f"sha256:{'g' * 64}", f"{NEW}\nnewName: evil"])
def test_only_a_digest_is_set(new: str) -> None:
    with pytest.raises(ValueError, match="is not of the form sha256"):
        set_digest(OVERLAY.encode(), "classifier", new, SOURCE)
