"""What counts as a deployment, which starts none of the repository's own checks."""

import pytest

from mlplatform.checks.overlay import is_of_overlay, only_digests

PATH = "apps/classifier/overlays/dev/kustomization.yaml"
DIGEST, OTHER = (f"sha256:{letter * 64}" for letter in "ab")
TEXT = f"""apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../base
images:
  - name: classifier
    digest: {DIGEST}
"""


def test_b6_another_digest_and_the_first_one_are_deployments() -> None:
    assert only_digests(PATH, TEXT.encode(), TEXT.replace(DIGEST, OTHER).encode())
    assert only_digests(PATH, None, TEXT.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TEXT, TEXT + "patches: []\n"),
        (TEXT, TEXT.replace(DIGEST, "sha256:abc")),
        (TEXT, TEXT.replace("name: classifier", "name: other")),
        (TEXT, None),
        (None, TEXT + "patches: []\n"),
        (None, TEXT.replace("name: classifier", "name: other")),
    ],
)
def test_b6_whatever_else_differs_is_none(before: str | None, after: str | None) -> None:
    assert not only_digests(PATH, before and before.encode(), after and after.encode())


@pytest.mark.parametrize(
    "path", ["apps/classifier/base/kustomization.yaml", "apps/classifier/overlays/dev/patch.yaml", "kustomization.yaml"]
)
def test_b6_a_digest_elsewhere_is_none(path: str) -> None:
    assert not only_digests(path, TEXT.encode(), TEXT.replace(DIGEST, OTHER).encode())


@pytest.mark.parametrize("path", [PATH, "apps/x/overlays/dev/sub/patch.yaml", "apps/x/overlays/dev", "apps/x/overlays"])
def test_s20_all_that_an_overlay_is_made_of_belongs_to_it(path: str) -> None:
    assert is_of_overlay(path)
    assert not is_of_overlay(f"docs/{path}")
    assert not is_of_overlay(path.replace("overlays", "base"))
