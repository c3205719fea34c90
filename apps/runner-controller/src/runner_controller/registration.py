"""Keeps each pool's forge runner: registered once, remembered in a Kubernetes Secret."""

import base64
import logging

from runner_controller import __version__
from runner_controller.kube import KubeClient
from runner_controller.protocol import Credentials, RunnerClient, UnknownRunner
from runner_controller.settings import Settings

_log = logging.getLogger(__name__)


def _secret_name(pool: str) -> str:
    return f"runner-{pool}"


async def load(kube: KubeClient, pool: str, forge_url: str) -> Credentials | None:
    """The credentials of a pool's runner on this forge, if there are any. Raises KubeError."""
    secret = await kube.get("secrets", _secret_name(pool))
    if secret is None:
        return None
    data = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
    if data.get("forge") != forge_url or not data.get("uuid") or not data.get("token"):
        return None
    return Credentials(uuid=data["uuid"], token=data["token"])


async def ensure(kube: KubeClient, client: RunnerClient, pool: str, settings: Settings) -> None:
    """Make the client a registered runner with the pool's label. Raises KubeError, ForgeError or OSError."""
    client.credentials = await load(kube, pool, settings.forge_url)
    if client.credentials is not None:
        try:
            await client.declare(__version__, [pool])
            return
        except UnknownRunner:
            _log.warning("pool %s: the forge does not know its runner (any more)", pool)
            client.credentials = None
    token = settings.registration_token_file.read_text().strip()
    credentials = await client.register(pool, token, __version__, [pool])
    data = {"uuid": credentials.uuid, "token": credentials.token, "forge": settings.forge_url}
    await kube.apply(
        "secrets",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _secret_name(pool), "labels": {"app.kubernetes.io/managed-by": "runner-controller"}},
            "stringData": data,
        },
    )
    await client.declare(__version__, [pool])
    _log.info("pool %s: registered as runner %s", pool, credentials.uuid)
