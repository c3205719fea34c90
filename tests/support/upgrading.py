"""What brings a platform of an earlier commit to this checkout, for the tests of tier `upgrade`."""

import subprocess
from pathlib import Path

import yaml

from cli import git, loop
from forge import PullRequest
from live import Platform
from settings import ROOT

FROM = "20dc5e4"
WHY = "The gate of before cannot read what a training of today hands over"


def script(root: Path, name: str, *arguments: str) -> str:
    """Run a command of a checkout, see it succeed, and return what it said."""
    command = [str(root / "scripts" / name), *arguments]
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{name}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
    return done.stdout + done.stderr


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


def serve_a_training(live: Platform) -> None:
    """Run the demo's loop on the platform as it is, and see both its pull requests merged and the model predict."""
    out = live.paths.state / "upgrade-report.json"
    try:
        live.verb("demo", "--no-up", "--report", str(out))
        report = yaml.safe_load(out.read_text())
    finally:
        out.unlink(missing_ok=True)
    assert [pull["merged"] for pull in report["pull_requests"]] == [True, True]
    assert report["prediction"]["label"] == report["prediction"]["expected"]
