"""A platform that commit 20dc5e4 made, with a released model, an open training and an open deploy pull request, is
brought to this checkout as docs/runbooks/upgrade.md says: first `scripts/up`, then the merge of it into the forge's
main, then `scripts/up` again.

Makes that platform by itself, and removes whatever this project runs on the machine first.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from cli import git, loop, merging
from cli.kube import Kubectl
from digits import propose
from forge import PullRequest
from live import Platform, eventually
from settings import ROOT, Cluster, Paths

pytestmark = [pytest.mark.upgrade, pytest.mark.platform]

FROM = "20dc5e4"
WHY = "The gate of before cannot read what a training of today hands over"


def script(root: Path, name: str, *arguments: str) -> str:
    """Run a command of a checkout, see it succeed, and return what it said."""
    command = [str(root / "scripts" / name), *arguments]
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{name}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the commit, whose demo has run once."""
    script(ROOT, "down", "--purge", "--yes", "--keep-cache")
    clone = tmp_path_factory.mktemp("before") / "clone"
    subprocess.run(["git", "clone", "--quiet", f"file://{ROOT}", str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "switch", "--quiet", "--create", "main-before", FROM], check=True)
    script(clone, "demo")
    return clone


@pytest.fixture(scope="module")
def live(before: Path, cluster: Cluster, paths: Paths) -> Iterator[Platform]:
    member = loop.member(cluster, paths)
    yield Platform(cluster, paths, Kubectl(paths), member)
    member.close()


@pytest.fixture(scope="module")
def pulls(live: Platform) -> dict[str, PullRequest]:
    """A trained pull request and the deployment of another, both open."""
    first = live.propose("Train for a deployment", lambda text: loop.known_good(text, [yaml.safe_load(text)]))
    assert live.gate(first)[0] == "success"
    head = live.member.pull_request(first.number).head_sha
    live.member.merge_pull_request(first.number, head)

    def deployment() -> PullRequest | None:
        found = [one for one in live.member.pull_requests(loop.MAIN) if one.title.startswith("Deploy ")]
        return found[0] if found else None

    deploy = eventually(deployment, 600, "the deploy pull request")
    tried = yaml.safe_load(live.member.read_file(loop.PARAMS, loop.MAIN) or b"")
    training = live.propose(
        "Train on", lambda text: propose.rewrite(text, propose.propose(yaml.safe_load(text), [tried]))
    )
    assert live.gate(training)[0] == "success"
    return {"training": training, "deploy": deploy}


def identities(live: Platform) -> dict[str, str]:
    """Pods of the served model and Applications, by name, with their UIDs."""
    found = [
        *live.kubectl.items("pods", "-n", live.stage),
        *live.kubectl.items("applications.argoproj.io", "-n", "argocd"),
    ]
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["uid"] for one in found}


def merge(clone: git.Repository, base: str, other: str) -> str:
    """The commit that merges `other` into `base`. Of a file that both changed it has the other's."""
    before = clone.git("merge-base", base, other)
    ours, theirs = (set(clone.git("diff", "--name-only", before, one).splitlines()) for one in (base, other))
    index = git.Repository(clone.folder, {**clone.variables, "GIT_INDEX_FILE": str(clone.folder / "merged")})
    index.git("read-tree", other)
    if kept := sorted(ours - theirs):
        removed = "".join(f"0 {'0' * 40}\t{path}\n" for path in kept)
        index.git("update-index", "--index-info", text=f"{removed}{clone.git('ls-tree', '-r', base, '--', *kept)}\n")
    return clone.git("commit-tree", index.git("write-tree"), "-p", base, "-p", other, text=f"Merge {other}\n")


def merge_upstream(live: Platform) -> PullRequest:
    """Open the pull request that merges this checkout's commit into the forge's main."""
    login = loop.member_login(live.cluster, live.paths)
    with loop.Clone(live.member.clone_url, login) as clone:
        clone.git("fetch", "--quiet", str(ROOT), "HEAD:refs/heads/upstream")
        commit = merge(clone, loop.MAIN, "upstream")
        clone.git("push", "--quiet", live.member.clone_url, f"{commit}:refs/heads/upstream")
    return live.member.create_pull_request("Merge upstream", "", "upstream", loop.MAIN)


def merge_main(live: Platform, pull: PullRequest, change: Callable[[str], str]) -> None:
    """Merge main into a pull request's branch, with main's files and one change of the parameters."""
    login = loop.member_login(live.cluster, live.paths)
    with loop.Clone(live.member.clone_url, login) as clone:
        clone.git("fetch", "--quiet", live.member.clone_url, f"+refs/heads/{pull.head_branch}:refs/heads/branch")
        commit = merge(clone, "branch", loop.MAIN)
        clone.git("push", "--quiet", live.member.clone_url, f"{commit}:refs/heads/{pull.head_branch}")
    live.amend(pull, {loop.PARAMS: change((live.member.read_file(loop.PARAMS, loop.MAIN) or b"").decode())})


def test_the_model_stays_while_the_platform_moves(live: Platform, pulls: dict[str, PullRequest]) -> None:
    served = identities(live)
    said = script(ROOT, "up")
    assert "no apps/bot yet" in said

    assert {name: uid for name, uid in identities(live).items() if name in served} == served
    check = merging.check(live.cluster, live.paths)
    assert not check.ok
    assert "merge whitelist" in check.detail


def test_main_is_the_bots_once_it_has_one(live: Platform, pulls: dict[str, PullRequest]) -> None:
    deployed = live.deployed()
    pull = merge_upstream(live)
    script(ROOT, "merge-anyway", "--pull", str(pull.number), "--who", "owner", "--why", WHY)
    assert live.member.pull_request(pull.number).merged
    live.cancel(pull)
    script(ROOT, "up")
    assert merging.check(live.cluster, live.paths).ok
    live.settle(300)
    assert {name: images for name, images in live.deployed().items() if name in deployed} == deployed


def refusal(live: Platform, pull: PullRequest, seconds: float) -> str:
    """What the gate says against a pull request, which it passed before, once it judges it anew."""

    def said() -> str | None:
        head = live.member.pull_request(pull.number).head_sha
        status = live.member.status(head, loop.GATE, loop.BOT)
        return status.description if status and status.state == "failure" else None

    return eventually(said, seconds, f"a judgement of today about #{pull.number}")


def test_the_open_deployment_is_refused(live: Platform, pulls: dict[str, PullRequest]) -> None:
    """Its release left no record that the gate of today looks for."""
    assert "is not an image that release has published" in refusal(live, pulls["deploy"], 300)


def test_the_open_training_is_measured_by_main_and_refused(live: Platform, pulls: dict[str, PullRequest]) -> None:
    """No event of it came. It trained on rows that main's rule of today assigns to the test set."""
    assert "rows of the test set" in refusal(live, pulls["training"], 600)


def test_the_next_training_is_served_and_supersedes_the_open_deployment(
    live: Platform, pulls: dict[str, PullRequest]
) -> None:
    out = live.paths.state / "upgrade-report.json"
    try:
        live.verb("demo", "--no-up", "--report", str(out))
        report = yaml.safe_load(out.read_text())
    finally:
        out.unlink(missing_ok=True)
    assert [pull["merged"] for pull in report["pull_requests"]] == [True, True]
    assert report["prediction"]["label"] == report["prediction"]["expected"]
    assert not live.member.pull_request(pulls["deploy"].number).open


def test_the_open_training_is_merged_once_it_has_main(live: Platform, pulls: dict[str, PullRequest]) -> None:
    pull = pulls["training"]
    merge_main(live, pull, lambda text: loop.known_good(text, [yaml.safe_load(text)]))
    live.merge(pull)
