"""Whose a resource on AWS is: the stack that made it, in one account and region."""

from dataclasses import dataclass

from aws import naming, tags


@dataclass(frozen=True)
class Owner:
    """A stack on AWS. `name` is the stack's, which is the cluster's."""

    name: str
    account: str
    region: str

    def tags(self, component: str, shown_as: str = "") -> dict[str, str]:
        """The tags of one resource. `shown_as`: the name that AWS's console lists it by, where it has no other."""
        return {**tags.tags(self.name, component), **({"Name": shown_as} if shown_as else {})}

    @property
    def role_path(self) -> str:
        """Where the stack's roles are; whoever deploys the stack may make no others."""
        return naming.role_path(self.name)

    @property
    def boundary_arn(self) -> str:
        """The policy that limits each of the stack's roles, whatever is attached to it."""
        return naming.policy_arn(self.account, naming.boundary(self.name))

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in the account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"
