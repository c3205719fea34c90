"""What Argo CD says of its Applications."""

from dataclasses import asdict, dataclass
from typing import Any

from cli.kube import Kubectl

NAMESPACE = "argocd"
_TRACKING = "argocd.argoproj.io/tracking-id"


@dataclass(frozen=True)
class Application:
    """One Application: where it deploys, whether it is in sync and healthy, and what runs."""

    name: str
    namespace: str
    sync: str
    health: str
    revision: str
    images: tuple[str, ...]
    message: str

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
    )


def all_of(kubectl: Kubectl) -> list[Application]:
    """Every Application, by name. Raises Failure."""
    found = kubectl.items("applications.argoproj.io", "-n", NAMESPACE)
    images = images_by_application(kubectl.items("deployments,statefulsets", "-A"))
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
            containers = one["spec"]["template"]["spec"]["containers"]
            found.setdefault(name, set()).update(container["image"] for container in containers)
    return {name: tuple(sorted(images)) for name, images in found.items()}


def failed_sets(sets: list[dict[str, Any]]) -> dict[str, str]:
    """The ApplicationSets that could not generate their Applications, and why."""
    return {
        one["metadata"]["name"]: condition.get("message", "")
        for one in sets
        for condition in one.get("status", {}).get("conditions", [])
        if condition["type"] == "ErrorOccurred" and condition["status"] == "True"
    }


def retry_sets(kubectl: Kubectl) -> dict[str, str]:
    """Have every failed ApplicationSet try again now; by itself it waits three minutes. Returns why each had failed."""
    failed = failed_sets(kubectl.items("applicationsets.argoproj.io", "-n", NAMESPACE))
    for name in failed:
        annotation = "argocd.argoproj.io/application-set-refresh=true"
        kubectl.run("annotate", "applicationsets.argoproj.io", name, "-n", NAMESPACE, annotation, "--overwrite")
    return failed


def refresh(kubectl: Kubectl, name: str) -> None:
    """Ask Argo CD to compare the Application with git now instead of at its next poll. Raises Failure."""
    kubectl.run(
        "annotate",
        "applications.argoproj.io",
        name,
        "-n",
        NAMESPACE,
        "argocd.argoproj.io/refresh=normal",
        "--overwrite",
    )
