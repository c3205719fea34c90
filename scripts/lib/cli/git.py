"""Git without touching the caller's checkout: every write happens in a scratch repository that borrows its objects."""

import base64
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli import process
from cli.failure import Failure


@dataclass(frozen=True)
class Login:
    """An account of the forge and its password or token."""

    user: str
    password: str

    def environment(self, url: str) -> dict[str, str]:
        """Variables that make git send this login to `url` only; it is on no command line and in no file."""
        return _configuration({f"http.{url}.extraHeader": f"Authorization: {self.basic}"})

    @property
    def basic(self) -> str:
        """The value of an HTTP Authorization header."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


@dataclass(frozen=True)
class Repository:
    """A git repository and the variables with which git runs in it."""

    folder: Path
    variables: Mapping[str, str]

    def git(self, *arguments: str, text: str | None = None, timeout: float = 300, fix: str = "") -> str:
        """Run git here and return its stdout without the final newline. Raises Failure with its stderr."""
        command = ["git", *arguments]
        environment = {**_clean(os.environ), **self.variables}
        return process.output(
            command, environment=environment, folder=self.folder, text=text, timeout=timeout, fix=fix
        ).rstrip("\n")

    def succeeds(self, *arguments: str) -> bool:
        """Whether git exits with status 0."""
        environment = {**_clean(os.environ), **self.variables}
        return (
            subprocess.run(["git", *arguments], cwd=self.folder, env=environment, capture_output=True).returncode == 0
        )

    def commit(self, revision: str) -> str | None:
        """The commit that `revision` names, or None when there is none."""
        name = f"{revision}^{{commit}}"
        return (
            self.git("rev-parse", "--verify", name) if self.succeeds("rev-parse", "--verify", "--quiet", name) else None
        )


def checkout(root: Path) -> Repository:
    """The caller's checkout, for reading. Raises Failure when `root` is no git checkout with a commit."""
    # GIT_OPTIONAL_LOCKS: `git status` must not even refresh the index. safe.directory: root may run in a user's clone.
    variables = {"GIT_OPTIONAL_LOCKS": "0", **_configuration({"safe.directory": "*"})}
    repository = Repository(root, variables)
    if repository.commit("HEAD") is None:
        raise Failure(f"{root} is not a git checkout with a commit", "clone the repository with git, then run it there")
    return repository


@contextmanager
def scratch(source: Repository, login: Login | None = None, url: str = "") -> Iterator[Repository]:
    """A bare repository for one use which sees the objects of `source`; it sends `login` to `url`."""
    objects = source.git("rev-parse", "--path-format=absolute", "--git-path", "objects")
    with tempfile.TemporaryDirectory(prefix="ml-platform-git-") as folder:
        variables = {
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
            "GIT_TERMINAL_PROMPT": "0",
            **(login.environment(url) if login else {}),
        }
        repository = Repository(Path(folder), variables)
        repository.git("init", "--quiet", "--bare", "--initial-branch=main", ".")
        yield repository


def has_whole_history(repository: Repository) -> bool:
    """Whether every ancestor of HEAD is here: neither a shallow nor a partial clone."""
    if repository.git("rev-parse", "--is-shallow-repository") == "true":
        return False
    return not repository.succeeds("config", "--get-regexp", r"^remote\..*\.promisor$")


def uncommitted(repository: Repository) -> list[str]:
    """Paths that differ from HEAD or are untracked (ignored ones apart)."""
    listing = repository.git("status", "--porcelain", "--untracked-files=normal", "-z")
    return [entry[3:] for entry in listing.split("\0") if len(entry) > 3]


def _configuration(settings: Mapping[str, str]) -> dict[str, str]:
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Without GIT_*: a hook or an alias that calls a verb exports GIT_DIR and GIT_INDEX_FILE of its own repository."""
    return {key: value for key, value in environment.items() if not key.startswith("GIT_")}
