"""`scripts/aws-emulator` and `python -m emulator`: AWS on a loopback port, until it is interrupted."""

import argparse
import os
import sys
from pathlib import Path

from emulator import prepared
from settings import ROOT, SettingsError


def main() -> int:
    options = _arguments()
    try:
        administrators, region = prepared.administrators(options.checkout)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # Read by moto when it is imported: managed policies can be attached, and no images are invented.
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    from emulator import serve  # noqa: PLC0415 - moto reads its environment when it is imported

    return serve.serve(options, administrators, region)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/aws-emulator",
        description="AWS emulated on a loopback port: moto, and an extension for EKS and parts of ECR.",
        epilog="Prints the variables that send AWS clients to it, then serves until SIGINT or SIGTERM.",
    )
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long EKS takes for a change (default: 0.3)")
    parser.add_argument(
        "--state", type=Path, help="where the clusters' data lie meanwhile (default: a temporary folder)"
    )
    parser.add_argument(
        "--checkout",
        type=Path,
        default=ROOT,
        help="its clusters/ name the accounts and the region (default: this checkout)",
    )
    parser.add_argument(
        "--prepared", action="store_true", help="with the state's bucket and CI's roles, as infra/bootstrap leaves them"
    )
    parser.add_argument("--no-api-servers", action="store_true", help="emulate clusters without an API server")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when standard input is closed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
