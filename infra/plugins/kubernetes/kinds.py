"""The kinds this plugin has, one row each: where the API serves them, what they hold, what cannot change in place."""

from dataclasses import dataclass, field

WORKLOAD = frozenset({"spec"})


@dataclass(frozen=True)
class Kind:
    """A Kubernetes kind. `fields` are its top-level fields besides apiVersion, kind and metadata."""

    api_version: str
    name: str
    plural: str
    fields: frozenset[str] = WORKLOAD
    namespaced: bool = True
    # Dotted prefixes; the API server refuses a change below them, so the object must be made anew.
    immutable: tuple[str, ...] = field(default=())
    # Dotted; an empty text there is the same as none, and the official provider takes it away.
    dropped: tuple[str, ...] = field(default=())

    @property
    def token(self) -> str:
        group_version = self.api_version if "/" in self.api_version else f"core/{self.api_version}"
        return f"kubernetes:{group_version}:{self.name}"

    @property
    def root(self) -> str:
        """The API path of this kind's group and version."""
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"


def _fields(*names: str) -> frozenset[str]:
    return frozenset(names)


RBAC = "rbac.authorization.k8s.io/v1"
ARGO = "argoproj.io/v1alpha1"
ROLE, BINDING = _fields("rules"), _fields("roleRef", "subjects")
CLAIM_IMMUTABLE = tuple(
    f"spec.{name}" for name in ("accessModes", "selector", "storageClassName", "volumeMode", "volumeName")
)
VOLUME_IMMUTABLE = tuple(f"spec.{name}" for name in ("csi", "hostPath", "local", "nfs", "volumeMode"))
STATEFUL_IMMUTABLE = tuple(
    f"spec.{name}" for name in ("podManagementPolicy", "selector", "serviceName", "volumeClaimTemplates")
)

KINDS = (
    Kind("v1", "ConfigMap", "configmaps", _fields("data", "binaryData", "immutable")),
    Kind("v1", "Namespace", "namespaces", namespaced=False),
    Kind(
        "v1",
        "PersistentVolume",
        "persistentvolumes",
        namespaced=False,
        immutable=VOLUME_IMMUTABLE,
        dropped=("spec.storageClassName",),
    ),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", immutable=CLAIM_IMMUTABLE),
    Kind("v1", "Secret", "secrets", _fields("data", "stringData", "type", "immutable"), immutable=("type",)),
    Kind("v1", "Service", "services", immutable=("spec.clusterIP",)),
    Kind(
        "v1",
        "ServiceAccount",
        "serviceaccounts",
        _fields("automountServiceAccountToken", "imagePullSecrets", "secrets"),
    ),
    Kind("apps/v1", "DaemonSet", "daemonsets", immutable=("spec.selector",)),
    Kind("apps/v1", "Deployment", "deployments", immutable=("spec.selector",)),
    Kind("apps/v1", "StatefulSet", "statefulsets", immutable=STATEFUL_IMMUTABLE),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Kind(RBAC, "ClusterRole", "clusterroles", ROLE | {"aggregationRule"}, namespaced=False),
    Kind(RBAC, "ClusterRoleBinding", "clusterrolebindings", BINDING, namespaced=False, immutable=("roleRef",)),
    Kind(RBAC, "Role", "roles", ROLE),
    Kind(RBAC, "RoleBinding", "rolebindings", BINDING, immutable=("roleRef",)),
    Kind(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        namespaced=False,
        immutable=("spec.group", "spec.scope", "spec.names.plural", "spec.names.kind"),
    ),
    Kind("karpenter.sh/v1", "NodePool", "nodepools", namespaced=False),
    Kind(ARGO, "AppProject", "appprojects"),
    Kind(ARGO, "Application", "applications"),
    Kind(ARGO, "ApplicationSet", "applicationsets"),
)

BY_TOKEN = {kind.token: kind for kind in KINDS}
