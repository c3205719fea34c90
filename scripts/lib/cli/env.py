"""Print the variables that make plain pulumi, kubectl, dvc and argocd work on a cluster."""

import argparse
import shlex
import sys
from pathlib import Path

import stack
from cli import app, console
from cli.failure import Failure
from environment import environment
from settings import AwsStage, LocalCluster, Paths, SettingsError, load_cluster


def exports(variables: dict[str, str]) -> str:
    """`export` lines that a shell can evaluate."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))


def _act(arguments: argparse.Namespace) -> int:
    if not isinstance(load_cluster(arguments.cluster), LocalCluster):
        return _on_aws(arguments.cluster)
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    variables = environment(cluster, paths)
    if paths.secrets.is_dir():
        # What a moved checkout or a killed run left would make the first plain `pulumi` command fail.
        stack.prepare(cluster, paths, lambda line: console.err().print(line, markup=False))
    return _print(variables)


def _on_aws(name: str) -> int:
    """What works without credentials is printed without them; what does not is said on stderr."""
    from cli import aws  # noqa: PLC0415 - AWS's client is slow to import, and this machine needs none

    there = aws.Environment(aws.load(name), Paths.from_environment())
    tell = console.err()
    try:
        there.prepare(lambda line: tell.print(line, markup=False), create=False)
        if isinstance(there.cluster, AwsStage) and (found := there.eks()) is not None:
            there.write_kubeconfig(found)
    except (Failure, SettingsError) as error:
        tell.print(f"note: {error}", markup=False)
    return _print(environment(there.cluster, there.paths))


def _print(variables: dict[str, str]) -> int:
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
