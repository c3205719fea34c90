"""The platform's main job, done as an ordinary member does it: from a changed parameter to a served prediction."""

import json
import os
import secrets
import tempfile
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from cli import applications, environments, git, health, kube, links, people, process, promote
from cli.applications import Application
from cli.failure import Failure
from cli.kube import Kubectl
from cli.people import Cast
from cli.steps import Context, Step
from digits import propose
from forge import Forge, PullRequest
from mlplatform.pulls import verdict
from settings import ROOT, Cluster, Paths

MAIN = "main"
GATE = "quality-gate"
READY = "ready"
BOT = "ml-bot"
PROPOSER = "ml-proposer"
MERGER = "ml-merge"
APP = "classifier"
BRANCH_PREFIX = "demo-"
PARAMS = "ml/params.yaml"
METRICS = "ml/metrics.json"
# What stands between a merge and its deploy pull request.
RELEASING = ("evaluate.yml", "release.yml")

_TRAIN_SECONDS = 1500  # the first job of a pool downloads torch
_GATE_SECONDS = 600
_MERGE_SECONDS = 900  # a branch that is brought up to date is judged anew
_RELEASE_SECONDS = 900
_SYNC_SECONDS = 300


@dataclass
class Loop:
    """One turn of the loop. Each step notes what the next ones and the report need."""

    cluster: Cluster
    paths: Paths
    member: Forge
    change: Callable[[str, list[dict[str, Any]]], str]
    """Main's params.yaml and the contents that were proposed before -> the params.yaml to propose."""
    training: PullRequest | None = None
    deployment: PullRequest | None = None
    promotions: list[dict[str, Any]] = field(default_factory=list)
    merged: str = ""
    deployed: str = ""
    merged_at: float = 0.0
    digest: str = ""
    reference: str = ""
    metrics: dict[str, Any] = field(default_factory=lambda: {"baseline": None, "candidate": None})
    prediction: dict[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """Where a release is deployed first."""
        return self.cluster.stages[0]

    @property
    def overlay(self) -> str:
        """The file that names the deployed digest."""
        return f"apps/{APP}/overlays/{self.stage}/kustomization.yaml"

    def steps(self, to: str = "") -> list[Step]:
        """The loop's steps, one after the other. `to`: the environment to which the release is then promoted."""
        parts: list[tuple[str, str, Callable[[Context], str | None]]] = [
            ("propose", "Open a training pull request", self.propose),
            ("train", "Train in a runner pod", self.train),
            ("report", "Report and judge", self.report),
            ("merge", "Approve the training pull request; the bot merges it", self.merge),
            ("release", "Package the model and propose its deployment", self.release),
            ("deploy", "Approve the deploy pull request; the bot merges it", self.deploy),
            ("sync", f"Deploy to {self.stage} through Argo CD", self.sync),
            ("predict", "Ask the deployed model", self.predict),
        ]
        stages = self.cluster.stages
        promoted = stages[1 : stages.index(to) + 1] if to else ()
        for stage in promoted:
            parts.append(
                (stage, f"Promote to {stage}: approved, merged, deployed, asked", partial(self.promote, stage))
            )
        steps: list[Step] = []
        after: tuple[str, ...] = ()
        for name, title, action in parts:
            fix = "run scripts/demo again: it opens a new pull request"
            if name in promoted:
                fix = f"scripts/promote {APP} --to {name} goes on from here; scripts/demo again begins anew"
            steps.append(Step(name, title, action, after=after, fix=fix))
            after = (name,)
        return steps

    def propose(self, context: Context) -> str:
        """Push a branch with one change of the parameters, as a person, and open its pull request."""
        self._close_leftovers(context)
        with self._clone() as clone:
            text = clone.git("show", f"{MAIN}:{PARAMS}") + "\n"
            versions = clone.git("log", "--format=%H", MAIN, "--", PARAMS).splitlines()
            tried = [yaml.safe_load(clone.git("show", f"{version}:{PARAMS}")) for version in versions]
            proposed = self.change(text, tried)
            branch = f"{BRANCH_PREFIX}{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            title = f"Train with {describe(yaml.safe_load(text), yaml.safe_load(proposed))}"
            commit_file(clone, branch, PARAMS, proposed, title)
            clone.git("push", "--quiet", self.member.clone_url, f"{branch}:refs/heads/{branch}")
        body = "Opened by `scripts/demo`. The quality gate reports below."
        self.training = self.member.create_pull_request(title, body, branch, MAIN)
        context.say(f"{self.training.url}  {title}")
        return f"#{self.training.number}"

    def train(self, context: Context) -> str:
        """Wait until the training job of the pull request's first commit has ended well."""
        pull = self._pull(self.training)
        return self._await_workflow(context, "train.yml", pull.head_sha, _TRAIN_SECONDS)

    def report(self, context: Context) -> str:
        """Wait until the gate has judged the head that carries the training's result."""
        pull = self.training = self._await_gate(context, self._pull(self.training))
        self.metrics = {"baseline": self._metrics(MAIN), "candidate": self._metrics(pull.head_sha)}
        return self._status(pull)

    def merge(self, context: Context) -> str:
        """Have somebody else approve, and the bot merge: by every rule that protects main."""
        self.training, self.merged = self._merge(context, self._pull(self.training))
        return self.merged[:10]

    def release(self, context: Context) -> str:
        """Wait until main's release job has pushed the image and its deploy pull request is open.

        Whichever run does it: what is merged is measured before it is released.
        """
        training = self._pull(self.training)

        def found() -> str | None:
            self.deployment = self._find_deployment(training.number)
            if self.deployment:
                return None
            runs = [run for run in self.member.workflow_runs(self.merged) if run.workflow in RELEASING]
            if going := [run for run in runs if not run.completed]:
                return ", ".join(f"{run.workflow} {run.status}  {run.url}" for run in going)
            # Not one that a newer one replaced while it waited.
            for run in runs:
                if run.conclusion == "failure":
                    raise self._ended_badly(run.workflow, run.id, run.url, run.conclusion)
            return "no deploy pull request yet"

        context.until(
            found,
            seconds=_RELEASE_SECONDS,
            otherwise=lambda: Failure(
                f"no deploy pull request after {_RELEASE_SECONDS // 60} minutes: {context.now}",
                "see the runs of release.yml at the forge",
            ),
        )
        deployment = self._pull(self.deployment)
        self.digest = self._digest_at(deployment.head_sha)
        context.say(f"{deployment.url}  {deployment.title}")
        return self.digest[:19]

    def deploy(self, context: Context) -> str:
        """Approve the platform's deploy pull request, once the gate has passed it."""
        pull = self._await_gate(context, self._pull(self.deployment))
        self.deployment, self.deployed = self._merge(context, pull)
        self.digest = self._digest_at(self.deployed)
        return self.deployed[:10]

    def sync(self, context: Context) -> str:
        """Wait until Argo CD has deployed the digest and a new pod is Ready with it."""
        return self._deployed(context, self.stage)

    def promote(self, stage: str, context: Context) -> str:
        """Have an environment run what the one before it runs: by pull request, approved and merged by the bot."""
        proposal, release = promote.propose(self.cluster, self.paths, APP, stage)
        context.say(f"{proposal.pull.url}  {proposal.pull.title}")
        pull, _ = self._merge(context, self._await_gate(context, proposal.pull))
        said = self._deployed(context, stage, release.revision)
        prediction, _ = self._ask(context, stage)
        self.promotions.append({"environment": stage, "pull_request": pull.number, "prediction": prediction})
        return f"#{pull.number}, {said}"

    def _deployed(self, context: Context, stage: str, revision: str = "") -> str:
        """Wait until an environment runs the digest, at a commit of main where one is given."""
        kubectl = Kubectl(self.paths)
        name = f"{APP}-{stage}"

        def waits_for() -> str | None:
            application = applications.named(kubectl, name)
            if application is None:
                return f"{name} does not exist yet"
            there = application.is_settled and self._runs_digest(application)
            if not there or not application.revision.startswith(revision):
                return f"{name}: {application.sync}, {application.health} {application.message}".strip()
            if not ready_pods(kubectl, stage, self.digest):
                return f"{name}: no Ready pod runs {self.digest[:19]} yet"
            self.reference = next(image for image in application.images if self.digest in image)
            return None

        context.until(
            waits_for,
            seconds=_SYNC_SECONDS,
            every=0.5,
            otherwise=lambda: Failure(
                f"after {_SYNC_SECONDS // 60} minutes: {context.now}",
                f"kubectl -n {stage} get pods,events; scripts/status shows the Application's message",
            ),
        )
        return f"{time.monotonic() - self.merged_at:.1f} s from merge to Ready"

    def predict(self, context: Context) -> str:
        """Send the first held-out image to the deployed model. Raises Failure when the answer is not a prediction."""
        self.prediction, said = self._ask(context, self.stage)
        return said

    def _ask(self, context: Context, stage: str) -> tuple[dict[str, Any], str]:
        """What an environment's model says of a held-out image: for the report, and in a sentence."""
        address = self.address(stage)
        with tempfile.TemporaryDirectory() as folder:
            png, label = self._held_out(context, Path(folder))
        answer = predict(address, png)
        found = {"expected": label, **{key: answer[key] for key in ("label", "probability", "model_digest")}}
        return found, f"expected {label}, got {answer['label']} with probability {answer['probability']:.3f}"

    def address(self, stage: str = "") -> str:
        """Where the deployed model answers, in the first environment where none is named. Raises Failure."""
        stage = stage or self.stage
        kubectl = Kubectl(self.paths)
        application = applications.named(kubectl, f"{APP}-{stage}")
        address = application and links.service_address(kubectl, application, self.cluster.stages)
        if not address:
            raise Failure(f"{APP} has no service in {stage}", "scripts/status shows its Application")
        return address

    def pull_requests(self) -> list[dict[str, Any]]:
        """What the report says of them."""
        opened = [pull.number for pull in (self.training, self.deployment) if pull]
        opened += [one["pull_request"] for one in self.promotions]
        pulls = [self.member.pull_request(number) for number in opened]
        return [{"number": one.number, "title": one.title, "url": one.url, "merged": one.merged} for one in pulls]

    def _clone(self) -> "Clone":
        return Clone(self.member.clone_url, member_login(self.cluster, self.paths))

    def _pull(self, pull: PullRequest | None) -> PullRequest:
        assert pull is not None, "the step before makes it"
        return pull

    def _close_leftovers(self, context: Context) -> None:
        """A demo that was interrupted left its pull request open, and nobody will go on with it."""
        for pull in self.member.pull_requests(MAIN):
            if pull.author == Cast.of(self.cluster.people).proposer and pull.head_branch.startswith(BRANCH_PREFIX):
                self.member.close_pull_request(pull.number)
                context.say(f"closed #{pull.number}, which an interrupted demo left")

    def _await_workflow(self, context: Context, workflow: str, sha: str, seconds: float) -> str:
        """Wait until the newest run of `workflow` for `sha` succeeded; returns its address."""

        def state() -> str | None:
            runs = [run for run in self.member.workflow_runs(sha) if run.workflow == workflow]
            if not runs:
                return f"{workflow} has not started"
            run = runs[0]
            if run.completed and run.conclusion == "success":
                context.write(run.url)
                return None
            if run.completed:
                raise self._ended_badly(workflow, run.id, run.url, run.conclusion)
            jobs = ", ".join(f"{job.name} {job.conclusion or job.status}" for job in self.member.jobs(run.id))
            return f"{jobs or run.status}  {run.url}"

        context.until(
            state,
            seconds=seconds,
            otherwise=lambda: Failure(f"{workflow} did not end within {seconds / 60:.0f} minutes ({context.now})"),
        )
        return ""

    def _ended_badly(self, workflow: str, run: int, url: str, conclusion: str) -> Failure:
        tail: list[str] = []
        for job in self.member.jobs(run):
            if job.conclusion not in ("success", "skipped"):
                tail += job_log(self.cluster, self.paths, job.id)[-process.TAIL_LINES :]
        return Failure(f"{workflow} ended with {conclusion}", f"see {url}", tuple(tail))

    def _await_gate(self, context: Context, pull: PullRequest) -> PullRequest:
        """Wait until the gate has judged the head; returns the pull request as it is then."""
        number = pull.number
        latest = pull

        def state() -> str | None:
            nonlocal latest
            latest = self.member.pull_request(number)
            status = self.member.status(latest.head_sha, GATE, BOT)
            if status is not None and verdict.asks_an_owner(status.state, status.description):
                return None
            if status is None or status.state == "pending":
                return f"{GATE} of {latest.head_sha[:10]}: {status.description if status else 'not set yet'}"
            if status.state != "success":
                raise Failure(f"{GATE} refuses #{number}: {status.description}", f"read the report on {latest.url}")
            return None

        context.until(
            state,
            seconds=_GATE_SECONDS,
            every=1,
            otherwise=lambda: Failure(
                f"after {_GATE_SECONDS // 60} minutes: {context.now}", f"see the job report of {latest.url}"
            ),
        )
        return latest

    def _status(self, pull: PullRequest) -> str:
        status = self.member.status(pull.head_sha, GATE, BOT)
        return status.description if status else ""

    def _merge(self, context: Context, pull: PullRequest) -> tuple[PullRequest, str]:
        """Approve, and wait until the bot has merged; the pull request then, and the merge commit."""
        context.say(f"#{pull.number} {people.approve(self.cluster, self.paths, pull.number, pull.head_sha)}")
        number, latest = pull.number, pull

        def state() -> str | None:
            nonlocal latest
            latest = self.member.pull_request(number)
            if latest.merged:
                return None
            if not latest.open:
                raise Failure(f"#{number} was closed", f"see {latest.url}")
            said = (GATE, BOT), (READY, MERGER)
            gate, ready = (self.member.status(latest.head_sha, context, account) for context, account in said)
            if gate and gate.state not in ("pending", "success"):
                raise Failure(f"{GATE} refuses #{number}: {gate.description}", f"read the report on {latest.url}")
            return ready.description if ready else f"{MERGER} has not looked at {latest.head_sha[:10]} yet"

        context.until(
            state,
            seconds=_MERGE_SECONDS,
            every=0.5,
            otherwise=lambda: Failure(
                f"#{number} was not merged within {_MERGE_SECONDS // 60} minutes: {context.now}",
                f"see {latest.url}; kubectl -n bot logs deployment/bot",
            ),
        )
        self.merged_at = time.monotonic()
        return latest, latest.merge_sha

    def _find_deployment(self, after: int) -> PullRequest | None:
        """The platform's pull request that sets the stage's digest and is younger than pull request `after`."""
        for pull in self.member.pull_requests(MAIN):
            if (
                pull.author == PROPOSER
                and pull.number > after
                and self.overlay in self.member.changed_files(pull.number)
            ):
                return pull
        return None

    def _digest_at(self, revision: str) -> str:
        content = self.member.read_file(self.overlay, revision)
        images = yaml.safe_load(content or b"{}").get("images", [])
        digests = [image["digest"] for image in images if image.get("name") == APP and "digest" in image]
        if not digests:
            raise Failure(f"{self.overlay} at {revision[:10]} names no digest of {APP}", "the release job wrote it")
        return str(digests[0])

    def _runs_digest(self, application: Application) -> bool:
        return any(self.digest in image for image in application.images)

    def _metrics(self, revision: str) -> dict[str, Any] | None:
        content = self.member.read_file(METRICS, revision)
        return json.loads(content) if content else None

    def _held_out(self, context: Context, folder: Path) -> tuple[bytes, int]:
        """The first image of the test set, and its label."""
        image = folder / "digit.png"
        python = environments.make(context, "data") / "bin" / "python"
        arguments = ["-m", "digits.held_out", "--out", str(image)]
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("ml/src", "src"))}
        label = context.command(python, *arguments, environment=variables).splitlines()[-1]
        return image.read_bytes(), int(label)


class Clone:
    """Main of the forge in a scratch repository, gone when the block ends."""

    def __init__(self, url: str, login: git.Login) -> None:
        self._url, self._login = url, login
        self._folder = tempfile.TemporaryDirectory(prefix="ml-platform-demo-")

    def __enter__(self) -> git.Repository:
        variables = {"GIT_TERMINAL_PROMPT": "0", **identity(self._login.user), **self._login.environment(self._url)}
        repository = git.Repository(Path(self._folder.name), variables)
        try:
            repository.git("init", "--quiet", "--bare", f"--initial-branch={MAIN}", ".")
            repository.git("fetch", "--quiet", self._url, f"+refs/heads/{MAIN}:refs/heads/{MAIN}")
        except BaseException:
            self._folder.cleanup()
            raise
        return repository

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()


def identity(name: str) -> dict[str, str]:
    """Variables that name the author of commits."""
    mail = f"{name}@users.noreply.localhost"
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": mail,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": mail,
    }


def commit_file(clone: git.Repository, branch: str, path: str, content: str, message: str) -> str:
    """Commit one file's new content on top of main as `branch`, without a work tree; returns the commit."""
    index = {"GIT_INDEX_FILE": str(clone.folder / f"index-{branch}")}
    staged = git.Repository(clone.folder, {**clone.variables, **index})
    blob = staged.git("hash-object", "-w", "--stdin", text=content)
    staged.git("read-tree", MAIN)
    staged.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    tree = staged.git("write-tree")
    commit = staged.git("commit-tree", tree, "-p", MAIN, text=message + "\n")
    staged.git("update-ref", f"refs/heads/{branch}", commit)
    return commit


def describe(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The changed parameters as `epochs 12, dropout 0.4`."""
    changes = [
        f"{key} {value}"
        for section, values in after.items()
        for key, value in values.items()
        if before.get(section, {}).get(key) != value
    ]
    return ", ".join(changes) or "the same parameters"


def known_good(text: str, tried: list[dict[str, Any]]) -> str:
    """A params.yaml that main lacks and that is known to pass the gate."""
    return propose.rewrite(text, propose.propose(yaml.safe_load(text), tried))


def ready_pods(kubectl: Kubectl, namespace: str, digest: str) -> list[str]:
    """The Ready pods of a namespace that run an image with `digest`."""
    return [
        pod["metadata"]["name"]
        for pod in kubectl.items("pods", "-n", namespace)
        if kube.condition(pod, "Ready") and any(digest in container["image"] for container in pod["spec"]["containers"])
    ]


def predict(address: str, png: bytes) -> dict[str, Any]:
    """POST one image to a deployed model and return its answer. Raises Failure."""
    try:
        answer: dict[str, Any] = json.loads(health.post(f"{address}/predict", png, "image/png"))
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:300]
        raise Failure(
            f"{address}/predict answers {error.code}: {said}", "scripts/status shows the model's state"
        ) from None
    except OSError as error:
        raise Failure(f"{address}/predict does not answer: {error}", "scripts/status shows the model's state") from None
    return answer


def member(cluster: Cluster, paths: Paths) -> Forge:
    """The forge as the person sees it who proposes."""
    return people.connect(cluster, paths, Cast.of(cluster.people).proposer)


def member_login(cluster: Cluster, paths: Paths) -> git.Login:
    """The account of the person who proposes."""
    return people.login(paths, Cast.of(cluster.people).proposer)


def job_log(cluster: Cluster, paths: Paths, job: int) -> list[str]:
    """The log of a workflow job, [] when there is none (yet)."""
    url = f"{cluster.forge.url}/api/v1/repos/{cluster.forge.repository}/actions/jobs/{job}/logs"
    return health.content(url, login=member_login(cluster, paths).basic, limit=2**20).splitlines()
