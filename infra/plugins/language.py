"""`pulumi-language-python`: runs a Python program for the Pulumi engine, in this process.

The SDK's automation API already holds the server; this adds what the command line needs around it. It does not ask
pip what is installed: the environment is locked, and the engine learns of each provider when the program registers it.
"""

import runpy
import sys
from collections.abc import Iterator
from concurrent import futures
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from plugins import child
from plugins.protocol import GRPC_OPTIONS, announce, exit_with_parent

# A preview holds one Run, one RunPlugin and few short calls; the rest of the threads would be idle.
THREADS = 4


class PythonHost(LanguageServer):
    """A LanguageRuntime whose program is the folder or file that `Pulumi.yaml` names as `main`."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def Handshake(self, request: Any, context: Any) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def Run(self, request: Any, context: Any) -> Any:
        program = Path(request.info.program_directory, request.info.entry_point)
        # As `python <program>` would; the engine's own argument (its address) is not the program's.
        sys.argv = [str(program)]

        def run() -> None:
            runpy.run_path(str(program), run_name="__main__")

        self.program = run
        return super().Run(request, context)  # type: ignore[no-untyped-call]

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        process = child.start(request.info.program_directory, request.args, request.pwd, request.env)
        context.add_callback(process.terminate)
        for stream, output in child.outputs(process):
            if stream == "stdout":
                yield language_pb2.RunPluginResponse(stdout=output)
            else:
                yield language_pb2.RunPluginResponse(stderr=output)
        yield language_pb2.RunPluginResponse(exitcode=process.wait())

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        found = {item.metadata["Name"]: item.version for item in metadata.distributions()}
        dependencies = [language_pb2.DependencyInfo(name=name, version=found[name]) for name in sorted(found)]
        return language_pb2.GetProgramDependenciesResponse(dependencies=dependencies)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=THREADS), options=GRPC_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(PythonHost(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    exit_with_parent()
    announce(port)
    server.wait_for_termination()
