"""The physical names that another system needs to know beforehand. All others Pulumi makes up."""

from settings.paths import PROJECT


def cluster(name: str) -> str:
    """The EKS cluster's name, from the stack's."""
    return f"{PROJECT}-{name}"


def registry_host(account: str, region: str) -> str:
    """The host of an account's ECR registry."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com"


def state_bucket(account: str) -> str:
    """The bucket of Pulumi's state. Bucket names are shared by all of AWS, so it carries the account."""
    return f"{PROJECT}-state-{account}"


def state_key_alias() -> str:
    """The alias of the KMS key that encrypts the state and the secrets in it."""
    return f"alias/{PROJECT}-state"


def secrets_provider(stack: str, account: str, region: str) -> str:
    """What `secretsprovider` in `Pulumi.<stack>.yaml` says: the key by its full ARN, so that no other account's serves,
    and the stack as encryption context, so that a role may be limited to the secrets of one stack.

    The form is that of https://gocloud.dev/howto/secrets/#aws.
    """
    return f"awskms:///arn:aws:kms:{region}:{account}:{state_key_alias()}?region={region}&context_stack={stack}"


def preview_role() -> str:
    """The role of pull requests, which changes nothing."""
    return f"{PROJECT}-preview"


def deploy_role(environment: str) -> str:
    """The role that applies one environment."""
    return f"{PROJECT}-deploy-{environment}"


def release_role() -> str:
    """The role that publishes models and their images."""
    return f"{PROJECT}-release"


def boundary(stack: str) -> str:
    """The policy that limits every role that one stack makes, whatever else is attached to it."""
    return f"{account_boundary()}-{stack}"


def account_boundary() -> str:
    """The policy that limits roles made before each stack had a boundary of its own, until the stack is applied."""
    return f"{PROJECT}-boundary"


def role_path(name: str) -> str:
    """The path of the roles that a cluster's stack creates; its deploy role may touch no other."""
    return f"/{PROJECT}/{name}/"


def role_arn(account: str, name: str, path: str = "/") -> str:
    """The ARN of an IAM role."""
    return f"arn:aws:iam::{account}:role{path}{name}"


def policy_arn(account: str, name: str) -> str:
    """The ARN of a managed policy of the account's own."""
    return f"arn:aws:iam::{account}:policy/{name}"
