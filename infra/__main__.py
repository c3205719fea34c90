"""The platform's Pulumi program: a stack is a cluster, and `clusters/<stack>/cluster.yaml` says what it is."""

import pulumi

import local
from settings import Paths, SettingsError, load_local

COMPOSERS = {"local": local.compose}


def main() -> None:
    cluster = load_local(pulumi.get_stack())
    COMPOSERS[cluster.provider](cluster, Paths.from_environment())


try:
    main()
except SettingsError as error:
    # The engine shows a RunError's message without a traceback.
    raise pulumi.RunError(str(error)) from None
