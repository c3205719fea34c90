"""The app's manifests as kustomize builds them."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner_controller.pools import from_template
from settings import ROOT

APP = Path(__file__).resolve().parents[3] / "apps" / "runner-controller"
DIGEST = f"sha256:{'a' * 64}"

pytestmark = pytest.mark.render


@pytest.fixture
def build(tool: Callable[[str], Path], tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Builds a folder of the app with the images that an Application sets."""

    def run(folder: str) -> list[dict[str, Any]]:
        overlay = tmp_path / "overlay"
        overlay.mkdir()
        (tmp_path / "app").symlink_to(APP)
        images = [{"name": name, "newName": f"r:5000/{name}", "digest": DIGEST} for name in _OURS]
        text = yaml.safe_dump({"resources": [f"../app/{folder}"], "images": images})
        (overlay / "kustomization.yaml").write_text(text)
        command = [tool("kustomize"), "build", overlay]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return list(yaml.safe_load_all(done.stdout))

    return run


# The Secrets that jobs of main get, by the file that defines them.
GRANTED: dict[str, set[str]] = {
    "apply.yml": {"proposer"},
    "ci.yml": set(),
    "evaluate.yml": set(),
    "nightly.yml": set(),
    "preview.yml": set(),
    "prune.yml": {"janitor"},
    "release.yml": {"proposer", "release"},
    "report.yml": {"bot", "judge"},
    "train.yml": set(),
}
_OURS = ("runner-controller", "runner-job")


def images(value: Any) -> list[str]:
    """Every image in a tree of objects."""
    if isinstance(value, dict):
        own = [value["image"]] if isinstance(value.get("image"), str) else []
        return own + [image for entry in value.values() for image in images(entry)]
    return [image for entry in value for image in images(entry)] if isinstance(value, list) else []


def test_images_are_set_in_the_pools_too(build: Callable[[str], list[dict[str, Any]]]) -> None:
    objects = build("overlays/platform")
    assert sorted(images(objects)) == [f"r:5000/runner-controller@{DIGEST}", *[f"r:5000/runner-job@{DIGEST}"] * 2]
    assert {entry["metadata"].get("namespace") for entry in objects} == {"runner-controller"}


def test_cluster_without_gpus_has_the_cpu_pool_only(build: Callable[[str], list[dict[str, Any]]]) -> None:
    templates = [entry for entry in build("overlays/platform") if entry["kind"] == "PodTemplate"]
    assert [from_template(template).label for template in templates] == ["ml-cpu"]


def test_d17_the_account_that_deletes_is_given_to_one_workflow(
    build: Callable[[str], list[dict[str, Any]]],
) -> None:
    [template] = [entry for entry in build("overlays/platform") if entry["kind"] == "PodTemplate"]
    grants = {grant.secret: grant for grant in from_template(template).trusted_secrets}
    workflows = [path.name for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    assert [name for name in workflows if grants["janitor"].applies_to(name)] == ["prune.yml"]


@pytest.mark.parametrize("pool", sorted(path.name for path in (APP / "pools").iterdir()))
def test_c13_each_workflow_of_main_gets_the_secrets_that_it_needs_and_no_others(
    build: Callable[[str], list[dict[str, Any]]], pool: str
) -> None:
    [template] = build(f"pools/{pool}")
    grants = from_template(template).trusted_secrets
    files = {path.name for path in (ROOT / ".github" / "workflows").iterdir()}
    assert GRANTED.keys() == files, "each workflow is in the table above"
    for workflow in (*files, "another.yml"):
        granted = {grant.secret for grant in grants if grant.applies_to(workflow)}
        assert granted == GRANTED.get(workflow, set()), workflow
    for grant in grants:
        assert grant.workflows, f"{grant.secret}: a grant without `workflows` is every job's"
        assert files.issuperset(grant.workflows), grant.secret


def test_gpu_pool_is_the_cpu_pools_pod_with_a_gpu(build: Callable[[str], list[dict[str, Any]]]) -> None:
    [template] = build("pools/gpu")
    pool = from_template(template)
    assert (pool.label, pool.max_concurrent, pool.start_timeout) == ("ml-gpu", 1, 900)
    assert [grant.secret for grant in pool.trusted_secrets] == ["bot", "proposer", "judge", "janitor", "release"]
    [job] = pool.template["spec"]["containers"]
    limits = {"cpu": "4", "memory": "5Gi", "ephemeral-storage": "12Gi", "nvidia.com/gpu": "1"}
    assert job["resources"]["limits"] == limits
    assert pool.limit("untrusted").jobs == 1
    assert job["command"] == ["run-job"]
    assert pool.template["spec"]["tolerations"][0]["key"] == "nvidia.com/gpu"
