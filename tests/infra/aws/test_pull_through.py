"""Images come through the caches wherever a pod is described, and nothing else changes."""

from typing import Any

import pytest

from aws import pull_through
from components.manifest import Manifest
from recording import record

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
UPSTREAMS = ["quay.io", "public.ecr.aws"]
POD = {
    "initContainers": [{"name": "a", "image": "public.ecr.aws/docker/library/redis:8"}],
    "containers": [{"name": "b", "image": "quay.io/argoproj/argocd:v3"}, {"name": "c", "image": "classifier"}],
    "serviceAccountName": "argocd",
}
PULLED = {
    "initContainers": [{"name": "a", "image": f"{HOST}/public.ecr.aws/docker/library/redis:8"}],
    "containers": [{"name": "b", "image": f"{HOST}/quay.io/argoproj/argocd:v3"}, {"name": "c", "image": "classifier"}],
    "serviceAccountName": "argocd",
}


def _applied(kind: str, spec: Any) -> Any:
    found = {"apiVersion": "x/v1", "kind": kind, "metadata": {"name": "n"}, "spec": spec}
    recorded = record(lambda: Manifest("n", pull_through.document(found, HOST, UPSTREAMS)))
    return recorded.one(f"kubernetes:x/v1:{kind}", "n").inputs["spec"]


@pytest.mark.parametrize("image", ["ghcr.io/dexidp/dex:v2", "classifier", "quay.io.evil/x", "library/quay.io"])
def test_other_images_keep_their_names(image: str) -> None:
    assert pull_through.reference(image, HOST, UPSTREAMS) == image


def test_pods_pull_through_the_caches() -> None:
    assert _applied("Pod", POD) == PULLED


def test_so_do_those_that_others_make() -> None:
    assert _applied("Deployment", {"replicas": 1, "template": {"metadata": {}, "spec": POD}}) == {
        "replicas": 1,
        "template": {"metadata": {}, "spec": PULLED},
    }
    job = {"jobTemplate": {"spec": {"template": {"spec": POD}}}, "schedule": "@daily"}
    assert _applied("CronJob", job) == {
        "jobTemplate": {"spec": {"template": {"spec": PULLED}}},
        "schedule": "@daily",
    }


def test_what_makes_no_pods_stays_as_it_is() -> None:
    spec = {"names": {"plural": "things"}, "template": "text"}
    assert _applied("CustomResourceDefinition", spec) == spec


def test_the_document_itself_is_left_alone() -> None:
    found = {"spec": {"containers": [{"image": "quay.io/a"}]}}
    pull_through.document(found, HOST, UPSTREAMS)
    assert found == {"spec": {"containers": [{"image": "quay.io/a"}]}}


def test_cached_repositories_are_those_below_an_upstreams_name() -> None:
    assert pull_through.cached_repositories("123456789012", "eu-central-1", ["quay.io"]) == [
        "arn:aws:ecr:eu-central-1:123456789012:repository/quay.io/*"
    ]
