"""The platform's Pulumi program: a stack is a cluster, and `clusters/<stack>/cluster.yaml` says what it is."""

import gc
from importlib import import_module

import pulumi

from settings import Paths, SettingsError, load_cluster

# By name, so that each stack imports only the AWS services that it uses: all of them take seconds.
COMPOSERS = {"local": "local", "aws": "aws_stage", "aws-shared": "aws_shared"}


def main() -> None:
    # A program lives for seconds, and what it imports stays: looking for garbage there takes a tenth of a preview.
    gc.disable()
    cluster = load_cluster(pulumi.get_stack())
    import_module(COMPOSERS[cluster.provider]).compose(cluster, Paths.from_environment())


try:
    main()
except SettingsError as error:
    # The engine shows a RunError's message without a traceback.
    raise pulumi.RunError(str(error)) from None
