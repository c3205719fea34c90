"""`scripts/aws-emulator` and `python -m emulator`: AWS on a loopback port, until it is interrupted."""

import argparse
import logging
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

from emulator import prepared

# Read by moto when it is imported: whose account this is, managed policies can be attached, and no images are invented.
os.environ.setdefault("MOTO_ACCOUNT_ID", prepared.account_number())
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from emulator import account, strict
from emulator.account import ACCESS_KEY, SECRET_KEY
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


def main() -> int:
    options = _arguments()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.INFO)
    strict.install()
    account.issue_administrator(options.region[0])
    for region in options.region:
        strict.without_default_network(region)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="aws-emulator-", dir=options.state) as work:
        server = make_server(options.address, options.port, lambda *_: [], threaded=True, request_handler=Handler)
        url = f"http://{options.address}:{server.server_port}"
        servers = NoServers() if options.no_api_servers else Servers(Path(work), f"{url}{WEBHOOK}")
        server.app = App(Eks(servers, options.seconds), Ecr())
        thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
        thread.start()
        emulated = Emulator(_variables(url, options.region[0]), os.getpid())
        if options.prepared:
            prepared.prepare(emulated.client)
        _announce(emulated)
        if options.until_stdin_closes:
            threading.Thread(target=lambda: (sys.stdin.buffer.read(), stop.set()), daemon=True).start()
        stop.wait()
        servers.stop()
        server.shutdown()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/aws-emulator",
        description="AWS emulated on a loopback port: moto, and an extension for EKS and parts of ECR.",
        epilog="Prints the variables that send AWS clients to it, then serves until SIGINT or SIGTERM.",
    )
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--region", action="append", help="region without a default VPC (default: eu-central-1)")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long EKS takes for a change (default: 0.3)")
    parser.add_argument("--state", type=Path, help="folder for the clusters' data (default: the system's for such)")
    parser.add_argument(
        "--prepared", action="store_true", help="with the state's bucket and CI's roles, as infra/bootstrap leaves them"
    )
    parser.add_argument("--no-api-servers", action="store_true", help="clusters that are addresses only")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with whoever started it")
    options = parser.parse_args()
    options.region = options.region or ["eu-central-1"]
    return options


def _variables(url: str, region: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": region,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }


def _announce(emulated: Emulator) -> None:
    for name, value in emulated.variables.items():
        print(f"export {name}={value}")
    print("ready", flush=True)


if __name__ == "__main__":
    sys.exit(main())
