"""Pulumi's gRPC messages without the SDK around them.

Importing `pulumi.runtime.proto` first runs `pulumi/__init__.py`, which loads the whole SDK: several times the start-up
time of a plugin that needs none of it. A process that only serves a provider therefore registers the two parent
packages as bare namespaces before it imports anything else.
"""

import importlib.util
import os
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

# The engine sends whole resources in one message and expects the same back.
MAX_MESSAGE_BYTES = 400 * 1024 * 1024
GRPC_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]


def without_sdk() -> None:
    """Make `pulumi.runtime.proto` importable on its own; does nothing where the SDK is loaded already."""
    if "pulumi" in sys.modules:
        return
    spec = importlib.util.find_spec("pulumi")
    if spec is None or spec.origin is None:
        sys.exit("the pulumi package is not installed in this environment; run scripts/up, which installs it")
    root = Path(spec.origin).parent
    for name, folder in (("pulumi", root), ("pulumi.runtime", root / "runtime")):
        module: Any = ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module


def allow_deep_messages() -> None:
    """Lift protobuf's limit on nesting, which the schemas of some custom resources exceed; the SDK does the same."""
    from google._upb._message import SetAllowOversizeProtos

    SetAllowOversizeProtos(True)


def announce(port: int) -> None:
    """Tell the engine, which reads one line from standard output, where the plugin listens."""
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def exit_with_parent(interval: float = 1.0) -> None:
    """End this process soon after the engine that started it is gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
