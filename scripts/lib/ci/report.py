"""Job `report`, always from main: judge a pull request in a status and one comment; commit what training left.

The same for its infrastructure (`ci.infrastructure`), with a status and a comment of their own, and for the
repository's own checks (`ci.checked`), with a status. Started by the pull request itself and again when its jobs end.
Each start looks at the facts (the head's files, what was left, main's measurements) and states what follows, so it does
not matter which comes first or is repeated.
The head's files are read as git objects; nothing of them is executed.
"""

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci import (
    candidate,
    checked,
    comment,
    deployments,
    environment,
    evidence,
    gate,
    git,
    handover,
    infrastructure,
    lock,
    measurements,
    pins,
    pipeline,
    remote,
)
from ci.evidence import FOLDER, MAIN
from ci.failure import Failure, Unacceptable, run
from ci.judging import Judged, Judging
from ci.metrics import Metrics
from ci.store import Store
from ci.tree import CommitTree
from forge import Forge, PullRequest, StatusState, WorkflowRun
from mlplatform import releases
from mlplatform.evaluation import judgement
from mlplatform.evaluation.declaration import Declaration
from mlplatform.evaluation.scope import Ask, Scope
from mlplatform.objects.bundle import Bundle

CONTEXT = "quality-gate"
TRAIN_WORKFLOW = "train.yml"
TRAINED_BY = "Trained by"


@dataclass(frozen=True, slots=True)
class Review:
    """A pull request at one commit, beside main; `asks`: what an owner has to approve whatever main measures."""

    pull: PullRequest
    tree: CommitTree
    main: CommitTree
    asks: tuple[Ask, ...] = ()

    @property
    def sha(self) -> str:
        """The commit that is reviewed."""
        return self.tree.commit


@dataclass(frozen=True, slots=True)
class Job:
    """What the job works with."""

    forge: Forge
    repository: git.Repository
    remote: git.Remote
    store: Store
    run_url: str
    root: Path
    has_aws: bool = False

    def report(self, pull: PullRequest) -> None:
        """Bring status, comment and branch of one pull request up to date."""
        refs = f"+refs/heads/{MAIN}:refs/ci/main", f"+refs/pull/{pull.number}/head:refs/ci/head"
        self.repository.fetch(self.remote, *refs)
        main, head = self.repository.commit("refs/ci/main"), self.repository.commit("refs/ci/head")
        if main is None or head != pull.head_sha:
            print(f"#{pull.number} moved from {pull.head_sha} to {head}: its newer commit is reported on by itself")
            return
        print(f"#{pull.number}: {head}")
        review = Review(pull, CommitTree(self.repository, head), CommitTree(self.repository, main))
        changed = self._changed(review)
        if changed is None:
            self._refuse(review, f"this branch shares no history with {MAIN}: start it from {MAIN}")
            return
        self._infrastructure(review, changed)
        self._checked(review)
        deployed = self._deployed(review, changed)
        review = dataclasses.replace(review, asks=deployed.asks)
        if deployed.refused:
            self._refuse(review, "; ".join(deployed.refused[:5]))
        elif not pipeline.affected(changed, review.tree, FOLDER):
            self._unaffected(review)
        elif pull.is_from_fork(self.forge.repository):
            self._refuse(review, f"forks are not trained here: a member pushes the branch to {self.forge.repository}")
        else:
            self._affected(review)

    def _changed(self, review: Review) -> list[str] | None:
        """Paths that differ from where the branch left main, `None` where it never was a part of that."""
        base = self.repository.merge_base(review.main.commit, review.sha)
        return None if base is None else self.repository.changed(base, review.sha)

    def _deployed(self, review: Review, changed: list[str]) -> deployments.Findings:
        """What is to be said of the images that overlays of the head name."""

        def is_released(app: str, digest: str) -> bool:
            return Store.connect(environment.require("MODELS_BUCKET")).has(releases.record(app, digest))

        def was_deployed(folder: str, digest: str) -> bool:
            return deployments.was_deployed(self.repository, review.main.commit, folder, digest)

        def pin_problems(app: str, environment: str, before: str | None) -> Iterator[str]:
            return past.problems(app, environment, before, review.tree)

        past = pins.Pins(self.repository, review.main)
        known = deployments.Known(is_released, was_deployed, past.digests, pin_problems)
        try:
            return deployments.judge(changed, review.tree, review.main, known)
        except Unacceptable as error:
            return deployments.Findings((str(error),))

    def _infrastructure(self, review: Review, changed: list[str]) -> None:
        part = infrastructure.Infrastructure(self.forge, self.store, self.has_aws, self.run_url)
        part.report(infrastructure.Change(review.pull, review.tree, review.main, review.sha, changed))

    def _checked(self, review: Review) -> None:
        base = self.repository.merge_base(review.main.commit, review.sha)
        assert base is not None
        checked.Checked(self.forge, self.repository, self.run_url, review.pull).report(base, review.sha)

    def _unaffected(self, review: Review) -> None:
        """Nothing to train or measure; but what measures, serves or runs beside a model may have changed."""
        try:
            declared = measurements.rules(review.main)
        except Unacceptable as error:
            self._refuse(review, str(error))
            return
        if declared:
            verdict = self._judging().judge_unmeasured(review.main, review.tree, declared, review.asks)
        else:
            verdict = judgement.unmeasured(Scope(owner=review.asks))
        number = review.pull.number
        # The comment first, as everywhere: who approves must have seen what the status stands for.
        if verdict:
            said = gate.Verdict(False, verdict.summary, verdict.reasons)
            address = self._comment(review, said, "", asks=verdict.state == "pending")
            self._status(review.sha, verdict.state, verdict.summary, address)
            return
        if any(entry.body.startswith(comment.MARKER) for entry in self.forge.comments(number)):
            text = (
                f"## Quality gate: passed\n\nNothing that is judged, such as `{FOLDER}/`, differs from main any more.\n"
            )
            self.forge.upsert_comment(number, comment.MARKER, text)
        self._status(review.sha, "success", f"nothing under {FOLDER}/ changed")

    def _affected(self, review: Review) -> None:
        training = self._training(review)
        try:
            line = pipeline.load(review.tree, FOLDER)
            reasons = remote.reasons_to_train(review.tree, review.main, line)
            if not reasons:
                self._judge(review, line)
                return
            print("not trained yet:", *reasons, sep="\n  ")
            left = candidate.opened(self.store, training.id) if training else None
            found = self._take(review, line, left) if left else None
        except Unacceptable as error:
            self._refuse(review, str(error), training)
            return
        if found is None:
            self._await(review, training)
        elif found.differs_from(review.tree):
            self._commit(review, line, found, training)
        else:
            self._judge(review, line)

    def _take(self, review: Review, line: pipeline.Pipeline, left: Bundle) -> candidate.Candidate:
        """Take what a run left, if it belongs to the commit: its objects into DVC's remote. Raises `Unacceptable`."""
        found = candidate.read(left, line)
        candidate.check(found, review.tree, line)
        objects = lock.remote_objects(found.over(review.tree), line)
        with tempfile.TemporaryDirectory(prefix="report-") as folder:
            problems = remote.take(review.main, FOLDER, objects, left, Path(folder) / "object")
        if problems:
            raise candidate.CandidateError(
                f"training left other objects than its lock names: {'; '.join(problems[:5])}"
            )
        return found

    def _await(self, review: Review, training: WorkflowRun | None) -> None:
        """No result yet: training is on its way, or has ended without one."""
        if training and training.completed:
            self._refuse(review, handover.ending("training", training) + self._behind(review), training)
            return
        url = training.url if training else ""
        self._status(review.sha, "pending", "training", url)
        self._comment(review, None, url)

    def _behind(self, review: Review) -> str:
        """What may be the matter with a training of a branch that has not got main's scripts."""
        base = self.repository.merge_base(review.main.commit, review.sha)
        if base and any(path.startswith("scripts/") for path in self.repository.changed(base, review.main.commit)):
            return f"; {MAIN}'s scripts have changed since this branch left it: merge {MAIN} into it"
        return ""

    def _commit(
        self, review: Review, line: pipeline.Pipeline, left: candidate.Candidate, training: WorkflowRun | None
    ) -> None:
        """Commit what training left, and judge the new head at once."""
        source = f"\n\n{TRAINED_BY} {training.url}" if training else ""
        message = f"Record the training of {review.sha[:10]}{source}\n"
        head = self.repository.write_commit(review.sha, message, left.files, tuple(sorted(left.replaced)))
        branch = review.pull.head_branch
        try:
            self.repository.push(self.remote, head, branch)
        except git.Moved:
            print(f"{branch} has newer commits, which are trained by themselves: nothing was committed")
            return
        print(f"committed {head} on {branch}")
        committed = dataclasses.replace(review, tree=CommitTree(self.repository, head))
        self._infrastructure(committed, self._changed(committed) or [])
        self._checked(committed)
        self._judge(committed, line)

    def _judge(self, review: Review, line: pipeline.Pipeline) -> None:
        """The lock is fresh: compare with main."""
        try:
            declared = measurements.rules(review.main)
            problems = [] if declared else remote.faults(review.main, FOLDER, lock.remote_objects(review.tree, line))
        except Unacceptable as error:
            self._refuse(review, str(error), self._training(review))
            return
        if declared is None:
            self._judge_reported(review, problems)
        elif self._judge_measured(review, declared) and not self._judged(review, declared).waits:
            # Measured since it was looked up: nothing else would start this job again.
            self._judge_measured(review, declared)

    def _judged(self, review: Review, declared: Declaration) -> Judged:
        return self._judging().judge(review.main, review.tree, declared, review.asks)

    def _judging(self) -> Judging:
        return Judging(self.repository, self.store, self.root)

    def _judge_measured(self, review: Review, declared: Declaration) -> bool:
        """Judge by what main's code measured; whether that has to be waited for."""
        judged = self._judged(review, declared)
        verdict = judged.verdict
        address = self._comment(
            review,
            gate.Verdict(verdict.state == "success", verdict.summary, verdict.reasons),
            self._trained_by(review),
            after=judged.reported,
            measured=comment.Measured(judged.numbers, declared.metrics, judged.waits),
            asks=verdict.state == "pending",
        )
        self._status(review.sha, verdict.state, verdict.summary, address)
        return judged.waits

    def _judge_reported(self, review: Review, problems: list[str]) -> None:
        """Main does not say how models are measured: compare what the runs say."""
        tolerance, before, after = 0.0, None, None
        try:
            tolerance = evidence.tolerance(review.main)
            before = evidence.metrics(review.main)
            after = evidence.metrics(review.tree)
        except Unacceptable as error:
            problems.append(str(error))
        verdict = gate.judge(before, after, tolerance, problems)
        state: StatusState = "success" if verdict.passed else "failure"
        if verdict.passed and review.asks:
            asks = tuple(map(str, review.asks))
            state, verdict = "pending", gate.Verdict(False, asks[0], (*asks, verdict.summary))
        address = self._comment(
            review,
            verdict,
            self._trained_by(review),
            tolerance=tolerance,
            before=before,
            after=after,
            asks=state == "pending",
        )
        self._status(review.sha, state, verdict.summary, address)

    def _refuse(self, review: Review, reason: str, training: WorkflowRun | None = None) -> None:
        url = training.url if training else ""
        address = self._comment(review, gate.Verdict(False, reason, (reason,)), url)
        self._status(review.sha, "failure", reason, url or address)

    def _comment(
        self,
        review: Review,
        verdict: gate.Verdict | None,
        run_url: str,
        *,
        tolerance: float | None = None,
        before: Metrics | None = None,
        after: Metrics | None = None,
        measured: comment.Measured | None = None,
        asks: bool = False,
    ) -> str:
        """Write the report and return its address."""
        report = comment.Report(
            number=review.pull.number,
            head_sha=review.sha,
            verdict=verdict,
            tolerance=tolerance,
            main=evidence.collect(review.main, before),
            candidate=evidence.collect(review.tree, after),
            run_url=run_url,
            measured=measured,
            asks=asks,
        )
        return self.forge.upsert_comment(report.number, comment.MARKER, comment.render(report)).url

    def _training(self, review: Review) -> WorkflowRun | None:
        """The latest training run of a pull request's head."""
        return next((run for run in self.forge.workflow_runs(review.sha) if _trains(run, review.pull)), None)

    def _trained_by(self, review: Review) -> str:
        """The training run that a commit of the bot names, empty where there is none to believe.

        Anybody can write the bot's name and any address into a commit, so the forge must know the run too: of this
        repository, and of the one commit that this one follows.
        """
        about = self.repository.git("log", "-1", "--format=%an <%ae>%n%cn <%ce>%n%P%n%B", review.sha)
        author, committer, parents, *message = about.decode(errors="replace").split("\n")
        bot = f"{git.BOT['name']} <{git.BOT['email']}>"
        named = [line.removeprefix(f"{TRAINED_BY} ") for line in message if line.startswith(f"{TRAINED_BY} ")]
        if {author, committer} != {bot} or len(parents.split()) != 1 or len(named) != 1:
            return ""
        runs = [run.url for run in self.forge.workflow_runs(parents) if _trains(run, review.pull)]
        return named[0] if named[0] in runs else ""

    def _status(self, sha: str, state: StatusState, description: str, url: str = "") -> None:
        print(f"{CONTEXT}: {state}: {description}")
        self.forge.set_status(sha, CONTEXT, state, description, url or self.run_url)


def _trains(run: WorkflowRun, pull: PullRequest) -> bool:
    return run.workflow == TRAIN_WORKFLOW and run.is_of(pull.number)


def _waits(forge: Forge, sha: str) -> bool:
    """Whether the gate waits for main's code to measure or compare, or to do it anew for today's main; or never said
    what it says today. Only what it said itself counts: a member may set any status."""
    own = forge.account()
    status = forge.status(sha, CONTEXT, own)
    if status is not None and status.state == "pending" and status.description.startswith(judgement.WAITS):
        return True
    return forge.status(sha, checked.CONTEXT, own) is None


def pull_requests(forge: Forge, payload: dict[str, Any]) -> list[PullRequest]:
    """The open pull requests into main that an event is about.

    A workflow run names its commit, the same way on every forge; a commit that is no longer any head has been followed
    by a newer one, which is reported on by itself. A run of main's own measures, and concerns whoever waits for that,
    and whoever was judged before main had checks of its own.
    """
    if "workflow_run" in payload:
        started_by = payload["workflow_run"]
        found = forge.pull_requests(MAIN)
        if not str(started_by.get("event", "")).startswith("pull_request"):
            return [pull for pull in found if _waits(forge, pull.head_sha)]
        return [pull for pull in found if pull.head_sha == str(started_by["head_sha"])]
    if "pull_request" not in payload:
        raise Failure(
            "the event is neither about a pull request nor about a workflow run: start this job by those only"
        )
    pull = forge.pull_request(int(payload["pull_request"]["number"]))
    return [pull] if pull.open and pull.base_branch == MAIN else []


def main() -> None:
    place = environment.Place.from_variables()
    token = environment.token()
    job = Job(
        forge=place.connect(token),
        repository=git.Repository(environment.ROOT),
        remote=git.Remote(place.clone_url, token),
        store=Store.connect(environment.require("DATA_BUCKET")),
        run_url=place.run_url(),
        root=environment.ROOT,
        # On GitHub there is AWS; elsewhere there may be an emulator of it.
        has_aws=place.kind == "github" or bool(os.environ.get("AWS_ENDPOINT_URL")),
    )
    pulls = pull_requests(job.forge, environment.event())
    if not pulls:
        print(f"no open pull request into {MAIN} has this commit as its head: nothing to report")
    failed = []
    for pull in pulls:
        try:
            job.report(pull)
        except Exception as error:
            if len(pulls) == 1:
                raise
            # What is the matter with one pull request is none of the others' business.
            print(f"error: #{pull.number}: {error!r}")
            failed.append(f"#{pull.number}")
    if failed:
        raise Failure(f"{', '.join(failed)} could not be judged: the lines above say why")


if __name__ == "__main__":
    run(main)
