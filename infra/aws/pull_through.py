"""The names of images as a cluster pulls them through ECR's caches, and of the repositories that this makes."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi


def reference(image: str, host: pulumi.Input[str], upstreams: Sequence[str]) -> pulumi.Input[str]:
    """`quay.io/a/b:c` as `<host>/quay.io/a/b:c` where quay.io is cached; any other image as it is."""
    return pulumi.Output.concat(host, "/", image) if image.partition("/")[0] in upstreams else image


def document(found: Mapping[str, Any], host: pulumi.Input[str], upstreams: Sequence[str]) -> dict[str, Any]:
    """A Kubernetes object whose pods, if it makes any, pull through the caches."""
    changed = dict(found)
    if "spec" in found:
        changed["spec"] = _spec(found["spec"], host, upstreams)
    return changed


def _spec(spec: Mapping[str, Any], host: pulumi.Input[str], upstreams: Sequence[str]) -> dict[str, Any]:
    """The spec of a pod, or of what makes pods from a template."""
    changed = dict(spec)
    for kind in ("containers", "initContainers"):
        if kind in spec:
            changed[kind] = [{**one, "image": reference(one["image"], host, upstreams)} for one in spec[kind]]
    for template in ("template", "jobTemplate"):
        if isinstance(spec.get(template), dict):
            changed[template] = document(spec[template], host, upstreams)
    return changed


def cached_repositories(account: str, region: str, upstreams: Sequence[str]) -> list[str]:
    """ARN patterns of the repositories that hold cached images."""
    return [f"arn:aws:ecr:{region}:{account}:repository/{upstream}/*" for upstream in upstreams]
