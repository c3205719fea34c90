"""What Argo CD reports is read into what people want to know."""

from typing import Any

from cli import applications

RESOURCE: dict[str, Any] = {
    "metadata": {"name": "classifier-dev"},
    "spec": {"destination": {"namespace": "dev"}},
    "status": {
        "sync": {"status": "Synced", "revision": "abc"},
        "health": {"status": "Healthy"},
        "summary": {"images": ["registry/classifier@sha256:1"]},
        "operationState": {"phase": "Succeeded", "message": "successfully synced"},
    },
}


def test_a_settled_application() -> None:
    found = applications.read(RESOURCE)
    assert found.is_settled
    assert found.record() == {
        "name": "classifier-dev",
        "namespace": "dev",
        "sync": "Synced",
        "health": "Healthy",
        "revision": "abc",
        "images": ("registry/classifier@sha256:1",),
        "message": "",
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
