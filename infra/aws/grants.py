"""What pods and jobs may do at AWS, by purpose: statements of policies, which `PodAccess` and `CiTrust` attach.

`USES` says what each job of CI asks AWS for, apart from Pulumi (`bootstrap/deploy.py`, `bootstrap/preview.py`) and from
exchanging its identity for a role, which needs no grant. Grants are made from it, so a job that comes to need more has
one line to change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from aws.iam_documents import Statement, allow
from aws.owner import Owner

Job = Literal["train", "preview", "report", "apply", "release"]
Place = Literal["data", "models", "images"]

LIST = "s3:ListBucket"
# Looking for what may be missing: to who may not list, S3 says that it is forbidden instead of that it is not there.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
LOOK = (LIST, "s3:GetObject")
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSH = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")


@dataclass(frozen=True)
class Use:
    """Actions on objects below a prefix of a bucket, or on the repository `below` of the registry."""

    place: Place
    below: str
    actions: tuple[str, ...]


# `dvc` is where DVC's remote is in the data bucket (`ml/.dvc/config`); training and preview leave what they made below
# `runs`, and the report takes from there what it has hashed.
USES: Mapping[Job, tuple[Use, ...]] = {
    "train": (Use("data", "dvc", LOOK), Use("data", "runs", ("s3:PutObject",))),
    "preview": (Use("data", "runs", ("s3:PutObject",)),),
    "report": (Use("data", "dvc", (*LOOK, "s3:PutObject")), Use("data", "runs", LOOK)),
    "apply": (Use("data", "runs", LOOK),),
    "release": (
        Use("data", "dvc", LOOK),
        Use("models", "bentos", ("s3:PutObject",)),
        Use("images", "classifier", (*PULL, *PUSH)),
    ),
}
# Those whose pods have one service account between them, and so no more than the least trusted of them may have.
IN_RUNNER_PODS: tuple[Job, ...] = ("train", "preview", "report", "apply")


def runner(data_arn: str) -> list[Statement]:
    """What jobs in runner pods may do in the data bucket; they see nothing beside it."""
    return _bucket("Data", data_arn, _of("data", IN_RUNNER_PODS))


def release(data_arn: str, models_arn: str, registry: Owner) -> list[Statement]:
    """Read DVC's data, add released models, and push images: what `registry` owns, and of that the apps' alone."""
    repositories = _of("images", ["release"])
    return [
        *_bucket("Data", data_arn, _of("data", ["release"])),
        *_bucket("Models", models_arn, _of("models", ["release"])),
        allow("LogIn", ["ecr:GetAuthorizationToken"], ["*"]),  # which knows no resources
        *(
            allow("PushImages", sorted(actions), [registry.arn("ecr", f"repository/{name}")])
            for name, actions in repositories.items()
        ),
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


def _of(place: Place, jobs: Iterable[Job]) -> dict[str, set[str]]:
    """What all these jobs do in a place, by where."""
    found: dict[str, set[str]] = {}
    for use in (use for job in jobs for use in USES[job] if use.place == place):
        found.setdefault(use.below, set()).update(use.actions)
    return found


def _bucket(sid: str, arn: str, uses: Mapping[str, set[str]]) -> list[Statement]:
    listed = [below for below, actions in uses.items() if LIST in actions]
    found = []
    if listed:
        # DVC asks for the bucket's head, and both for objects that may be missing: such requests name no prefix.
        prefixes = [pattern for below in listed for pattern in (below, f"{below}/*")]
        found.append(allow(f"List{sid}", [LIST], [arn], condition={"StringLikeIfExists": {"s3:prefix": prefixes}}))
    return found + [
        allow(f"{sid}{below.capitalize()}", sorted(actions - {LIST}), [f"{arn}/{below}/*"])
        for below, actions in uses.items()
    ]
