"""A platform that an earlier commit made, with a released model, an open training and an open deploy pull request."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli import loop
from cli.kube import Kubectl
from digits import propose
from forge import PullRequest
from live import Platform, eventually
from settings import ROOT, Cluster, Paths
from upgrading import FROM, script


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
