"""What the extension asks moto, in whose process it runs: who calls, and whether what a request names exists."""

from dataclasses import dataclass
from typing import Any

from moto.ec2.models import ec2_backends
from moto.iam.models import AccessKey, get_account_id_from, iam_backends
from moto.kms.models import kms_backends
from moto.sts.models import AssumedRole, sts_backends

from aws import emulation

PARTITION = "aws"


@dataclass(frozen=True)
class Caller:
    """Who signs with an access key: its secret, and the ARN of the user or role behind it."""

    secret_key: str
    principal: str
    session_token: str | None = None


@dataclass(frozen=True)
class Where:
    """The account and region that a request is for, and whose credential it bears."""

    account: str
    region: str
    access_key: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{PARTITION}:{service}:{self.region}:{self.account}:{resource}"


def issue_administrator(number: str, region: str, role: str) -> None:
    """Let moto know the credentials of an account's administrator, as if the role (an ARN) had been assumed by them."""
    key = AccessKey(None, "ASIA", number)  # type: ignore[abstract]
    key.access_key_id, key.secret_access_key = emulation.credentials(number).values()
    assumed = AssumedRole(number, region, key, "tests", role, "", 365 * 86400, "")
    assumed.session_token = None  # type: ignore[assignment] # so that key and secret are enough
    sts_backends[number][PARTITION].assumed_roles.append(assumed)
    iam_backends[number][PARTITION].access_keys[key.access_key_id] = key  # by which moto finds a request's account


def where(access_key: str, region: str) -> Where:
    """The account is the one that issued the access key."""
    return Where(get_account_id_from(access_key), region, access_key)


def caller(access_key: str) -> Caller | None:
    """Whose the access key is; None where nobody issued it."""
    for account in list(sts_backends):
        for assumed in sts_backends[account][PARTITION].assumed_roles:
            if assumed.access_key_id == access_key:
                return Caller(assumed.secret_access_key, assumed.role_arn, assumed.session_token)
    for account in list(iam_backends):
        for key in iam_backends[account][PARTITION].access_keys.values():
            if key.access_key_id == access_key and key.status == "Active":
                return Caller(key.secret_access_key, f"arn:{PARTITION}:iam::{account}:user/{key.user_name}")
    return None


def role_exists(arn: str) -> bool:
    """Whether there is a role with this ARN, in whatever account the ARN names."""
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    return any(role.arn == arn for role in iam_backends[account][PARTITION].roles.values()) if account else False


def principal_exists(arn: str) -> bool:
    """Whether an access entry may be for `arn`. An emulated account's own administrator is outside of IAM."""
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    if not account:
        return False
    if role_exists(arn) or any(item.role_arn == arn for item in sts_backends[account][PARTITION].assumed_roles):
        return True
    return any(user.arn == arn for user in iam_backends[account][PARTITION].users.values())


def key_exists(here: Where, arn: str) -> bool:
    """Whether there is an enabled KMS key with this ARN."""
    keys = kms_backends[here.account][here.region].keys.values()
    return any(key.arn == arn and key.enabled for key in keys)


def network(here: Where) -> Any:
    """moto's EC2 of an account and region."""
    return ec2_backends[here.account][here.region]


def subnets(here: Where, ids: list[str]) -> list[Any]:
    """moto's subnets; those that do not exist are left out."""
    known = {name: subnet for zone in network(here).subnets.values() for name, subnet in zone.items()}
    return [known[name] for name in ids if name in known]
