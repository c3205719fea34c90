"""`python3 -m merge_bot`: serves until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys

from merge_bot.api import ForgeError
from merge_bot.bot import Bot
from merge_bot.health import Health
from merge_bot.server import Server
from merge_bot.settings import Settings, SettingsError, secret

# Between two turns, however many webhooks come; and until one that has more to do.
PAUSE = 1.0

_log = logging.getLogger("merge_bot")


async def _serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    stop, woken = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _set, stop, woken)
    health = Health()
    server = await Server(health, lambda: secret(settings.webhook_secret_file), woken.set).start(settings.port)
    bot = Bot(settings, health)
    async with server:
        while not stop.is_set():
            woken.clear()
            again = await asyncio.to_thread(_turn, bot, health)
            await _wait(stop, PAUSE)
            if not again:
                await _wait(woken, settings.interval)
    bot.close()


def _set(*events: asyncio.Event) -> None:
    for event in events:
        event.set()


def _turn(bot: Bot, health: Health) -> bool:
    """One turn; what goes wrong in it is said, and the next one tries again."""
    try:
        again = bot.turn()
    except (ForgeError, SettingsError) as error:
        health.errors.inc()
        _log.warning("%s", error)
    except Exception:
        health.errors.inc()
        _log.exception("a turn failed")
    else:
        health.turned(succeeded=True)
        return again
    health.turned(succeeded=False)
    return False


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def main() -> int:
    """Run the bot; the exit code (2: a setting is wrong)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment(os.environ)
        settings.rules()
        for path in (settings.token_file, settings.webhook_secret_file):
            secret(path)
        asyncio.run(_serve(settings))
    except SettingsError as error:
        print(f"bot: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"bot: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
