"""What the pods of a stage's cluster may do at AWS, by purpose: statements of policies, which `PodAccess` attaches."""

from collections.abc import Sequence

from aws.iam_documents import Statement, allow
from aws.owner import Owner

# Where DVC's remote is in the data bucket (`ml/.dvc/config`), and where training leaves its results for the report.
RUNNER_PREFIXES = ("dvc", "runs")
WRITE_OBJECT = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
)


def runner(data_arn: str, prefixes: Sequence[str] = RUNNER_PREFIXES) -> list[Statement]:
    """Read and write below the prefixes of the data bucket, and see nothing beside them. Versions stay."""
    below = {"StringLike": {"s3:prefix": [pattern for prefix in prefixes for pattern in (prefix, f"{prefix}/*")]}}
    return [
        allow("FindBucket", ["s3:GetBucketLocation"], [data_arn]),
        allow("List", ["s3:ListBucket"], [data_arn], condition=below),
        allow("ReadAndWrite", WRITE_OBJECT, [f"{data_arn}/{prefix}/*" for prefix in prefixes]),
    ]


def serving(models_arn: str) -> list[Statement]:
    """Read released models."""
    return [
        allow("FindModels", ["s3:GetBucketLocation", "s3:ListBucket"], [models_arn]),
        allow("ReadModels", ["s3:GetObject"], [f"{models_arn}/*"]),
    ]


def external_secrets(owner: Owner, cluster: str) -> list[Statement]:
    """Read the secrets that are named for the cluster, `<cluster>/...`."""
    actions = ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")
    return [allow("ReadSecrets", actions, [owner.arn("secretsmanager", f"secret:{cluster}/*")])]
