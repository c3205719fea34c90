"""Git as the jobs use it: read objects without checking them out, commit files without a working tree."""

import base64
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ci.failure import Failure

BOT = {"name": "ml-bot", "email": "ml-bot@users.noreply.localhost"}
PROPOSER = {"name": "ml-proposer", "email": "ml-proposer@users.noreply.localhost"}
TIMEOUT = 300.0
# How long a forge that is away is waited for, the longest wait between two attempts, and what git says when nobody
# answered, or somebody who cannot at the moment. As in apps/runner-controller/job/run-job, which is a file of its own.
FETCH_SECONDS = 300
LONGEST_WAIT = 30
PASSING = re.compile(
    r"Could not resolve|Couldn't resolve|Failed to connect|Could not connect|Couldn't connect"
    r"|Connection (refused|reset|timed out)|timed out|Timeout|Operation too slow|Empty reply|early EOF"
    r"|unexpected disconnect|hung up unexpectedly|RPC failed|SSL_ERROR_SYSCALL"
    r"|The requested URL returned error: (408|429|5\d\d)",
    re.IGNORECASE,
)
# After two minutes without a byte a connection counts as broken.
SLOW = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": "120"}
PIECE = 2**20
Read = Callable[[str, Callable[[bytes], object]], None]


class Moved(Exception):
    """A push was refused because the branch has commits that ours does not follow."""


@dataclass(frozen=True, slots=True)
class Remote:
    """Where to fetch from and push to, and with which token."""

    url: str
    token: str

    def variables(self) -> dict[str, str]:
        """Variables that make git send the token to this address only; it is on no command line and in no file."""
        # Forges take any user name beside a token.
        login = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        settings = {f"http.{self.url}.extraHeader": f"Authorization: Basic {login}", **SLOW}
        # In English, as PASSING reads it.
        found = {"GIT_CONFIG_COUNT": str(len(settings)), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        for number, (key, value) in enumerate(settings.items()):
            found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return found


@dataclass(frozen=True, slots=True)
class Repository:
    """A local repository."""

    folder: Path

    def git(self, *arguments: str, variables: Mapping[str, str] | None = None, stdin: bytes | None = None) -> bytes:
        """Run git and return its stdout; raises `Failure` with its stderr."""
        done = self._run(arguments, variables, stdin)
        if done.returncode != 0:
            raise Failure(f"git {arguments[0]} failed: {_one_line(done.stderr)}")
        return done.stdout

    def _ask(self, remote: Remote, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """Run git against a forge. Waits minutes for one that is away; what it refuses is refused at once."""
        wait, last = 1.0, time.monotonic() + FETCH_SECONDS
        while True:
            done = self._run(arguments, remote.variables(), None)
            passes = done.returncode != 0 and PASSING.search(done.stderr.decode(errors="replace"))
            if not passes or time.monotonic() + wait > last:
                return done
            print(f"the forge does not answer git; asking again in {wait:.0f} s", flush=True)
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    def _run(
        self, arguments: tuple[str, ...], variables: Mapping[str, str] | None, stdin: bytes | None
    ) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(
                _command(*arguments),
                cwd=self.folder,
                env=_environment(variables or {}),
                input=stdin,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"git {arguments[0]} took longer than {TIMEOUT:.0f} s: is the forge reachable?") from None

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """A function that reads objects one after the other, each in pieces, which it hands to what takes them.

        It raises `Failure` where there is no such object.
        """
        command = _command("cat-file", "--batch")
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=self.folder, env=_environment({}), stdin=pipe, stdout=pipe) as process:
            asked, answers = process.stdin, process.stdout
            assert asked
            assert answers

            def read(name: str, take: Callable[[bytes], object]) -> None:
                asked.write(f"{name}\n".encode())
                asked.flush()
                about = answers.readline().decode(errors="replace").split()
                if len(about) != 3:
                    raise Failure(f"git object {' '.join(about) or name}: git fsck tells what the repository lacks")
                left = int(about[2])
                while left:
                    if not (piece := answers.read(min(left, PIECE))):
                        raise Failure(f"git object {name} is damaged: git fsck tells what else is")
                    left -= len(piece)
                    take(piece)
                answers.read(1)

            try:
                yield read
            finally:
                process.kill()

    def commit(self, revision: str) -> str | None:
        """The sha of the commit that `revision` names, `None` where it is not here."""
        done = self._run(("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"), None, None)
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def fetch(self, remote: Remote, *refs: str, well_formed: bool = True) -> None:
        """Fetch refs or commits with all their history.

        They may be hostile: an object that is not `well_formed` is a failure, unless they are only to be searched.
        """
        shallow = self.git("rev-parse", "--is-shallow-repository").strip() == b"true"
        depth = ["--unshallow"] if shallow else []
        check = f"fetch.fsckObjects={str(well_formed).lower()}"
        options = ["--quiet", "--no-tags", "--no-recurse-submodules", *depth]
        done = self._ask(remote, "-c", check, "fetch", *options, remote.url, *refs)
        if done.returncode != 0:
            raise Failure(f"git fetch failed: {_one_line(done.stderr)}")

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor, `None` where the histories are unrelated."""
        done = self._run(("merge-base", one, other), None, None)
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def unmerged(self, main: str, most: int) -> list[str]:
        """Heads of the forge's branches that `main` does not contain, the newest first, `most` at most."""
        options = ["--sort=-committerdate", f"--count={most}", f"--no-merged={main}", "--format=%(objectname)"]
        return self.git("for-each-ref", *options, "refs/remotes/origin").decode().split()

    def changed(self, old: str, new: str) -> list[str]:
        """Paths that differ between two commits; a renamed file counts as both its names."""
        output = self.git("diff", "--name-only", "--no-renames", "-z", old, new)
        return [path.decode(errors="replace") for path in output.split(b"\0") if path]

    def write_commit(
        self,
        parent: str,
        message: str,
        files: Mapping[str, bytes],
        removed: tuple[str, ...] = (),
        author: Mapping[str, str] = BOT,
    ) -> str:
        """Make a commit by an account of the platform on top of `parent` and return its sha.

        Args:
            files: content by path; they are added or replaced.
            removed: files, or folders with all they hold, that are taken out first.
        """
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.git("read-tree", parent, variables=index)
            if removed:
                self.git("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", *removed, variables=index)
            for path, content in files.items():
                blob = self.git("hash-object", "-w", "--stdin", stdin=content).decode().strip()
                self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", variables=index)
            tree = self.git("write-tree", variables=index).decode().strip()
        return self.commit_tree(parent, message, tree, author)

    def commit_tree(self, parent: str, message: str, tree: str, author: Mapping[str, str] = BOT) -> str:
        """Make a commit with a tree that is here on top of `parent` and return its sha."""
        names = {
            f"GIT_{role}_{key.upper()}": value for role in ("AUTHOR", "COMMITTER") for key, value in author.items()
        }
        commit = self.git("commit-tree", tree, "-p", parent, variables=names, stdin=message.encode())
        return commit.decode().strip()

    def first_parents(self, tip: str, most: int) -> list[str]:
        """`tip` and what its branch was before, newest first."""
        return self.git("rev-list", "--first-parent", f"--max-count={most}", tip).decode().split()

    def without(self, merge: str, tip: str) -> str | None:
        """The tree of `tip` without what the merge commit `merge`, which it contains, brought to its first parent.

        `None` where that conflicts with what came after it, and where `merge` has not two parents.
        """
        if len(self.git("rev-list", "--parents", "--max-count=1", merge).split()) != 3:
            return None
        # What `git revert` would have made at once, merged with what came since.
        undone = self.commit_tree(merge, "", self.tree(f"{merge}^1"))
        done = self._run(("merge-tree", "--write-tree", "--no-messages", tip, undone), None, None)
        if done.returncode > 1:
            raise Failure(f"git merge-tree failed: {_one_line(done.stderr)}")
        return None if done.returncode else done.stdout.decode().strip()

    def tree(self, commit: str) -> str:
        """The id of a commit's tree."""
        return self.git("rev-parse", "--verify", f"{commit}^{{tree}}").decode().strip()

    def push(self, remote: Remote, commit: str, branch: str, replace: bool = False) -> None:
        """Push a commit to a branch. Raises `Moved` where the branch has other commits, unless they may be replaced."""
        reference = f"{'+' if replace else ''}{commit}:refs/heads/{branch}"
        # Sent again, a push whose answer was lost finds the branch as it left it.
        done = self._ask(remote, "push", "--quiet", "--no-verify", remote.url, reference)
        if done.returncode == 0:
            return
        reason = done.stderr.decode(errors="replace")
        if "non-fast-forward" in reason or "fetch first" in reason or "cannot lock ref" in reason:
            raise Moved(branch)
        raise Failure(f"git push to {branch} failed: {_one_line(done.stderr)}")


def _command(*arguments: str) -> list[str]:
    # The checkout may belong to another user than the one who runs the job.
    return ["git", "-c", "safe.directory=*", *arguments]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    # Paths come out of files that anybody may write: none of them is a pattern.
    return {**os.environ, "GIT_LITERAL_PATHSPECS": "1", **more}


def _one_line(output: bytes) -> str:
    return " ".join(output.decode(errors="replace").split())[:500]
