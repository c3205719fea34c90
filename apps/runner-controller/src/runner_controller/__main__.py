"""`python3 -m runner_controller`: serves until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys

import httpx

from runner_controller.controller import Controller
from runner_controller.health import Health
from runner_controller.kube import KubeClient
from runner_controller.settings import Settings, SettingsError


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    health = Health()
    kube = KubeClient.in_cluster(os.environ)
    beat = asyncio.create_task(health.beat())
    # The forge is an address of the platform, never behind the host's proxy.
    with health.serve(settings.port):
        async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
            await Controller(settings, kube, http, health).run(stop)
    beat.cancel()
    await kube.close()


def main() -> int:
    """Run the controller; the exit code (2: a setting is wrong)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment(os.environ)
        asyncio.run(_serve(settings))
    except SettingsError as error:
        print(f"runner-controller: {error}", file=sys.stderr)
        return 2
    except (KeyError, OSError) as error:
        print(f"runner-controller: not in a pod of a cluster? {error!r}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
