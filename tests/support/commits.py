"""A small repository of git, written commit by commit."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Git:
    """A repository in a folder; `init` makes it. Called, it is git."""

    root: Path

    def __call__(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-c", "core.excludesFile=", *arguments]
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(command, cwd=self.root, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def init(self, files: Mapping[str, str]) -> str:
        """Begin `main` with these files; returns the commit."""
        self("init", "--quiet", "--initial-branch=main")
        self.write(files)
        return self.commit()

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, by their paths."""
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)

    def commit(self) -> str:
        """Commit all that lies there; returns the commit."""
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--message=x")
        return self("rev-parse", "HEAD")

    def merge(self, branch: str) -> str:
        """Merge a branch into main by a commit of its own; returns that."""
        self("checkout", "--quiet", "main")
        self("merge", "--quiet", "--no-ff", "--message=x", branch)
        return self("rev-parse", "HEAD")
