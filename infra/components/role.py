"""An IAM role of the platform: at the stack's path, within the stack's boundary."""

import pulumi
from pulumi_aws import iam

from aws.owner import Owner


def role(
    name: str,
    owner: Owner,
    component: str,
    *,
    trust: pulumi.Input[str],
    description: str,
    opts: pulumi.ResourceOptions,
) -> iam.Role:
    """`trust`: who may assume it, as a policy document."""
    return iam.Role(
        name,
        assume_role_policy=trust,
        description=description,
        path=owner.role_path,
        permissions_boundary=owner.boundary_arn,
        tags=owner.tags(component),
        opts=opts,
    )
