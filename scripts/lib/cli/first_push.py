"""Give the forge its first main, once; from then on the forge's main is the source of truth.

A later checkout is never pushed over it: `advice` says how its commits reach main by pull request.
"""

import json
from collections.abc import Callable
from pathlib import Path

from cli import git

AUTHOR = {
    "GIT_AUTHOR_NAME": "ml-platform",
    "GIT_AUTHOR_EMAIL": "ml-platform@users.noreply.localhost",
    "GIT_COMMITTER_NAME": "ml-platform",
    "GIT_COMMITTER_EMAIL": "ml-platform@users.noreply.localhost",
}


def main_of_forge(repository: git.Repository, url: str) -> str | None:
    """The commit of main at `url`, or None while the repository is empty."""
    line = repository.git("ls-remote", url, "refs/heads/main", fix="scripts/status tells whether the forge is up")
    return line.split()[0] if line else None


def push(source: git.Repository, scratch: git.Repository, url: str, record: Path, say: Callable[[str], None]) -> bool:
    """Push HEAD of `source` as main unless main exists, and note it in `record`. Returns whether it pushed.

    A clone without its whole history gives a fresh root commit of HEAD's tree. What is not committed is not pushed.
    """
    if main_of_forge(scratch, url):
        return False
    head = source.git("rev-parse", "HEAD")
    commit = head if git.has_whole_history(source) else _root_commit(source, scratch, head)
    if commit != head:
        say(f"this clone lacks history: main starts with one commit that has the files of {head[:10]}")
    if paths := git.uncommitted(source):
        listed = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        say(f"not pushed, because not committed: {listed}")
    # Written first: after an interruption in between, main is still missing and the push is done again.
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"head": head, "commit": commit}) + "\n", encoding="utf-8")
    scratch.git("push", "--quiet", "--no-verify", url, f"{commit}:refs/heads/main")
    return True


def advice(source: git.Repository, scratch: git.Repository, url: str, record: Path) -> str:
    """How the checkout's commits reach the forge's main, or "" when main has them all already."""
    head = source.git("rev-parse", "HEAD")
    pushed = _pushed(record)
    main = main_of_forge(scratch, url)
    if main is None or head in (main, pushed.get("head"), pushed.get("commit")):
        return ""
    scratch.git("fetch", "--quiet", url, "+refs/heads/main:refs/heads/main")
    if scratch.succeeds("merge-base", "--is-ancestor", head, main):
        return ""
    tree = source.git("rev-parse", "HEAD^{tree}")
    if tree in scratch.git("log", "--format=%T", main).splitlines():
        return ""
    branch = f"update-{head[:10]}"
    login = "as member; scripts/status says how to log in"
    if scratch.succeeds("merge-base", head, main):
        return (
            f"main lacks commits of this checkout. Propose them ({login}):\n  git push {url} HEAD:refs/heads/{branch}"
        )
    start = pushed.get("head", "<the commit that main began with>")
    return (
        f"main lacks commits of this checkout, and shares no history with it. Propose them ({login}):\n"
        f"  git fetch {url} main && git switch -c {branch} FETCH_HEAD && git cherry-pick {start[:10]}..{head[:10]}\n"
        f"  git push {url} HEAD:refs/heads/{branch}"
    )


def _root_commit(source: git.Repository, scratch: git.Repository, head: str) -> str:
    tree = source.git("rev-parse", "HEAD^{tree}")
    # The same tree gives the same commit: dates are those of HEAD, so a push that was cut off is repeated, not doubled.
    date = source.git("show", "--no-patch", "--format=%cI", head)
    named = git.Repository(
        scratch.folder, {**scratch.variables, **AUTHOR, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    )
    return named.git("commit-tree", tree, text=f"Start from {head}\n")


def _pushed(record: Path) -> dict[str, str]:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
