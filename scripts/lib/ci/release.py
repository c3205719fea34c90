"""Job `release`, on main: package the model that the lock names, push its image, propose its deployment to dev; and
propose to take back what was merged past the bot (`ci.reverts`), which needs the same account.

It never trains. It looks at what main is now, not at the event that started it, and brings registry and pull requests
to what follows from that: whichever run was killed, lost or late, the next one completes it. What goes into an image
names it (its tag is a hash of it all), so a repeated run finds what an earlier one made.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ci import base_layer, deploy, environment, evidence, git, image, lock, measurements, pipeline, remote, reverts
from ci.document import DocumentError
from ci.evidence import FOLDER, MAIN
from ci.failure import Failure, run
from ci.measurements import MODEL, Measurements
from ci.metrics import Metrics
from ci.store import Store
from ci.tree import CommitTree, Tree
from digits import bento
from digits.errors import UserError
from mlplatform.evaluation import judgement
from mlplatform.releases import Release

APP = "classifier"
STAGE = "dev"
REQUIREMENTS = "requirements/serve.txt"
PACKAGER = f"{FOLDER}/src/digits/bento.py"
MODEL_LABEL = "ml-platform.dev/model-digest"
# All that an image is made of and by, besides the model and its base.
SOURCES = (REQUIREMENTS, PACKAGER, "scripts/lib/ci/image.py")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an image is made of; equal inputs give equal images."""

    model_md5: str
    key: str
    dependencies_key: str


def inputs(tree: Tree, base: str) -> Inputs | None:
    """The inputs of a commit's image on the image `base`; `None` where nothing was ever trained. Raises `Failure`."""
    line = pipeline.load(tree, FOLDER)
    if tree.read(line.lock_path) is None:
        return None
    md5 = lock.remote_objects(tree, line).get(MODEL)
    if md5 is None:
        raise DocumentError(f"{line.lock_path}: names no {MODEL}: the stage train must write it")
    modules = [f"{FOLDER}/src/digits/{name}" for name in bento.PACKAGE_MODULES]
    files = sorted({*SOURCES, *modules, *tree.files(f"{FOLDER}/service")})
    content = [part for path in files for part in (path.encode(), tree.read(path) or b"")]
    packaging = [tree.read(path) or b"" for path in (REQUIREMENTS, PACKAGER)]
    return Inputs(
        md5, image.short_hash(md5.encode(), base.encode(), *content), image.short_hash(base.encode(), *packaging)
    )


def build(root: Path, registry: image.Registry, base: str, made_of: Inputs, models: Store) -> str:
    """Package the pulled model and push its image; return its digest. Raises `Failure`."""
    cache = Path(os.environ.get("CACHE_DIR", "/cache")) / "layers"
    dependencies = f"{APP}:dependencies-{made_of.dependencies_key}"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            packed = bento.package((root / MODEL).parent, root / REQUIREMENTS, Path(scratch) / "bento")
            archive = _archive(packed, Path(scratch) / "bento.tar.gz")
            layer = bento.bento_layer(packed, Path(scratch) / "layer.tar.gz")
            if registry.digest(dependencies) is None:
                print("making the layer of dependencies")
                registry.append(base, bento.dependencies_layer(root / REQUIREMENTS, cache), dependencies)
        except UserError as error:
            raise Failure(str(error)) from None
        models.put(_archive_key(made_of), archive.read_bytes())
        labels = {MODEL_LABEL: bento.digest(root / MODEL), "ml-platform.dev/inputs": made_of.key}
        return registry.finish(dependencies, layer, f"{APP}:{made_of.key}", labels)


def _archive(packed: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as stream:
        stream.add(packed, arcname=".")
    return archive


def _archive_key(made_of: Inputs) -> str:
    return f"bentos/{APP}-{made_of.key}.bento"


def measured_of(main: Tree, store: Store, root: Path) -> tuple[Metrics | None, str]:
    """What main's code measured of main's model, and why it must not be proposed yet, or "".

    Args:
        main: main's files.
        store: where measurements are kept.
        root: the checkout of main, whose code measures.

    Raises:
        Failure: it must never be proposed.
    """
    declared = measurements.rules(main)
    if declared is None:
        return evidence.metrics(main), ""
    found = Measurements(store, root).of_main(main, declared)
    if found is None:
        return None, f"{MAIN}'s model is not measured by {MAIN}'s evaluator yet"
    if below := judgement.below_limits(found, declared.metrics):
        raise Failure(f"{MAIN}'s model is not released: {'; '.join(below)}")
    return Metrics(found.metrics) if "accuracy" in found.metrics else None, ""


def pull_model(root: Path) -> None:
    """Fetch the model that the lock names from DVC's remote, and nothing else. Raises `Failure`."""
    path = Path(MODEL).relative_to(FOLDER)
    print(f"+ dvc pull {path}")
    done = subprocess.run(["dvc", "pull", str(path)], cwd=root / FOLDER, check=False)
    if done.returncode != 0:
        raise Failure(f"{MODEL}: DVC cannot fetch it: the lines above say why; `dvc push` in {FOLDER}/ restores it")


@dataclass(frozen=True, slots=True)
class Job:
    """What the job works with."""

    repository: git.Repository
    remote: git.Remote
    place: environment.Place
    token: str
    root: Path
    base: str

    def release(self) -> bool:
        """Release the commit that is checked out; False where main has another model or service by the end of it.

        Raises:
            Failure: main cannot be released, or something that it takes does not answer.
        """
        commit = self.repository.commit("HEAD")
        assert commit is not None
        main = CommitTree(self.repository, commit)
        made_of = inputs(main, self.base)
        if made_of is None:
            print(f"{MAIN} has no model yet: nothing to release")
            return True
        if stale := lock.problems(main, pipeline.load(main, FOLDER)):
            reasons = "; ".join(stale[:3])
            raise Failure(f"{FOLDER}/dvc.lock is not fresh ({reasons}): open a pull request, which trains it")
        models = Store.connect(environment.require("MODELS_BUCKET"))
        host, user, password = (environment.require(f"REGISTRY_{name}") for name in ("HOST", "USERNAME", "PASSWORD"))
        with image.login(host, user, password) as registry:
            digest = registry.digest(f"{APP}:{made_of.key}")
            known = digest is not None or self._was_trained_here(main)
            if not known and remote.missing(main, FOLDER, {MODEL: made_of.model_md5}):
                print(f"the model that {MAIN} came with was not trained here: the first training is released")
                return True
            measured, why = measured_of(main, Store.connect(environment.require("DATA_BUCKET")), self.root)
            if why:
                print(f"{why}: nothing is proposed until then")
                return True
            if digest is None:
                pull_model(self.root)
                digest = build(self.root, registry, self.base, made_of, models)
            model_digest = registry.labels(f"{APP}@{digest}")[MODEL_LABEL]
        print(f"image {host}/{APP}@{digest}")
        # Building takes longer than merging does.
        if self._moved(made_of):
            return False
        release = Release(APP, digest, made_of.key, model_digest, commit)
        # Before the pull request: the gate lets an overlay name no digest without its record.
        if not models.has(release.record):
            models.put(release.record, release.document())
        self._propose(main, release, f"s3://{models.bucket}/{_archive_key(made_of)}", measured)
        # A newer run may have looked at the open pull requests just before this one's was among them.
        return not self._moved(made_of)

    def follow(self) -> bool:
        """Check main's newest commit out, unless it is; whether it was."""
        tip = self._tip()
        if tip == self.repository.commit("HEAD"):
            return True
        print(f"{MAIN} is at {tip[:10]} by now: that is released")
        self.repository.git("checkout", "--quiet", "--force", "--detach", tip)
        return False

    def _main(self) -> CommitTree:
        return CommitTree(self.repository, self._tip())

    def _tip(self) -> str:
        self.repository.fetch(self.remote, f"+refs/heads/{MAIN}:refs/ci/main")
        tip = self.repository.commit("refs/ci/main")
        assert tip is not None
        return tip

    def _moved(self, made_of: Inputs) -> bool:
        return inputs(self._main(), self.base) != made_of

    def _was_trained_here(self, main: CommitTree) -> bool:
        """Whether the bot recorded the lock: a clone brings one whose model lies in nobody's store but its author's."""
        author = self.repository.git("log", "-1", "--format=%ae", main.commit, "--", f"{FOLDER}/dvc.lock")
        return author.decode().strip() == git.BOT["email"]

    def _propose(self, main: CommitTree, release: Release, archive: str, metrics: Metrics | None) -> None:
        lock_log = self.repository.git("log", "-1", "--format=%H", main.commit, "--", f"{FOLDER}/dvc.lock")
        proposal = deploy.Proposal(
            app=APP,
            stage=STAGE,
            digest=release.digest,
            model_digest=release.model_digest,
            archive=archive,
            lock_commit=lock_log.decode().strip(),
            metrics=metrics,
            run_url=self.place.run_url(),
        )
        client = self.place.connect(self.token)
        try:
            deploy.propose(client, self.repository, self.remote, self._main, proposal)
        finally:
            client.close()


def main() -> None:
    place = environment.Place.from_variables()
    token = environment.token()
    root = environment.ROOT
    job = Job(
        repository=git.Repository(root),
        remote=git.Remote(place.clone_url, token),
        place=place,
        token=token,
        root=root,
        base=environment.require("PYTHON_IMAGE"),
    )
    newest = job.follow()
    if newest:
        # Before the release: a main that cannot be released may be one that must be taken back.
        reverts.look(place, token, job.repository, everything="schedule" in environment.event())
    if not (newest and job.release()):
        sys.stdout.flush()
        # What packages is a part of what is packaged: another commit is released by its own code.
        os.execv(root / "scripts/ci/release", ["release"])  # noqa: S606 - the project's own script
    # The next training of each branch begins with what main names now; without it, the training takes a little longer.
    if base_layer.is_writable():
        try:
            base_layer.add(base_layer.objects(), CommitTree(job.repository, "HEAD"))
        except Failure as failure:
            print(f"warning: {failure}")


if __name__ == "__main__":
    run(main)
