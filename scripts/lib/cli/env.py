"""Print the variables that make plain pulumi, kubectl, dvc and argocd work on a cluster."""

import argparse
import shlex
import sys
from pathlib import Path

import stack
from cli import app, console
from environment import environment
from settings import Paths


def exports(variables: dict[str, str]) -> str:
    """`export` lines that a shell can evaluate."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))


def _act(arguments: argparse.Namespace) -> int:
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    variables = environment(cluster, paths)
    if paths.secrets.is_dir():
        # What a moved checkout or a killed run left would make the first plain `pulumi` command fail.
        stack.prepare(cluster, paths, lambda line: console.err().print(line, markup=False))
    # The programs of this environment too: pulumi starts the interpreter, and dvc and ansible are useful by hand.
    variables["PATH"] = f"{variables['PATH']}:{Path(sys.executable).parent}"
    sys.stdout.write(exports(variables))
    return 0


def main() -> int:
    """The verb."""
    parser = app.parser(
        "env",
        "Print the variables that make plain pulumi, kubectl, dvc and argocd work on a cluster:\n"
        '  eval "$(scripts/env local)"',
    )
    parser.add_argument("cluster", nargs="?", default="local", help="a folder of clusters/ (default: %(default)s)")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
