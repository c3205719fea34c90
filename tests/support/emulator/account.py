"""What the extension asks moto, in whose process it runs: who calls, and whether what a request names exists."""

from dataclasses import dataclass
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.iam.models import AccessKey, get_account_id_from, iam_backends
from moto.kms.models import kms_backends
from moto.sts.models import AssumedRole, sts_backends

PARTITION = "aws"
# The access key that a test may use without asking STS first, its secret, and the role that it acts as.
ACCESS_KEY = "emulator"
SECRET_KEY = "emulator"
ADMINISTRATOR = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/platform-engineer"


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


def issue_administrator(region: str) -> None:
    """Let STS know the administrator's access key, as if the role had been assumed with it."""
    key = AccessKey(None, "ASIA", DEFAULT_ACCOUNT_ID)  # type: ignore[abstract]
    key.access_key_id, key.secret_access_key = ACCESS_KEY, SECRET_KEY
    assumed = AssumedRole(DEFAULT_ACCOUNT_ID, region, key, "tests", ADMINISTRATOR, "", 365 * 86400, "")
    assumed.session_token = None  # type: ignore[assignment] # so that key and secret are enough
    sts_backends[DEFAULT_ACCOUNT_ID][PARTITION].assumed_roles.append(assumed)


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
    """Whether an access entry may be for `arn`. The emulator's own administrator is outside of moto."""
    if arn == ADMINISTRATOR or role_exists(arn):
        return True
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    return bool(account) and any(user.arn == arn for user in iam_backends[account][PARTITION].users.values())


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
