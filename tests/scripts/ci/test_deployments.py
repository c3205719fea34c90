"""What the gate reads of overlays: which digests are new, and which environment comes before."""

from dataclasses import dataclass

import pytest

from ci import deployments
from ci.document import DocumentError

OLD, NEW = (f"sha256:{letter * 64}" for letter in "ab")
CLUSTERS = {"clusters/local/cluster.yaml": "stages: [dev, staging, prod]\n", "clusters/dev/cluster.yaml": "name: dev\n"}
STAGING = "apps/churn/overlays/staging/kustomization.yaml"


@dataclass(frozen=True)
class Files:
    """A tree of texts by path."""

    content: dict[str, str]

    def read(self, path: str) -> bytes | None:
        text = self.content.get(path)
        return None if text is None else text.encode()

    def files(self, folder: str) -> list[str]:
        return sorted(path for path in self.content if path.startswith(f"{folder}/"))


def problems(changed: dict[str, str], main: dict[str, str]) -> list[str]:
    before = {**CLUSTERS, **main}
    return deployments.problems(
        list(changed),
        Files({**before, **changed}),
        Files(before),
        lambda app, digest: (app, digest) == ("churn", NEW),
        lambda folder, digest: False,
    )


def test_s20_a_released_digest_passes_in_dev_and_waits_for_it_in_staging() -> None:
    dev = "apps/churn/overlays/dev/kustomization.yaml"
    assert problems({dev: f"digest: {NEW}"}, {}) == []
    assert len(problems({STAGING: f"digest: {NEW}"}, {})) == 1
    assert problems({STAGING: f"digest: {NEW}"}, {dev: f"digest: {NEW}"}) == []


@pytest.mark.parametrize(
    "path",
    [
        "apps/churn/overlays/dev/kustomization.yaml",
        "apps/churn/overlays/dev/patch.yaml",
        "apps/other/overlays/dev/kustomization.yaml",
        "apps/churn/overlays/platform/kustomization.yaml",
    ],
)
def test_s20_a_digest_of_nobody_is_refused_wherever_it_stands(path: str) -> None:
    digest = NEW if path.startswith("apps/other") else OLD
    [problem] = problems({path: f"image: x@{digest}"}, {})
    assert "is not an image that release has published" in problem


def test_what_touches_no_overlay_is_not_looked_at() -> None:
    assert problems({"apps/churn/base/deployment.yaml": f"image: x@{OLD}", "README.md": OLD}, {}) == []


def test_a_removed_overlay_deploys_nothing() -> None:
    main = {**CLUSTERS, STAGING: f"digest: {OLD}"}
    head = Files(dict(CLUSTERS))
    assert deployments.problems([STAGING], head, Files(main), lambda *_: False, lambda *_: False) == []


def test_the_environment_before() -> None:
    main = Files(dict(CLUSTERS))
    assert deployments.environment_before(main, "dev") is None
    assert deployments.environment_before(main, "prod") == "staging"
    assert deployments.environment_before(main, "platform") is None


def test_a_broken_cluster_of_main_is_named() -> None:
    with pytest.raises(DocumentError, match=r"clusters/local/cluster.yaml: stages: must be a list"):
        deployments.environment_before(Files({"clusters/local/cluster.yaml": "stages: dev"}), "staging")
