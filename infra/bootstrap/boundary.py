"""The most that any role of a stack may do, whatever its own policies say.

Deploy roles may create roles only within this boundary, so none of them can make itself a stronger one: it leaves out
whatever changes who may do what.
"""

from collections.abc import Sequence

from aws import iam_documents, naming
from aws.iam_documents import Statement, allow
from bootstrap.state import State
from settings import PROJECT

# What the roles of clusters, nodes and pods use, among it what AWS's own policies for EKS grant.
SERVICES = (
    "acm",
    "autoscaling",
    "cognito-idp",
    "ec2",
    "ecr",
    "eks",
    "eks-auth",
    "elasticloadbalancing",
    "kms",
    "logs",
    "pricing",
    "s3",
    "secretsmanager",
    "shield",
    "ssm",
    "sts",
    "tag",
    "waf-regional",
    "wafv2",
)
# EKS makes instance profiles of a node's role.
OF_IDENTITIES = ("iam:*InstanceProfile*", "iam:CreateServiceLinkedRole", "iam:Get*", "iam:List*")


def policy(state: State) -> str:
    """The boundary's document. `state` is out of reach for whatever runs in a cluster."""
    through_key = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": naming.state_key_alias()}}
    return iam_documents.document(
        allow("Services", [f"{service}:*" for service in SERVICES], ["*"]),
        allow("Identities", OF_IDENTITIES, ["*"]),
        allow("PassRolesOfStacks", ["iam:PassRole"], [naming.role_arn("*", "*", f"/{PROJECT}/")]),
        _deny("NoState", ["s3:*"], [state.arn, f"{state.arn}/*"]),
        {**_deny("NoStateKey", ["kms:*"], ["*"]), "Condition": through_key},
    )


def _deny(sid: str, actions: Sequence[str], resources: Sequence[str]) -> Statement:
    return {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": list(resources)}
