"""What Argo CD reports is read into what people want to know."""

from typing import Any

from cli import applications

RESOURCE: dict[str, Any] = {
    "metadata": {"name": "classifier-dev"},
    "spec": {"destination": {"namespace": "dev"}},
    "status": {
        "sync": {"status": "Synced", "revision": "abc"},
        "health": {"status": "Healthy"},
        "operationState": {"phase": "Succeeded", "message": "successfully synced"},
    },
}


def test_a_settled_application() -> None:
    found = applications.read(RESOURCE, ("registry/classifier@sha256:1",))
    assert found.is_settled
    assert found.record() == {
        "name": "classifier-dev",
        "namespace": "dev",
        "sync": "Synced",
        "health": "Healthy",
        "revision": "abc",
        "images": ("registry/classifier@sha256:1",),
        "message": "",
        "refreshing": False,
    }


def test_a_new_one_without_status_is_not_settled() -> None:
    found = applications.read({"metadata": {"name": "a"}, "spec": {"destination": {}}})
    assert not found.is_settled
    assert (found.sync, found.health, found.images) == ("Unknown", "Unknown", ())


def test_what_went_wrong_is_kept() -> None:
    status = {
        **RESOURCE["status"],
        "conditions": [{"message": "path missing"}],
        "operationState": {"phase": "Failed", "message": "one or more objects failed"},
    }
    assert applications.read({**RESOURCE, "status": status}).message == "path missing; one or more objects failed"


def test_images_are_those_that_an_applications_workloads_ask_for() -> None:
    def workload(tracking: str | None, *images: str, first: str = "") -> dict[str, Any]:
        annotations = {"argocd.argoproj.io/tracking-id": tracking} if tracking else {}
        pod: dict[str, Any] = {"containers": [{"image": image} for image in images]}
        if first:
            pod["initContainers"] = [{"image": first}]
        return {"metadata": {"annotations": annotations}, "spec": {"template": {"spec": pod}}}

    found = applications.images_by_application(
        [
            workload("classifier-dev:apps/Deployment:dev/classifier", "c@sha256:1", "sidecar"),
            workload("classifier-dev:apps/Deployment:dev/other", "c@sha256:1"),
            workload("init-dev:apps/Deployment:dev/init", "main", first="before"),
            workload(None, "not of any"),
        ]
    )
    assert found == {"classifier-dev": ("c@sha256:1", "sidecar"), "init-dev": ("before", "main")}


def test_one_that_is_to_look_again_says_so() -> None:
    metadata = {**RESOURCE["metadata"], "annotations": {"argocd.argoproj.io/refresh": "normal"}}
    assert applications.read({**RESOURCE, "metadata": metadata}).refreshing


def test_a_set_that_failed_says_why() -> None:
    def one(error: str, **annotations: str) -> dict[str, Any]:
        conditions = [
            {"type": "ErrorOccurred", "status": error, "message": "no repository server"},
            {"type": "ParametersGenerated", "status": "True"},
        ]
        return {"metadata": {"name": "apps", "annotations": annotations}, "status": {"conditions": conditions}}

    assert applications.read_set(one("False")) == applications.ApplicationSet("apps", "", False)
    assert applications.read_set(one("True")).error == "no repository server"
    assert applications.read_set(one("True", **{"argocd.argoproj.io/application-set-refresh": "1"})).refreshing
    assert not applications.read_set({"metadata": {"name": "new"}}).error
