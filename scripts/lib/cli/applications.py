"""What Argo CD says of its Applications."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from cli.kube import Kubectl

NAMESPACE = "argocd"
_TRACKING = "argocd.argoproj.io/tracking-id"
_REFRESH = "argocd.argoproj.io/refresh"
_REFRESH_SET = "argocd.argoproj.io/application-set-refresh"


@dataclass(frozen=True)
class Application:
    """One Application: where it deploys, whether it is in sync and healthy, and what runs.

    While it is `refreshing`, all of this is of an earlier look: Argo CD has been asked to compare again.
    """

    name: str
    namespace: str
    sync: str
    health: str
    revision: str
    images: tuple[str, ...]
    message: str
    refreshing: bool

    @property
    def is_settled(self) -> bool:
        """In sync with main and healthy."""
        return self.sync == "Synced" and self.health == "Healthy"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def read(resource: dict[str, Any], images: tuple[str, ...] = ()) -> Application:
    """An Application from its Kubernetes object, and the images of its workloads."""
    status = resource.get("status", {})
    sync = status.get("sync", {})
    operation = status.get("operationState", {})
    conditions = [one.get("message", "") for one in status.get("conditions", [])]
    failed = operation.get("phase") in {"Failed", "Error"}
    return Application(
        name=resource["metadata"]["name"],
        namespace=resource["spec"]["destination"].get("namespace", ""),
        sync=sync.get("status", "Unknown"),
        health=status.get("health", {}).get("status", "Unknown"),
        revision=sync.get("revision", ""),
        images=images,
        message="; ".join([*conditions, *([operation.get("message", "")] if failed else [])]),
        refreshing=_annotated(resource, _REFRESH),
    )


def all_of(kubectl: Kubectl) -> list[Application]:
    """Every Application, by name. Raises Failure."""
    objects = kubectl.items("applications.argoproj.io,deployments,statefulsets", "-A")
    found = [one for one in objects if one["kind"] == "Application" and one["metadata"]["namespace"] == NAMESPACE]
    images = images_by_application([one for one in objects if one["kind"] != "Application"])
    return sorted((read(one, images.get(one["metadata"]["name"], ())) for one in found), key=lambda one: one.name)


def named(kubectl: Kubectl, name: str) -> Application | None:
    """One Application, or None while it does not exist. Raises Failure."""
    return next((one for one in all_of(kubectl) if one.name == name), None)


def images_by_application(workloads: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The images that each Application's workloads ask for.

    Argo CD's own summary leaves out every kind that the project does not allow, and so all pods.
    """
    found: dict[str, set[str]] = {}
    for one in workloads:
        name, separator, _ = one["metadata"].get("annotations", {}).get(_TRACKING, "").partition(":")
        if separator:
            pod = one["spec"]["template"]["spec"]
            containers = (*pod["containers"], *pod.get("initContainers", ()))
            found.setdefault(name, set()).update(container["image"] for container in containers)
    return {name: tuple(sorted(images)) for name, images in found.items()}


@dataclass(frozen=True)
class ApplicationSet:
    """What generates Applications: why it last could not ("" when it could), and whether it is about to try again."""

    name: str
    error: str
    refreshing: bool


def read_set(resource: dict[str, Any]) -> ApplicationSet:
    """An ApplicationSet from its Kubernetes object."""
    errors = [
        condition.get("message", "")
        for condition in resource.get("status", {}).get("conditions", [])
        if condition["type"] == "ErrorOccurred" and condition["status"] == "True"
    ]
    return ApplicationSet(resource["metadata"]["name"], "; ".join(errors), _annotated(resource, _REFRESH_SET))


def sets(kubectl: Kubectl) -> list[ApplicationSet]:
    """Every ApplicationSet. Raises Failure."""
    return [read_set(one) for one in kubectl.items("applicationsets.argoproj.io", "-n", NAMESPACE)]


def refresh(kubectl: Kubectl, name: str) -> None:
    """Ask Argo CD to compare the Application with git now instead of at its next poll. Raises Failure."""
    _annotate(kubectl, "applications.argoproj.io", name, f"{_REFRESH}=normal")


def refresh_set(kubectl: Kubectl, name: str) -> None:
    """Ask Argo CD to generate the set's Applications now; a failed set waits three minutes. Raises Failure."""
    # After a failure the annotation stays, and only a change of it is a request.
    _annotate(kubectl, "applicationsets.argoproj.io", name, f"{_REFRESH_SET}={time.time_ns()}")


def _annotate(kubectl: Kubectl, kind: str, name: str, annotation: str) -> None:
    kubectl.run("annotate", kind, name, "-n", NAMESPACE, annotation, "--overwrite")


def _annotated(resource: dict[str, Any], annotation: str) -> bool:
    # Argo CD removes the annotation when it has done what it asks for.
    return annotation in resource["metadata"].get("annotations", {})
