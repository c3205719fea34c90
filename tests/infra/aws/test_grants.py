"""Jobs and pods get what they need at AWS, below their own prefixes, and nothing that deletes for good."""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from moto import mock_aws

import measured_project
from aws import grants, iam_documents
from aws.owner import Owner
from ci import (
    base_layer,
    candidate,
    checks,
    environment,
    fetch,
    git,
    handover,
    infrastructure,
    judging,
    measurements,
    pipeline,
    plan,
    preview,
    prune,
    release,
    remote,
    report,
    train,
    verify_data,
)
from ci.measurements import Measurements
from ci.store import Store
from ci.tree import CommitTree
from example import ACCOUNT, REGION, shared
from forge import WorkflowRun
from iam_simulator import permits
from measured_place import Place, md5, trained
from mlplatform import releases
from mlplatform.evaluation import result
from mlplatform.evaluation.identity import Model
from mlplatform.objects import verify
from settings import ROOT

OWNER = Owner("shared", ACCOUNT, REGION)
DATA, MODELS = "arn:aws:s3:::data", "arn:aws:s3:::models"
STATE = f"arn:aws:s3:::ml-platform-state-{ACCOUNT}"
SHA, MD5 = "a" * 40, "0" * 32
TRAINING = WorkflowRun(1, "train.yml", "pull_request", SHA, "completed", "success", "")
PREVIEW = replace(TRAINING, id=2, workflow="preview.yml")
RELEASE = [iam_documents.document(*grants.release(DATA, MODELS, OWNER))]
PODS = {
    name: [iam_documents.document(*grants.runner(pods.jobs, DATA, MODELS))] for name, pods in grants.RUNNER_PODS.items()
}
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def policies(job: grants.Job) -> list[str]:
    """Of the one role that a job has."""
    if job == "release":
        return RELEASE
    (name,) = [name for name, pods in grants.RUNNER_PODS.items() if job in pods.jobs]
    return PODS[name]


def image(name: str) -> str:
    return OWNER.arn("ecr", f"repository/{name}")


# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
ACTIONS = {
    "DeleteObject": ("s3:DeleteObject",),
    # What may be missing needs both; the second names no prefix.
    "GetObject": ("s3:GetObject", "s3:ListBucket"),
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
        self.add(event_name.rpartition(".")[2], request.url)

    def add(self, operation: str, address: str) -> None:
        """Note a request, which somebody else may make by an address that was signed for it."""
        url = urlsplit(address)
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


PIPELINE = "stages: {train: {cmd: python train.py, deps: [train.py], outs: [model/model.onnx]}}\n"
MODEL, ROWS = b"main's model", b"main's rows"
OTHER_MODEL, OTHER_ROWS = b"another model", b"other rows"
OVERLAY = "apps/classifier/overlays/dev/kustomization.yaml"
DEPLOYED = f"resources: [../../base]\nimages: [{{name: classifier, digest: 'sha256:{'a' * 64}'}}]\n"


@dataclass(frozen=True)
class Project:
    """A project of this one's shape, its data in the buckets; `head` is a branch's commit that was trained."""

    place: Place
    repository: git.Repository
    main: CommitTree
    head: CommitTree
    models: Store

    @property
    def data(self) -> Store:
        return self.place.store

    def measure(self) -> None:
        """Keep numbers of main's model, as the evaluation writes them."""
        declared = measurements.rules(self.main)
        assert declared
        model = Model(sha256=sha256(MODEL), md5=md5(MODEL), size=len(MODEL))
        belongs_to = Measurements(self.data, self.place.root).identity(model.sha256, declared, sha256(ROWS))
        found = result.Evaluation(
            evaluator=belongs_to.evaluator,
            test_set=belongs_to.test_set,
            rows=40,
            candidate=result.Measured(model=model, metrics={"accuracy": 1.0, "mistakes": 0.0}),
            baseline=None,
        )
        self.data.put(belongs_to.key(measurements.PREFIX), result.write(found))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def project(stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Project:
    data, models = stores
    root = tmp_path / "work" / "source"
    files = {
        **measured_project.files(md5(ROWS)),
        **trained(MODEL),
        "ml/.dvc/config": (ROOT / "ml/.dvc/config").read_text().replace("s3://ml-data/", "s3://data/"),
        "ml/dvc.yaml": PIPELINE,
        "requirements/evaluate.txt": (ROOT / "requirements/evaluate.txt").read_text(),
    }
    write(root, files)
    place = Place(root, "dvc", data, {})
    place.begin()
    made = {**trained(OTHER_MODEL), **measured_project.test_set_pointer(md5(OTHER_ROWS)), OVERLAY: DEPLOYED}
    head = place.commit(made)
    place.put(MODEL)
    for rows in (ROWS, OTHER_ROWS):
        data.put(verify.key("test", md5(rows)), rows)
    place.leave(TRAINING.id, {"ml/dvc.lock": made["ml/dvc.lock"]}, OTHER_MODEL)
    data.put(handover.key(PREVIEW.id), plan.Preview(commit=SHA, main=SHA, stacks={}).model_dump_json().encode())

    variables = {
        "CACHE_DIR": str(tmp_path / "cache"),
        "DATA_BUCKET": "data",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_RUN_ID": "3",
        "MODELS_BUCKET": "models",
        "REGISTRY_HOST": "registry.invalid",
        "REGISTRY_PASSWORD": "password",
        "REGISTRY_USERNAME": "user",
        "RUNNER_WORK": str(tmp_path / "work"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(handover.VARIABLE, raising=False)
    (tmp_path / "cache" / "base").mkdir(parents=True)
    event = {"workflow_run": {"id": TRAINING.id, "head_sha": head}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    monkeypatch.setattr(environment, "ROOT", root)
    monkeypatch.setattr(Store, "connect", lambda name: models if name == "models" else data)
    repository = git.Repository(root)
    main = repository.commit("main")
    assert main
    return Project(place, repository, CommitTree(repository, main), CommitTree(repository, head), models)


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


class Registry:
    """One that has the image."""

    def digest(self, _: str) -> str:
        return f"sha256:{'b' * 64}"

    def labels(self, _: str) -> dict[str, str]:
        return {release.MODEL_LABEL: f"sha256:{sha256(MODEL)}"}


def report_on(project: Project) -> None:
    """Take what was trained, judge it beside main, and look up an image that nobody released, and a preview."""
    data, root, main, head = project.data, project.place.root, project.main, project.head
    line = pipeline.load(main, "ml")
    assert remote.reasons_to_train(head, main, line)
    left = candidate.opened(data, TRAINING.id)
    assert left
    assert candidate.read(left, line).files
    assert remote.take(main, "ml", {"a": md5(OTHER_MODEL)}, left, root.parent / "scratch") == []
    declared = measurements.rules(main)
    assert declared
    job = judging.Judging(project.repository, data, root)
    assert job.judge(main, head, declared).waits
    assert job.judge(main, main, declared).numbers
    nobody: Any = None
    work = report.Job(nobody, project.repository, nobody, data, "", root)
    assert work._deployed(report.Review(nobody, head, main), [OVERLAY]).refused
    assert infrastructure.previewed(data, PREVIEW, SHA)
    assert infrastructure.previewed(data, replace(PREVIEW, id=99), SHA) is None


def evaluate(recorded: Recorded) -> None:
    """Fetch what is measured, and use the addresses that are signed for the results."""
    fetch.main()
    for name in (fetch.TARGET, fetch.LOOKS):
        addresses = re.findall(r'"url": "([^"]+)"', (fetch.folder() / name).read_text())
        assert addresses
        for address in addresses:
            recorded.add("PutObject", address)


def release_main(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Release main's model; the registry has its image, and nobody is told."""
    made_of = release.inputs(project.main, "base")
    assert made_of
    assert remote.missing(project.main, "ml", {"a": MD5})
    project.models.put(release._archive_key(made_of), b"")
    monkeypatch.setattr(release.image, "login", lambda *_: nullcontext(Registry()))
    monkeypatch.setattr(release.Job, "_propose", lambda *_: None)
    place = environment.Place("gitea", "http://forge.invalid", "owner/name")
    origin = git.Remote(str(project.place.root), "")
    assert release.Job(project.repository, origin, place, "", project.place.root, "base").release()
    assert project.models.has(releases.record(release.APP, Registry().digest("")))


def calls_of(job: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Run every part of a job that talks to the object store, by the job's own code."""
    recorded = Recorded()
    root = project.place.root
    if job != "evaluate":
        project.measure()
    for store in (project.data, project.models):
        recorded.watch(store)
    match job:
        case "train":
            assert remote.reasons_to_train(project.head, project.head, pipeline.load(project.head, "ml"))
            train.leave(root, project.main, pipeline.load(project.main, "ml"), "3")
        case "preview":
            monkeypatch.setattr(sys, "argv", ["preview", SHA, SHA])
            preview.main()
        case "report":
            report_on(project)
        case "evaluate":
            evaluate(recorded)
        case "apply":
            assert infrastructure.previewed(project.data, PREVIEW, SHA)
        case "release":
            release_main(project, monkeypatch)
        case "nightly":
            base_layer.main()
            verify_data.main()
        case "ci":
            known = checks.variables({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "DATA_BUCKET": "data"}, root, root)
            assert not {name for name in known if name.startswith("AWS_") or name.endswith("_BUCKET")}
        case "prune":
            prune.main()
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
    job: grants.Job, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [*calls_of(job, project, monkeypatch).calls, *OTHERS.get(job, [])]
    assert calls
    assert [call for call in calls if not permits(policies(job), *call)] == []


@pytest.mark.parametrize("job", grants.USES)
def test_s31_a_job_is_granted_nothing_that_it_does_not_call(
    job: grants.Job, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = set()
    for action, resource, context in [*calls_of(job, project, monkeypatch).calls, *OTHERS.get(job, [])]:
        if resource != "*" and not (action == "s3:ListBucket" and not context):
            where = context.get("s3:prefix") or resource.rpartition(":")[2].partition("/")[2]
            called.add((action, where.partition("/")[0]))
    unused = {(action, use.below) for use in grants.USES[job] for action in use.actions} - called
    # For a look at one object that may be missing, the right to list is one to the bucket as a whole.
    looked_at = {(grants.LIST, use.below) for use in grants.USES[job] if set(grants.LOOK) <= set(use.actions)}
    assert unused == looked_at - (called if job in OTHERS else set())


@pytest.mark.parametrize("workflow", [path.stem for path in WORKFLOWS])
def test_d3_every_workflow_has_its_grants_or_a_reason_to_have_none(workflow: str) -> None:
    assert (workflow in grants.USES) != bool(grants.WITHOUT_USE.get(workflow))


def test_d3_there_are_no_grants_for_what_is_no_workflow() -> None:
    assert {*grants.USES, *grants.WITHOUT_USE} == {path.stem for path in WORKFLOWS}


@pytest.mark.parametrize("workflow", grants.WITHOUT_USE)
def test_d3_what_has_no_grants_asks_for_nothing(
    workflow: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert calls_of(workflow, project, monkeypatch).calls == []


def test_d3_no_workflow_runs_a_script_whose_calls_are_not_looked_at() -> None:
    scripts = {path.stem: set(re.findall(r"scripts/ci/([\w-]+)", "\n".join(steps(path)))) for path in WORKFLOWS}
    assert scripts == {
        **{job: {job} for job in grants.USES},
        "ci": {"checks"},
        "nightly": {"base-layer", "verify-data"},
        "prune": {"prune"},
    }


def steps(workflow: Path) -> Iterator[str]:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


def test_s31_every_job_in_a_pod_has_one_service_account() -> None:
    jobs = [job for pods in grants.RUNNER_PODS.values() for job in pods.jobs]
    assert sorted([*jobs, "release"]) == sorted(grants.USES)
    accounts = [pods.service_account for pods in grants.RUNNER_PODS.values()]
    assert len(set(accounts)) == len(accounts)


@pytest.mark.parametrize(
    "statements",
    [
        grants.all_runners(DATA, MODELS),
        *(grants.runner(pods.jobs, DATA, MODELS) for pods in grants.RUNNER_PODS.values()),
    ],
    ids=["all", *grants.RUNNER_PODS],
)
def test_the_names_of_the_statements_are_letters_and_digits_and_differ(
    statements: list[iam_documents.Statement],
) -> None:
    names = [statement["Sid"] for statement in statements]
    assert len(set(names)) == len(names)
    assert all(name.isalnum() for name in names)


DENIED_TO_RUNNERS = [
    ("s3:PutObject", f"{MODELS}/bentos/x", {}),  # an untrusted job that writes models
    ("s3:PutObject", f"{MODELS}/releases/x", {}),  # or has the gate take an image for released
    ("s3:GetObject", f"{MODELS}/bentos/x", {}),
    ("s3:GetObject", f"{MODELS}/dvc/x", {}),
    ("s3:PutObject", f"{DATA}/test/x", {}),
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
    ("s3:ListBucket", DATA, {"s3:prefix": "test/"}),
    ("s3:ListBucket", MODELS, {"s3:prefix": "bentos/"}),
    ("s3:GetObject", f"{STATE}/.pulumi/stacks/ml-platform/prod.json", {}),
    ("s3:ListBucket", STATE, {}),
    ("ecr:GetAuthorizationToken", "*", {}),
    ("ecr:PutImage", image("classifier"), {}),
    ("secretsmanager:GetSecretValue", "*", {}),
    ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/ml-platform-deploy-prod", {}),
    ("kms:Decrypt", "*", {}),
]
# What only some pods may: what those of branches must not, nor any others without need.
DENIED = {
    "dvc": [
        ("s3:PutObject", f"{DATA}/measurements/x", {}),  # an untrusted job that measures itself
        ("s3:GetObject", f"{DATA}/measurements/x", {}),
        ("s3:GetObject", f"{DATA}/test/x", {}),  # or trains on what models are measured on
        ("s3:PutObject", f"{DATA}/dvc/x", {}),
        ("s3:GetObject", f"{MODELS}/releases/x", {}),
        ("s3:ListBucket", MODELS, {}),
    ],
    "judge": [
        ("s3:PutObject", f"{DATA}/measurements/x", {}),
        ("s3:PutObject", f"{DATA}/runs/x", {}),
    ],
    "evaluate": [
        ("s3:PutObject", f"{DATA}/dvc/x", {}),
        ("s3:PutObject", f"{DATA}/runs/x", {}),
        ("s3:GetObject", f"{MODELS}/releases/x", {}),
        ("s3:ListBucket", MODELS, {}),
    ],
}
DENIED_TO_RELEASE = [
    ("s3:PutObject", f"{DATA}/dvc/x", {}),
    ("s3:PutObject", f"{DATA}/runs/x", {}),
    ("s3:PutObject", f"{DATA}/measurements/x", {}),
    ("s3:PutObject", f"{DATA}/test/x", {}),
    ("s3:GetObject", f"{DATA}/runs/x", {}),
    ("s3:DeleteObject", f"{MODELS}/bentos/x", {}),
    ("s3:DeleteObject", f"{MODELS}/releases/x", {}),
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


@pytest.mark.parametrize("pods", PODS)
def test_s31_jobs_in_runner_pods_may_not(pods: str) -> None:
    assert [call for call in [*DENIED_TO_RUNNERS, *DENIED[pods]] if permits(PODS[pods], *call)] == []


@pytest.mark.parametrize(("action", "resource", "context"), DENIED_TO_RELEASE)
def test_s31_nor_may_the_release(action: str, resource: str, context: dict[str, str]) -> None:
    assert not permits(RELEASE, action, resource, context)


def test_the_prefix_is_where_dvc_keeps_its_data() -> None:
    url = re.search(r"url = s3://[^/]+/(\S+)", (ROOT / "ml" / ".dvc" / "config").read_text())
    assert url
    assert url[1] in {use.below for use in grants.USES["train"]}


def test_and_measurements_lie_where_the_gate_looks_for_them() -> None:
    assert measurements.PREFIX in {use.below for use in grants.USES["evaluate"]}


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
