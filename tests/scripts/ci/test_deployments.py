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


def judge(changed: dict[str, str], main: dict[str, str]) -> deployments.Findings:
    before = {**CLUSTERS, **main}
    return deployments.judge(
        list(changed),
        Files({**before, **changed}),
        Files(before),
        lambda app, digest: (app, digest) == ("churn", NEW),
        lambda folder, digest: False,
    )


def problems(changed: dict[str, str], main: dict[str, str]) -> list[str]:
    found = judge(changed, main)
    assert found.asks == ()
    return list(found.refused)


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


DEV = "apps/churn/overlays/dev/kustomization.yaml"
CACHE = "quay.io/brand/cache"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (DEV, f"images: [{{name: {CACHE}, digest: {OLD}}}, {{name: churn, digest: {NEW}}}]"),
        (DEV, f"images:\n- name: cache\n  newName: {CACHE}\n  digest: {OLD}\n"),
        ("apps/churn/overlays/dev/cache.yaml", f"kind: Pod\nspec: {{containers: [{{image: '{CACHE}@{OLD}'}}]}}\n"),
        ("apps/churn/overlays/dev/cache.yaml", f'kind: Pod\nspec:\n  containers:\n    - image: "{CACHE}@{OLD}"\n'),
    ],
)
def test_a2_an_owner_is_asked_for_somebody_elses_image(path: str, text: str) -> None:
    found = judge({path: text}, {DEV: f"images: [{{name: churn, digest: {NEW}}}]\n"} if path != DEV else {})

    assert found.refused == ()
    [ask] = found.asks
    assert str(ask) == (
        f"main cannot judge apps/churn/overlays/dev ({CACHE}@{OLD[:19]}): no release of this platform published it: "
        "an owner's approval is asked"
    )


def test_a2_somebody_elses_image_goes_through_the_environments_too() -> None:
    text = f"images: [{{name: {CACHE}, digest: {OLD}}}]"
    [problem] = problems({STAGING: text}, {})
    assert "does not run in the environment before staging" in problem
    assert len(judge({STAGING: text}, {DEV: text}).asks) == 1
    # Main has it there: nobody is asked again.
    assert judge({STAGING: f"{text}\nreplicas: []"}, {STAGING: text}) == deployments.Findings()


@pytest.mark.parametrize(
    "entry",
    [
        "{name: churn-worker, digest: DIGEST}",
        "{name: brand/cache, digest: DIGEST}",
        f"{{name: {CACHE}, newName: cache, digest: DIGEST}}",
        f"{{name: {CACHE}, digest: DIGEST}}, {{name: churn, digest: DIGEST}}",
        f"{{name: {CACHE}, digest: DIGEST}}] # [churn@DIGEST",
    ],
)
def test_s20_an_image_of_ours_needs_its_release_whatever_else_is_beside_it(entry: str) -> None:
    [problem] = problems({DEV: f"images: [{entry.replace('DIGEST', OLD)}]"}, {})
    assert "is not an image that release has published" in problem


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        (DEV, f"images: [{{name: {CACHE}, newTag: '7'}}]", CACHE),
        (DEV, f"images: [{{name: cache, newName: {CACHE}}}]", CACHE),
        (DEV, "images: [{name: churn, newTag: latest}]", "churn"),
        (DEV, f"images: [{{name: churn, digest: {NEW[:-1]}}}]", "churn"),
        ("apps/churn/overlays/dev/cache.yaml", f"containers:\n- image: {CACHE}:7\n", f"{CACHE}:7"),
        ("apps/churn/overlays/dev/cache.yaml", f"containers:\n- name: x\n  image: '{CACHE}'\n", CACHE),
        ("apps/churn/overlays/dev/cache.yaml", "containers:\n- image: churn:latest\n", "churn:latest"),
        ("apps/churn/overlays/dev/cache.yaml", 'containers: [{name: x, "image": "churn:latest"}]\n', "churn:latest"),
    ],
)
def test_s20_an_image_without_a_digest_is_refused(path: str, text: str, name: str) -> None:
    [problem] = problems({path: text}, {})
    assert problem == f"apps/churn/overlays/dev: {name} has no digest: overlays pin by digest, give it one"
    # What main has so already is not held against a change of something else.
    assert problems({path: f"{text}\n# more\n"}, {path: text}) == []


def test_a_name_of_which_the_overlay_has_the_digest_may_stand_alone() -> None:
    text = f"images: [{{name: {CACHE}, digest: {OLD}}}]"
    patch = f"containers:\n- image: {CACHE}\n- image: {CACHE}:7\n- image: churn\n"
    assert problems({"apps/churn/overlays/dev/patch.yaml": patch}, {DEV: text}) == []


def test_s29_a_large_file_beside_an_overlay_holds_nobody_up() -> None:
    long = "a" * 2**22 + "@" + "\n" * 2**20 + "image" * 2**18 + " " * 2**20
    assert problems({"apps/churn/overlays/dev/patch.yaml": long}, {}) == []


def test_an_overlay_that_cannot_be_read_is_refused_and_can_be_repaired() -> None:
    with pytest.raises(DocumentError, match=DEV):
        judge({DEV: "images: ["}, {})
    assert problems({DEV: f"images: [{{name: churn, digest: {NEW}}}]"}, {DEV: "images: ["}) == []


def test_what_touches_no_overlay_is_not_looked_at() -> None:
    assert problems({"apps/churn/base/deployment.yaml": f"image: x@{OLD}", "README.md": OLD}, {}) == []


def test_a_removed_overlay_deploys_nothing() -> None:
    main = {**CLUSTERS, STAGING: f"digest: {OLD}"}
    head = Files(dict(CLUSTERS))
    found = deployments.judge([STAGING], head, Files(main), lambda *_: False, lambda *_: False)
    assert found == deployments.Findings()


def test_the_environment_before() -> None:
    main = Files(dict(CLUSTERS))
    assert deployments.environment_before(main, "dev") is None
    assert deployments.environment_before(main, "prod") == "staging"
    assert deployments.environment_before(main, "platform") is None


def test_a_broken_cluster_of_main_is_named() -> None:
    with pytest.raises(DocumentError, match=r"clusters/local/cluster.yaml: stages: must be a list"):
        deployments.environment_before(Files({"clusters/local/cluster.yaml": "stages: dev"}), "staging")
