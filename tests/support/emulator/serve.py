"""The emulator's process: moto with the extension behind one port. Importing it needs moto's environment."""

import argparse
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from aws import emulation
from emulator import account, ecr, prepared, strict
from emulator.api_servers import NoServers, Servers
from emulator.app import WEBHOOK, App
from emulator.ecr import Ecr
from emulator.eks import Eks
from emulator.process import Emulator


class Handler(MotoRequestHandler):
    """Says nothing about requests that went well."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if str(code).startswith("5"):
            super().log_request(code, size)


def serve(options: argparse.Namespace, administrators: Mapping[str, str], region: str) -> int:
    """Emulate AWS until a signal.

    Args:
        options: as `python -m emulator` takes them.
        administrators: the number of each account, and the ARN of the role that its credentials act as.
        region: where the accounts are empty; others have what every new account has.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.INFO)
    strict.install()
    ecr.install()
    for number, role in administrators.items():
        account.issue_administrator(number, region, role)
        strict.without_default_network(number, region)
    stop = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="aws-emulator-", dir=options.state) as work:
        server = make_server(options.address, options.port, lambda *_: [], threaded=True, request_handler=Handler)
        url = f"http://{options.address}:{server.server_port}"
        servers = NoServers() if options.no_api_servers else Servers(Path(work), f"{url}{WEBHOOK}")
        server.app = App(Eks(servers, options.seconds), Ecr())
        thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
        thread.start()
        first = next(iter(administrators))
        variables = {"AWS_ENDPOINT_URL": url, "AWS_REGION": region, **emulation.credentials(first)}
        emulated = Emulator(variables, os.getpid())
        if options.prepared:
            prepared.prepare(emulated, options.checkout)
        _announce(emulated)
        if options.until_stdin_closes:
            threading.Thread(target=_set_at_end_of_input, args=(stop,), daemon=True).start()
        stop.wait()
        servers.stop()
        server.shutdown()
    return 0


def _set_at_end_of_input(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


def _announce(emulated: Emulator) -> None:
    for name, value in emulated.variables.items():
        print(f"export {name}={value}")
    print("ready", flush=True)
