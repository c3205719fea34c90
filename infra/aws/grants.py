"""What pods and jobs may do at AWS, by purpose: statements of policies, which `PodAccess` and `CiTrust` attach.

`USES` says what the jobs of each workflow ask AWS for, apart from Pulumi (`bootstrap/deploy.py`,
`bootstrap/preview.py`) and from exchanging their identity for a role, which needs no grant. Grants are made from it, so
a job that comes to need more has one line to change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from aws.iam_documents import Statement, allow
from aws.owner import Owner

Job = Literal["train", "preview", "report", "evaluate", "apply", "release", "nightly"]
Place = Literal["data", "models", "images"]

LIST = "s3:ListBucket"
# Looking for what may be missing: to who may not list, S3 says that it is forbidden instead of that it is not there.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
LOOK = (LIST, "s3:GetObject")
GET, PUT = ("s3:GetObject",), ("s3:PutObject",)
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSH = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")


@dataclass(frozen=True)
class Use:
    """Actions on objects below a prefix of a bucket, or on the repository `below` of the registry."""

    place: Place
    below: str
    actions: tuple[str, ...]


# Of the data bucket: `dvc` and `test` are DVC's remotes (`ml/.dvc/config`); training and preview leave what they made
# below `runs`, and the report takes from there what it has hashed; main's own code keeps what it measured in
# `measurements`. Of the models: `releases` has a record for each image, by which the report knows what was released.
USES: Mapping[Job, tuple[Use, ...]] = {
    "train": (Use("data", "dvc", LOOK), Use("data", "runs", PUT)),
    "preview": (Use("data", "runs", PUT),),
    "report": (
        Use("data", "dvc", (*LOOK, *PUT)),
        Use("data", "runs", LOOK),
        Use("data", "measurements", LOOK),
        Use("data", "test", GET),
        Use("models", "releases", LOOK),
    ),
    # Signs the address for its result, which counts as its own request.
    "evaluate": (
        Use("data", "dvc", LOOK),
        Use("data", "runs", LOOK),
        Use("data", "measurements", (*LOOK, *PUT)),
        Use("data", "test", GET),
    ),
    "apply": (Use("data", "runs", LOOK),),
    "release": (
        Use("data", "dvc", LOOK),
        Use("data", "measurements", LOOK),
        Use("data", "test", GET),
        Use("models", "bentos", PUT),
        Use("models", "releases", (*LOOK, *PUT)),
        Use("images", "classifier", (*PULL, *PUSH)),
    ),
    "nightly": (Use("data", "dvc", LOOK),),
}
# The other workflows, and why their jobs ask AWS for nothing.
WITHOUT_USE: Mapping[str, str] = {
    "ci": "the repository's own checks, which know nothing of the platform's data",
    "prune": "removes from the platform's own store only: in a bucket of AWS no job may delete",
}


@dataclass(frozen=True)
class Pods:
    """Runner pods with one service account between them, and whose jobs they are; each may do what any needs."""

    service_account: str
    jobs: tuple[Job, ...]


# By what their roles are called. No job of a branch shares one with those that see the test set, or write what counts.
RUNNER_PODS: Mapping[str, Pods] = {
    "dvc": Pods("runner-job", ("train", "preview", "apply", "nightly")),
    "judge": Pods("runner-judge", ("report",)),
    "evaluate": Pods("runner-evaluate", ("evaluate",)),
}


def runner(jobs: Iterable[Job], data_arn: str, models_arn: str) -> list[Statement]:
    """What these jobs may do in the buckets; those in runner pods see nothing beside them."""
    named = tuple(jobs)
    return [*_bucket("Data", data_arn, _of("data", named)), *_bucket("Models", models_arn, _of("models", named))]


def all_runners(data_arn: str, models_arn: str) -> list[Statement]:
    """What any job in a runner pod may do."""
    return runner((job for pods in RUNNER_PODS.values() for job in pods.jobs), data_arn, models_arn)


def release(data_arn: str, models_arn: str, registry: Owner) -> list[Statement]:
    """Read DVC's data and what was measured, add released models with their records, and push images: what `registry`
    owns, and of that the apps' alone."""
    repositories = _of("images", ["release"])
    return [
        *runner(["release"], data_arn, models_arn),
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
