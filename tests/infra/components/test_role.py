"""Every role is made where its stack may make roles, and within the stack's boundary."""

import pulumi

from aws import iam_documents
from aws.owner import Owner
from components.role import role
from recording import record

OWNER = Owner("dev", "123456789012", "eu-central-1")


def test_a_role_has_the_stacks_path_boundary_and_tags() -> None:
    trust = iam_documents.trust("x.amazonaws.com")
    recorded = record(lambda: role("r", OWNER, "part", trust=trust, description="why", opts=pulumi.ResourceOptions()))
    assert recorded.one("aws:iam/role:Role", "r").inputs == {
        "assumeRolePolicy": trust,
        "description": "why",
        "path": "/ml-platform/dev/",
        "permissionsBoundary": "arn:aws:iam::123456789012:policy/ml-platform-boundary-dev",
        "tags": OWNER.tags("part"),
    }
