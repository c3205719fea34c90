"""The tags of every resource on AWS, by which costs are split and what is left of a cluster is found."""

from settings.paths import PROJECT


def tags(environment: str, component: str) -> dict[str, str]:
    """The tags of one resource: `environment` is the cluster's name, `component` what the resource is a part of.

    Letters, digits and hyphens only, which every service accepts.
    """
    return {"Project": PROJECT, "Environment": environment, "Component": component, "ManagedBy": "pulumi"}
