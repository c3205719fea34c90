"""Jobs and pods get what they need at AWS, below their own prefixes, and nothing that deletes for good."""

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from moto import mock_aws

from aws import grants, iam_documents
from aws.owner import Owner
from ci import candidate, handover, infrastructure, pipeline, plan, release, remote
from ci.store import Store
from example import ACCOUNT, REGION, shared
from forge import WorkflowRun
from iam_simulator import permits
from mlplatform.objects import bundle
from settings import ROOT

OWNER = Owner("shared", ACCOUNT, REGION)
DATA, MODELS = "arn:aws:s3:::data", "arn:aws:s3:::models"
STATE = f"arn:aws:s3:::ml-platform-state-{ACCOUNT}"
SHA, MD5 = "a" * 40, "0" * 32
MADE = hashlib.md5(b"made", usedforsecurity=False).hexdigest()
TRAINING = WorkflowRun(1, "train.yml", "pull_request", SHA, "completed", "success", "")
PREVIEW = replace(TRAINING, id=2, workflow="preview.yml")
RUNNER = [iam_documents.document(*grants.runner(DATA))]
RELEASE = [iam_documents.document(*grants.release(DATA, MODELS, OWNER))]


def image(name: str) -> str:
    return OWNER.arn("ecr", f"repository/{name}")


class Files:
    """This checkout's files, as a job sees those of a commit."""

    def read(self, path: str) -> bytes | None:
        return (ROOT / path).read_bytes() if (ROOT / path).is_file() else None

    def files(self, folder: str) -> list[str]:
        return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file())


# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
ACTIONS = {
    "DeleteObject": ("s3:DeleteObject",),
    "GetObject": ("s3:GetObject",),
    # What may be missing needs both; the second names no prefix.
    "HeadObject": ("s3:GetObject", "s3:ListBucket"),
    "ListObjectsV2": ("s3:ListBucket",),
    "PutObject": ("s3:PutObject",),
}


class Recorded:
    """What clients of S3 were asked to do, as the actions that S3 wants allowed."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, str]]] = []

    def watch(self, store: Store) -> Store:
        store.client.meta.events.register("before-send.s3", self._note)
        return store

    def _note(self, request: Any, event_name: str, **_: Any) -> None:
        operation = event_name.rpartition(".")[2]
        url = urlsplit(request.url)
        bucket, _, key = url.path.lstrip("/").partition("/")
        if not url.hostname or url.hostname.partition(".")[0] in ("data", "models"):
            bucket, key = str(url.hostname).partition(".")[0], url.path.lstrip("/")
        prefix = parse_qs(url.query).get("prefix")
        for action in ACTIONS[operation]:
            of_bucket = action == "s3:ListBucket"
            resource = f"arn:aws:s3:::{bucket}" if of_bucket else f"arn:aws:s3:::{bucket}/{key}"
            self.calls.append((action, resource, {"s3:prefix": prefix[0]} if of_bucket and prefix else {}))


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, Store]]:
    """The data and the models bucket."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.delenv("OBJECT_STORE_ENDPOINT", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        found = [Store.connect(name) for name in ("data", "models")]
        for store in found:
            store.client.create_bucket(Bucket=store.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield found[0], found[1]


def calls_of(job: grants.Job, data: Store, models: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorded:
    """Run every part of a job that talks to the object store, by the job's own code."""
    recorded = Recorded()
    line = pipeline.load(Files(), "ml")
    made = tmp_path / "made"
    made.write_bytes(b"made")
    left = io.BytesIO()
    bundle.write(left, {line.lock_path: b"schema: '2.0'\n"}, {MADE: made})
    data.put(handover.key(TRAINING.id), left.getvalue())
    data.put(handover.key(PREVIEW.id), plan.Preview(commit=SHA, main=SHA, stacks={}).model_dump_json().encode())
    for store in (data, models):
        recorded.watch(store)
    monkeypatch.setattr(remote.Store, "connect", lambda _: data)
    match job:
        case "train":
            assert remote.missing(Files(), "ml", {"a": MD5})
            handover.leave(data, "3", made, {})
        case "preview":
            handover.leave(data, "4", made, {})
        case "report":
            assert remote.missing(Files(), "ml", {"a": MD5})
            found = candidate.opened(data, TRAINING.id)
            assert found
            assert candidate.read(found, line).files
            assert remote.take(Files(), "ml", {"a": MADE}, found, tmp_path / "scratch") == []
            assert infrastructure.previewed(data, PREVIEW, SHA)
            assert infrastructure.previewed(data, replace(PREVIEW, id=99), SHA) is None
        case "apply":
            assert infrastructure.previewed(data, PREVIEW, SHA)
        case "release":
            assert remote.missing(Files(), "ml", {"a": MD5})
            models.put(release._archive_key(release.Inputs(MD5, "key", "dependencies")), b"")
    return recorded


# What DVC 3.67 asks for when it pulls, with `verify`, taken from an S3 server's log.
DVC = [
    ("s3:ListBucket", DATA, {}),  # the head of the bucket, and of what may be missing
    ("s3:ListBucket", DATA, {"s3:prefix": "dvc/files/"}),
    ("s3:ListBucket", DATA, {"s3:prefix": "dvc/files/md5/00/0"}),
    ("s3:GetObject", f"{DATA}/dvc/files/md5/00/{MD5}.dir", {}),
]
# As crane pushes: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
CRANE = [
    ("ecr:GetAuthorizationToken", "*", {}),
    *(
        (f"ecr:{action}", image("classifier"), {})
        for action in (
            "BatchCheckLayerAvailability",
            "BatchGetImage",
            "CompleteLayerUpload",
            "GetDownloadUrlForLayer",
            "InitiateLayerUpload",
            "PutImage",
            "UploadLayerPart",
        )
    ),
]
OTHERS = {"train": DVC, "release": [*DVC, *CRANE]}


@pytest.mark.parametrize("job", grants.USES)
def test_d3_s31_every_call_of_a_job_fits_its_grants(
    job: grants.Job, stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policies = RUNNER if job in grants.IN_RUNNER_PODS else RELEASE
    calls = [*calls_of(job, *stores, monkeypatch, tmp_path).calls, *OTHERS.get(job, [])]
    assert calls
    assert [call for call in calls if not permits(policies, *call)] == []


@pytest.mark.parametrize("job", grants.USES)
def test_s31_a_job_is_granted_nothing_that_it_does_not_call(
    job: grants.Job, stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called = set()
    for action, resource, context in [*calls_of(job, *stores, monkeypatch, tmp_path).calls, *OTHERS.get(job, [])]:
        if resource != "*" and not (action == "s3:ListBucket" and not context):
            where = context.get("s3:prefix") or resource.rpartition(":")[2].partition("/")[2]
            called.add((action, where.partition("/")[0]))
    assert {(action, use.below) for use in grants.USES[job] for action in use.actions} - called == LOOKED_AT[job]


# A HEAD alone, whose right to list is one to the bucket as a whole.
LOOKED_AT: dict[str, set[tuple[str, str]]] = {
    "train": set(),
    "preview": set(),
    "report": {("s3:ListBucket", "dvc"), ("s3:ListBucket", "runs")},
    "apply": {("s3:ListBucket", "runs")},
    "release": set(),
}

DENIED_TO_RUNNERS = [
    ("s3:PutObject", f"{MODELS}/bentos/x", {}),  # an untrusted job that writes models
    ("s3:GetObject", f"{MODELS}/dvc/x", {}),
    ("s3:PutObject", f"{DATA}/other/x", {}),
    ("s3:PutObject", f"{DATA}/dvc-other/x", {}),
    ("s3:GetObject", f"{DATA}/other/x", {}),
    ("s3:DeleteObject", f"{DATA}/dvc/files/md5/00/{MD5}", {}),
    ("s3:DeleteObject", f"{DATA}/runs/1", {}),
    ("s3:DeleteObjectVersion", f"{DATA}/dvc/x", {}),
    ("s3:DeleteObjectVersion", f"{DATA}/runs/x", {}),
    ("s3:GetObjectVersion", f"{DATA}/dvc/x", {}),
    ("s3:DeleteBucket", DATA, {}),
    ("s3:PutBucketPolicy", DATA, {}),
    ("s3:PutBucketVersioning", DATA, {}),
    ("s3:PutLifecycleConfiguration", DATA, {}),
    ("s3:ListBucketVersions", DATA, {}),
    ("s3:ListBucket", DATA, {"s3:prefix": ""}),
    ("s3:ListBucket", DATA, {"s3:prefix": "other/"}),
    ("s3:ListBucket", MODELS, {}),
    ("s3:GetObject", f"{STATE}/.pulumi/stacks/ml-platform/prod.json", {}),
    ("s3:ListBucket", STATE, {}),
    ("ecr:GetAuthorizationToken", "*", {}),
    ("ecr:PutImage", image("classifier"), {}),
    ("secretsmanager:GetSecretValue", "*", {}),
    ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/ml-platform-deploy-prod", {}),
    ("kms:Decrypt", "*", {}),
]
DENIED_TO_RELEASE = [
    ("s3:PutObject", f"{DATA}/dvc/x", {}),
    ("s3:PutObject", f"{DATA}/runs/x", {}),
    ("s3:GetObject", f"{DATA}/runs/x", {}),
    ("s3:DeleteObject", f"{MODELS}/bentos/x", {}),
    ("s3:DeleteObjectVersion", f"{MODELS}/bentos/x", {}),
    ("s3:PutBucketPolicy", MODELS, {}),
    ("s3:GetObject", f"{STATE}/.pulumi/stacks/ml-platform/prod.json", {}),
    ("ecr:PutImage", image("runner-job"), {}),
    ("ecr:PutImage", image("runner-controller"), {}),
    ("ecr:PutImage", image("quay.io/a"), {}),
    ("ecr:BatchDeleteImage", image("classifier"), {}),
    ("ecr:PutImageTagMutability", image("classifier"), {}),
    ("ecr:SetRepositoryPolicy", image("classifier"), {}),
    ("ecr:CreateRepository", image("other"), {}),
]


@pytest.mark.parametrize(("action", "resource", "context"), DENIED_TO_RUNNERS)
def test_s31_jobs_in_runner_pods_may_not(action: str, resource: str, context: dict[str, str]) -> None:
    assert not permits(RUNNER, action, resource, context)


@pytest.mark.parametrize(("action", "resource", "context"), DENIED_TO_RELEASE)
def test_s31_nor_may_the_release(action: str, resource: str, context: dict[str, str]) -> None:
    assert not permits(RELEASE, action, resource, context)


def test_the_prefix_is_where_dvc_keeps_its_data() -> None:
    url = re.search(r"url = s3://[^/]+/(\S+)", (ROOT / "ml" / ".dvc" / "config").read_text())
    assert url
    assert url[1] in {use.below for use in grants.USES["train"]}


def test_the_images_are_those_that_the_release_pushes_and_there_is_a_repository_for_each() -> None:
    pushed = {use.below for use in grants.USES["release"] if use.place == "images"}
    assert pushed == {release.APP}
    assert pushed <= set(shared().repositories)


def test_serving_reads_models_and_writes_nothing() -> None:
    statements = grants.serving(MODELS)
    actions = {action for item in statements for action in item["Action"]}
    assert actions == {"s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"}
    assert permits([iam_documents.document(*statements)], "s3:GetObject", f"{MODELS}/digits/1.bento", {})
    assert not permits([iam_documents.document(*statements)], "s3:GetObject", f"{DATA}/x", {})


def test_external_secrets_reads_the_clusters_own() -> None:
    policy = [iam_documents.document(*grants.external_secrets(Owner("dev", ACCOUNT, REGION), "ml-platform-dev"))]
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret"
    assert permits(policy, "secretsmanager:GetSecretValue", f"{secret}:ml-platform-dev/db-AbCdEf", {})
    assert not permits(policy, "secretsmanager:GetSecretValue", f"{secret}:ml-platform-prod/db-AbCdEf", {})
    assert not permits(policy, "secretsmanager:PutSecretValue", f"{secret}:ml-platform-dev/db-AbCdEf", {})
