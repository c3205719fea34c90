"""Physical names keep the forms that AWS and Pulumi ask for."""

import re
from urllib.parse import parse_qs, urlsplit

from aws import naming

ACCOUNT, REGION = "123456789012", "eu-central-1"


def test_names() -> None:
    assert naming.cluster("dev") == "ml-platform-dev"
    assert naming.registry_host(ACCOUNT, REGION) == "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    assert naming.deploy_role("dev") == "ml-platform-deploy-dev"
    assert naming.role_arn(ACCOUNT, naming.preview_role()) == "arn:aws:iam::123456789012:role/ml-platform-preview"
    assert naming.role_arn(ACCOUNT, "a", naming.role_path("dev")) == "arn:aws:iam::123456789012:role/ml-platform/dev/a"
    assert naming.policy_arn(ACCOUNT, naming.boundary("a")) == "arn:aws:iam::123456789012:policy/ml-platform-boundary-a"


def test_the_state_bucket_is_a_valid_name_of_one_account() -> None:
    name = naming.state_bucket(ACCOUNT)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", name)
    assert ACCOUNT in name


def test_a_name_of_a_long_cluster_fits() -> None:
    """IAM allows 64 characters in a role's name, EKS 100 in a cluster's, and a cluster's own name has 63 at most."""
    assert len(naming.deploy_role("x" * 40)) <= 64
    assert len(naming.cluster("x" * 63)) <= 100


def test_the_secrets_provider_is_one_key_and_the_stack_as_its_context() -> None:
    """By the rules of gocloud.dev: an ARN after three slashes, `context_` before each key of the encryption context."""
    parts = urlsplit(naming.secrets_provider("dev", ACCOUNT, REGION))
    assert (parts.scheme, parts.netloc) == ("awskms", "")
    assert parts.path == f"/arn:aws:kms:eu-central-1:123456789012:{naming.state_key_alias()}"
    assert parse_qs(parts.query) == {"region": ["eu-central-1"], "context_stack": ["dev"]}
