"""Serve the Bento that this file belongs to, in one process.

`bentoml serve` would start a supervisor, which loads the service to learn its settings and then starts a worker that
loads it again; Kubernetes already supervises, and one load halves the time to Ready.
"""

import os
import tempfile
from pathlib import Path

import bentoml
import uvicorn
from bentoml._internal.log import configure_server_logging

BENTO = Path(__file__).resolve().parents[1]


def main() -> None:
    configure_server_logging()
    # BentoML's metrics take the form for several processes, which keep them in files here.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="metrics-")
    service = bentoml.load(str(BENTO), standalone_load=True)
    # The labels of the metrics.
    context = bentoml.server_context
    context.service_name = context.bento_name = service.name
    context.bento_version = service.bento.tag.version or ""
    context.service_routes = [method.route for method in service.apis.values()]
    server = uvicorn.Config(
        service.to_asgi(is_main=True),
        host=os.environ.get("HOST", "0.0.0.0"),  # noqa: S104 - in a pod this is the pod's address
        port=int(os.environ.get("PORT", "3000")),
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    uvicorn.Server(server).run()


if __name__ == "__main__":
    main()
