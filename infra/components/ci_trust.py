"""What lets CI into an account without a key: GitHub as identity provider, and a role for each thing CI does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from aws import trust
from aws.owner import Owner

# Deploying an EKS cluster with its nodes takes longer than the hour that a role is assumed for by default.
SESSION_SECONDS = 2 * 3600


@dataclass(frozen=True)
class CiRole:
    """`trust`: who may assume it (`trust.policy`). `policies`: what it may do, JSON by name."""

    name: str
    description: str
    trust: trust.Document
    policies: Mapping[str, str]


@dataclass(frozen=True)
class Boundary:
    """`name`: that of the policy. `policy`: the most that roles within it may do, as JSON."""

    name: str
    description: str
    policy: str


@dataclass(frozen=True)
class CiTrustArgs:
    """`boundaries`: the policies that limit every role which the `roles` create, by stack; `roles` by what they do."""

    owner: Owner
    boundaries: Mapping[str, Boundary]
    roles: Mapping[str, CiRole]


class CiTrust(pulumi.ComponentResource):
    """The identity provider, the boundaries and the roles. `role_arns` has each role's ARN by what it does."""

    role_arns: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: CiTrustArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:CiTrust", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = args.owner.tags("ci-trust")
        provider = iam.OpenIdConnectProvider(
            f"{name}-github",
            url=f"https://{trust.ISSUER}",
            client_id_lists=[trust.AUDIENCE],
            tags=tags,
            opts=child,
        )
        boundaries = [
            iam.Policy(
                f"{name}-{stack}-boundary" if stack else f"{name}-boundary",
                name=boundary.name,
                description=boundary.description,
                policy=boundary.policy,
                tags=tags,
                opts=child,
            )
            for stack, boundary in args.boundaries.items()
        ]
        # A role is told to keep to a boundary only once it is there.
        within = pulumi.ResourceOptions(parent=self, depends_on=boundaries)
        self.role_arns = {}
        for key, role_args in args.roles.items():
            role = iam.Role(
                f"{name}-{key}",
                name=role_args.name,
                description=role_args.description,
                assume_role_policy=json.dumps(role_args.trust, sort_keys=True),
                max_session_duration=SESSION_SECONDS,
                tags=tags,
                # IAM takes a provider in a trust policy for granted; nobody could assume the role before it is there.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[provider]),
            )
            for policy, document in role_args.policies.items():
                iam.RolePolicy(f"{name}-{key}-{policy}", role=role.name, policy=document, opts=within)
            self.role_arns[key] = role.arn
        self.register_outputs({"role_arns": self.role_arns})
