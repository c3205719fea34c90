"""The platform's Pulumi program: a stack is a cluster, and `clusters/<stack>/cluster.yaml` says what it is."""

import gc
import sys
from importlib import import_module

import pulumi

from settings import ROOT, Paths, SettingsError, load_cluster

# The language host puts this folder on the path alone.
if str(ROOT / "src") not in sys.path:
    sys.path.append(str(ROOT / "src"))

# By name, so that each stack imports only the AWS services that it uses: all of them take seconds.
COMPOSERS = {"local": "local", "aws": "aws_stage", "aws-shared": "aws_shared"}


def main() -> None:
    cluster = load_cluster(pulumi.get_stack())
    import_module(COMPOSERS[cluster.provider]).compose(cluster, Paths.from_environment())


if __name__ == "__main__":
    # The engine's own process for it, which lives for seconds: looking there for garbage takes a tenth of a preview.
    gc.disable()
try:
    main()
except SettingsError as error:
    # The engine shows a RunError's message without a traceback.
    raise pulumi.RunError(str(error)) from None
