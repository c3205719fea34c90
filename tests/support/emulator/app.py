"""The emulator's HTTP application: the extension's operations, the API servers' webhook, and moto for all else."""

import contextlib
import functools
import json
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Request as HttpRequest
from werkzeug.wrappers import Response

from emulator import account, tokens, wire
from emulator.ecr import Ecr
from emulator.eks import Eks
from emulator.wire import Answer, Failure, Request

WEBHOOK = "/emulator/token-review"
READY = "/emulator/ready"
SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")

Start = Callable[..., Any]
log = logging.getLogger(__name__)


class App:
    """A WSGI application."""

    def __init__(self, eks: Eks, ecr: Ecr) -> None:
        self._eks = eks
        # EKS is ours whole; of ECR only what moto lacks.
        self._services: dict[str, tuple[Any, bool]] = {"eks": (eks, True), "ecr": (ecr, False)}
        self._moto = DomainDispatcherApplication(create_backend_app)
        # A host's backend stays the same, and moto lists its own folder to find it: half of a request's time.
        self._moto.get_backend_for_host = functools.cache(self._moto.get_backend_for_host)  # type: ignore[method-assign]

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == READY:
            return Response("ready\n")(environ, start)
        if path.startswith(f"{WEBHOOK}/"):
            return self._review(environ, path.removeprefix(f"{WEBHOOK}/"))(environ, start)
        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        if scope and scope[3] in self._services:
            response = self._extension(environ, *scope.groups())
            if response is not None:
                return response(environ, start)
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer

    def _extension(self, environ: dict[str, Any], key: str, region: str, service: str) -> Response | None:
        """The extension's answer; None for what is moto's."""
        backend, whole = self._services[service]
        http = HttpRequest(environ)
        # Its body is read only once, so not before it is known to be ours.
        head = Request(http.method, environ["RAW_URI"], dict(http.headers), b"")
        found = wire.operation(service, head)
        method = getattr(backend, wire.method_name(found), None) if found else None
        if method is None and not whole:
            return None
        request = Request(head.method, head.target, head.headers, http.get_data())
        try:
            if found is None or method is None:
                raise Failure("NotImplemented", f"the emulator has no {found.name if found else head.target}")
            with backend.lock:
                output = method(account.where(key, region), wire.parameters(found, request))
                answer = wire.answer(found, output)
        except Failure as error:
            answer = wire.failure(service, found, error)
        except Exception as error:
            log.exception("%s %s", service, found and found.name)
            answer = wire.failure(service, found, Failure("InternalFailure", f"{type(error).__name__}: {error}"))
            answer = Answer(500, answer.headers, answer.body)
        return Response(answer.body, answer.status, answer.headers)

    def _review(self, environ: dict[str, Any], cluster: str) -> Response:
        """Answer an API server's TokenReview."""
        review = json.loads(HttpRequest(environ).get_data())
        own = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        with contextlib.suppress(KeyError), self._eks.lock:
            status = tokens.review(review["spec"]["token"], cluster, self._eks.named(cluster), own)
            return Response(json.dumps({**review, "status": status}), 200, {"Content-Type": "application/json"})
        return Response("no TokenReview\n", 400)
