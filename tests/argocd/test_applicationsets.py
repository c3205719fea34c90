"""Which Applications the ApplicationSets make, by Argo CD's own controller; and what they may never do."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import applications
from cli.applications import ApplicationSet
from control_plane.argo import APPLICATIONS, CLUSTER_SECRET, IMAGES, REGISTRY, SETS, Argo, render
from mlplatform.pin import Pin
from runner_harness.process import eventually, tool
from settings import ROOT
from settings.local import RUNNER_POOLS

pytestmark = pytest.mark.render

EMPTY = "resources: []\n"
OVERLAYS = {
    "apps/classifier/base": EMPTY,
    "apps/classifier/overlays/dev": EMPTY,
    "apps/classifier/overlays/staging": EMPTY,
    "apps/classifier/overlays/staging/release.yaml": "",  # below
    "apps/classifier/overlays/prod": EMPTY,  # a stage that this cluster does not host
    "apps/classifier/overlays/prod/release.yaml": "",
    "apps/digits/overlays/staging": EMPTY,  # not promoted yet
    "apps/digits/overlays/dev": EMPTY,
    "apps/digits/overlays/dev/nested": EMPTY,
    "apps/runner-controller/overlays/platform": EMPTY,
    "apps/several/overlays/dev": "",  # below
    "apps/vendored/upstream/overlays/dev": EMPTY,  # somebody else's overlay of that name, which an app brings along
}
DIGESTS = [f"sha256:{digit * 64}" for digit in "abcd"]
# What an overlay of several images may say; and what would speak in the cluster's place, or write more than a name.
OVERLAYS["apps/several/overlays/dev"] = yaml.safe_dump(
    {
        "resources": ["../../base"],
        "images": [
            {"name": "several-worker", "digest": DIGESTS[0]},
            {"name": "several", "digest": DIGESTS[1]},
            {"name": "quay.io/brand/cache", "digest": DIGESTS[2]},
            {"name": "proxy", "newName": "registry.elsewhere/proxy", "digest": DIGESTS[3]},
            {"name": "evil=evil.test/evil'\n    project: platform #", "digest": DIGESTS[3]},
            {"digest": DIGESTS[3]},
        ],
        "metadata": {"annotations": {"ml-platform.dev/registry": "evil.test", "ml-platform.dev/repo-url": "evil.test"}},
        "server": "https://evil.test",
        "stage": "prod",
        "file": "release.yaml",
        "revision": "f" * 40,
        "path": {"path": "apps/classifier/overlays/prod"},
    }
)
REVISION = "0123456789abcdef0123456789abcdef01234567"
PIN = Pin(REVISION, {"classifier": DIGESTS[0], "quay.io/brand/cache": DIGESTS[1]})
# Its base names its image by digest, so no overlay lists it; and a commit of digits alone is still a text.
NUMBER = Pin("1" * 40, {"8": DIGESTS[0]})
OVERLAYS["apps/counted/overlays/staging/release.yaml"] = NUMBER.document().decode()
OVERLAYS |= {f"apps/classifier/overlays/{stage}/release.yaml": PIN.document().decode() for stage in ("staging", "prod")}
EXPECTED = {
    "classifier-dev": ("apps", "apps/classifier/overlays/dev", "dev"),
    "classifier-staging": ("apps", "apps/classifier/overlays/staging", "staging"),
    "counted-staging": ("apps", "apps/counted/overlays/staging", "staging"),
    "digits-dev": ("apps", "apps/digits/overlays/dev", "dev"),
    "several-dev": ("apps", "apps/several/overlays/dev", "dev"),
    "runner-controller": ("platform", "apps/runner-controller/overlays/platform", "runner-controller"),
}

Applications = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def generated(argo: Argo) -> Applications:
    argo.commit(OVERLAYS)
    return _wait(argo, set(EXPECTED))


def _wait(argo: Argo, names: set[str]) -> Applications:
    try:
        eventually(lambda: names <= argo.applications().keys(), f"{sorted(names)} exist", 90)
    except AssertionError as error:
        logs = "\n".join(path.read_text()[-3000:] for path in argo.logs.glob("*.log"))
        raise AssertionError(f"{error}\n{argo.conditions('apps')}\n{argo.conditions('platform')}\n{logs}") from error
    return argo.applications()


def test_the_applications_are_these(generated: Applications) -> None:
    found = {
        name: (item["spec"]["project"], item["spec"]["source"]["path"], item["spec"]["destination"]["namespace"])
        for name, item in generated.items()
    }
    assert found == EXPECTED


def test_the_first_stage_follows_main_and_the_next_its_pin(generated: Applications) -> None:
    revisions = {name: item["spec"]["source"]["targetRevision"] for name, item in generated.items()}
    pins = {"classifier-staging": REVISION, "counted-staging": NUMBER.revision}
    assert revisions == {name: pins.get(name, "main") for name in EXPECTED}
    assert generated["counted-staging"]["spec"]["source"]["kustomize"]["images"] == [
        f"8={REGISTRY}/8@{DIGESTS[0]}",
        f"counted={REGISTRY}/counted@*",
    ]
    assert generated["classifier-staging"]["spec"]["source"]["kustomize"]["images"] == [
        f"classifier={REGISTRY}/classifier@{DIGESTS[0]}",
        f"quay.io/brand/cache=quay.io/brand/cache@{DIGESTS[1]}",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "revision: main\n",
        "images: [classifier]\n",
        f"revision: {REVISION}\nimages: {{'x@y=evil.test/x': '{DIGESTS[0]}', 'x': 'latest'}}\nserver: https://evil.test\n",
    ],
)
def test_what_is_no_pin_deploys_nothing_else(argo: Argo, generated: Applications, text: str) -> None:
    """The gate refuses it; here it must not become fields of the Application, nor stop the others."""
    argo.commit(OVERLAYS | {"apps/digits/overlays/staging/release.yaml": text, "apps/later/overlays/dev": EMPTY})
    spec = _wait(argo, {"digits-staging", "later-dev"})["digits-staging"]["spec"]

    def settled() -> bool:
        source = argo.applications()["digits-staging"]["spec"]["source"]
        wanted = REVISION if REVISION in text else "0" * 40
        return bool(source["targetRevision"] == wanted) and source["kustomize"]["images"] == [
            f"digits={REGISTRY}/digits@*"
        ]

    eventually(settled, "the Application is as the file says", 60)
    assert spec["destination"] == {"server": "https://kubernetes.default.svc", "namespace": "staging"}
    assert argo.conditions("apps") == {}


def test_nothing_about_them_is_refused(argo: Argo, generated: Applications) -> None:
    assert generated
    # A set that met the repo server while it was busy tries again after three minutes.
    eventually(lambda: argo.conditions("apps") == argo.conditions("platform") == {}, "no set reports an error", 240)


def test_the_registry_comes_from_the_cluster_and_the_digest_from_the_overlay(generated: Applications) -> None:
    images = generated["classifier-dev"]["spec"]["source"]["kustomize"]["images"]
    assert images == [f"classifier={REGISTRY}/classifier@*"]


def test_the_platforms_own_images_come_from_the_cluster_by_digest(generated: Applications) -> None:
    images = generated["runner-controller"]["spec"]["source"]["kustomize"]["images"]
    assert images == [f"{name}={REGISTRY}/{name}@{digest}" for name, digest in sorted(IMAGES.items())]


def test_an_application_heals_and_prunes_but_its_deletion_keeps_what_it_deployed(generated: Applications) -> None:
    for item in generated.values():
        assert item["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}
        assert "finalizers" not in item["metadata"]


def test_a_change_of_the_base_concerns_the_overlay(generated: Applications) -> None:
    annotation = generated["classifier-dev"]["metadata"]["annotations"]["argocd.argoproj.io/manifest-generate-paths"]
    assert annotation.split(";") == [".", "../../base"]


def test_adding_an_app_is_adding_a_folder_and_losing_all_deletes_nothing(argo: Argo, generated: Applications) -> None:
    argo.commit(OVERLAYS | {"apps/new/overlays/staging/release.yaml": PIN.document().decode()})
    assert _wait(argo, {"new-staging"})["new-staging"]["spec"]["destination"]["namespace"] == "staging"
    before = argo.applications().keys()
    assert generated.keys() < before
    argo.commit({})

    def read_again() -> bool:
        metadata = argo.plane.get(f"{SETS}/apps")["metadata"]
        return "argocd.argoproj.io/application-set-refresh" not in metadata.get("annotations", {})

    eventually(read_again, "the controller has read the empty repository")
    assert argo.applications().keys() == before


def test_a_set_that_failed_generates_again_whenever_it_is_asked_to(argo: Argo, tmp_path: Path) -> None:
    """By itself it would wait three minutes; its failure leaves the request in place, and the next has to count too."""

    def late() -> ApplicationSet:
        return next(one for one in applications.sets(argo.kubectl) if one.name == "late")

    generator = {"repoURL": f"file://{tmp_path}/late", "revision": "main", "directories": [{"path": "none/*"}]}
    template = {"metadata": {"name": "late"}, "spec": {"project": "apps", "destination": {}}}
    asked = {"argocd.argoproj.io/application-set-refresh": "true"}
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "late", "namespace": "argocd", "annotations": asked},
        "spec": {"goTemplate": True, "generators": [{"git": generator}], "template": template},
    }
    argo.plane.kubectl_apply([document])
    failed = eventually(lambda: late() if late().error else None, "it cannot generate", 60)
    assert failed.refreshing
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(tmp_path / "late")]
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(tmp_path / "late")], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "test"], check=True)
    applications.refresh_set(argo.kubectl, "late")
    eventually(lambda: not late().error and not late().refreshing, "it has generated again", 60)


@pytest.mark.parametrize("digest", ["a" * 64, "b" * 64])
def test_kustomize_keeps_the_digest_and_takes_the_registry(tmp_path: Path, digest: str) -> None:
    """Argo CD hands `kustomize.images` to `kustomize edit set image`, in a copy of the overlay."""
    base, overlay = tmp_path / "base", tmp_path / "overlays" / "dev"
    base.mkdir()
    overlay.mkdir(parents=True)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    (base / "pod.yaml").write_text(
        yaml.safe_dump({**pod, "spec": {"containers": [{"name": "c", "image": "classifier"}]}})
    )
    (base / "kustomization.yaml").write_text("resources: [pod.yaml]\n")
    images = [{"name": "classifier", "digest": f"sha256:{digest}"}]
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["../../base"], "images": images}))
    edit = [tool("kustomize"), "edit", "set", "image", f"classifier={REGISTRY}/classifier@*"]
    subprocess.run(edit, cwd=overlay, check=True)
    built = subprocess.run([tool("kustomize"), "build", str(overlay)], check=True, capture_output=True, text=True)
    (container,) = yaml.safe_load(built.stdout)["spec"]["containers"]
    assert container["image"] == f"{REGISTRY}/classifier@sha256:{digest}"


def test_d1_each_image_of_an_app_comes_from_the_clusters_registry(generated: Applications, tmp_path: Path) -> None:
    """Those whose name has no registry; others stay where they are."""
    source = generated["several-dev"]["spec"]["source"]
    assert source["kustomize"] == {"images": [f"{name}={REGISTRY}/{name}@*" for name in ("several", "several-worker")]}
    assert generated["several-dev"]["spec"]["destination"]["server"] == "https://kubernetes.default.svc"
    assert source["repoURL"].startswith("file://")
    base, overlay = tmp_path / "base", tmp_path / "overlays" / "dev"
    base.mkdir()
    overlay.mkdir(parents=True)
    names = ("several", "several-worker", "quay.io/brand/cache", "proxy", "docker.io/library/redis:8")
    containers = [{"name": f"c{number}", "image": name} for number, name in enumerate(names)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}
    (base / "pod.yaml").write_text(yaml.safe_dump(pod))
    (base / "kustomization.yaml").write_text("resources: [pod.yaml]\n")
    asked = yaml.safe_load(OVERLAYS["apps/several/overlays/dev"])
    plain = {"resources": asked["resources"], "images": asked["images"][:4]}
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(plain))
    (built,) = render(overlay, source)
    assert [container["image"] for container in built["spec"]["containers"]] == [
        f"{REGISTRY}/several@{DIGESTS[1]}",
        f"{REGISTRY}/several-worker@{DIGESTS[0]}",
        f"quay.io/brand/cache@{DIGESTS[2]}",
        f"registry.elsewhere/proxy@{DIGESTS[3]}",
        "docker.io/library/redis:8",
    ]


def _pools(source: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """The pools that the runner controller's Application installs, by name."""
    app = ROOT / "apps" / "runner-controller"
    shutil.copytree(app, folder, ignore=shutil.ignore_patterns("src", "__pycache__"))
    objects = render(folder / "overlays" / "platform", source)
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == "PodTemplate"}


def test_d4_runner_pools_are_those_of_the_clusters_settings(
    argo: Argo, generated: Applications, tmp_path: Path
) -> None:
    """A cluster set up before it told its pools keeps the one that it has, as it is."""
    argo.commit(OVERLAYS)  # which an earlier test took away
    before = generated["runner-controller"]
    assert "components" not in before["spec"]["source"]["kustomize"]
    first = _pools(before["spec"]["source"], tmp_path / "first")
    assert list(first) == ["ml-cpu"]
    chosen = (["ml-cpu"], ["ml-cpu", "ml-gpu"], ["ml-gpu", "ml-cpu"], ["ml-gpu"], ["ml-cpu"])
    expected: list[list[str]] = [[], ["ml-gpu"], ["ml-gpu"], ["without-ml-cpu", "ml-gpu"], []]
    assert set(RUNNER_POOLS) == {name for pools in chosen for name in pools}
    for number, (pools, components) in enumerate(zip(chosen, expected, strict=True)):
        argo.plane.patch(
            CLUSTER_SECRET, {"metadata": {"annotations": {"ml-platform.dev/pools": json.dumps(pools)}}}
        ).raise_for_status()
        wanted = [f"../../components/{name}" for name in components]

        def follows(wanted: list[str] = wanted) -> dict[str, Any] | None:
            found: dict[str, Any] = argo.plane.get(f"{APPLICATIONS}/runner-controller")
            return found if found["spec"]["source"]["kustomize"].get("components", []) == wanted else None

        application = eventually(follows, f"the Application has {wanted}", 90)
        assert application["metadata"]["uid"] == before["metadata"]["uid"]
        made = _pools(application["spec"]["source"], tmp_path / str(number))
        assert sorted(made) == sorted(pools)
        assert made.get("ml-cpu", first["ml-cpu"]) == first["ml-cpu"]
        for item in made.values():
            assert item["metadata"]["namespace"] == "runner-controller"
            containers = [*item["template"]["spec"]["initContainers"], *item["template"]["spec"]["containers"]]
            images = {container["image"] for container in containers}
            assert images == {f"{REGISTRY}/runner-job@{IMAGES['runner-job']}"}


@pytest.fixture(scope="module")
def sets(built: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [item for item in built if item["kind"] == "ApplicationSet"]
    assert found
    return found


def test_an_undefined_field_is_an_error(sets: list[dict[str, Any]]) -> None:
    for item in sets:
        assert item["spec"]["goTemplate"] is True
        assert item["spec"]["goTemplateOptions"] == ["missingkey=error"]


def test_neither_a_set_nor_its_generators_delete(sets: list[dict[str, Any]]) -> None:
    for item in sets:
        policy = item["spec"]["syncPolicy"]
        assert policy == {"applicationsSync": "create-update", "preserveResourcesOnDeletion": True}
        assert "finalizers" not in item["metadata"]


def test_the_project_is_literal(sets: list[dict[str, Any]]) -> None:
    assert {item["spec"]["template"]["spec"]["project"] for item in sets} == {"apps", "platform"}


def test_names_are_unique(sets: list[dict[str, Any]]) -> None:
    names = [item["metadata"]["name"] for item in sets]
    assert len(set(names)) == len(names)
