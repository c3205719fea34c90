"""One Kubernetes object as one Pulumi resource, from its document."""

from collections.abc import Mapping
from typing import Any

import pulumi

# The typed classes of pulumi_kubernetes are the same resources, but importing them takes longer than a whole preview
# should; and documents from `kustomize build` have no typed form.
SECRET_FIELDS = ["data", "stringData"]


def resource_type(document: Mapping[str, Any]) -> str:
    """The type token of a document: `kubernetes:apps/v1:Deployment`, `kubernetes:core/v1:Secret`."""
    api_version = document["apiVersion"]
    return f"kubernetes:{api_version if '/' in api_version else f'core/{api_version}'}:{document['kind']}"


class Manifest(pulumi.CustomResource):
    """A Kubernetes object of any kind. Values in `document` may be outputs."""

    def __init__(self, name: str, document: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        if document["kind"] == "Secret":
            secret = pulumi.ResourceOptions(additional_secret_outputs=SECRET_FIELDS)
            opts = pulumi.ResourceOptions.merge(opts, secret)
        super().__init__(resource_type(document), name, dict(document), opts)
