"""Credentials for a stack: GitHub's identity for a role, or an emulator's; nothing else, and nothing printed."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ci import login
from ci.failure import Failure
from example import ACCOUNT, REGION, stage
from settings import ROOT

DEV = stage("dev")
POD = {
    "PATH": os.environ["PATH"],
    "AWS_ACCESS_KEY_ID": "dvc",
    "AWS_SECRET_ACCESS_KEY": "data-secret",
    "AWS_ENDPOINT_URL_S3": "http://10.0.0.1:7070",
    "AWS_CONFIG_FILE": "/pod/config",
}


@dataclass
class GitHub:
    """Plays the endpoint that gives a job its identity."""

    url: str = ""
    status: int = 200
    asked: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)

    def variables(self) -> dict[str, str]:
        return {**POD, login.REQUEST_URL: f"{self.url}/token?api-version=2.0", login.REQUEST_TOKEN: "request-secret"}


@pytest.fixture
def github() -> Iterator[GitHub]:
    state = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            state.asked.append((parts.path, parse_qs(parts.query), self.headers["Authorization"]))
            self.send_response(state.status)
            self.end_headers()
            self.wfile.write(json.dumps({"count": 1, "value": "identity.secret.jwt"}).encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        yield state
        server.shutdown()


@pytest.fixture(scope="module")
def sts() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.parametrize(
    ("purpose", "role"), [("preview", "ml-platform-preview"), ("deploy", "ml-platform-deploy-dev")]
)
def test_github_exchanges_the_jobs_identity_for_the_role_of_its_purpose(
    github: GitHub, sts: str, purpose: login.Purpose, role: str
) -> None:

    found = login.environment(DEV, purpose, github.variables(), sts)

    assert github.asked == [
        ("/token", {"api-version": ["2.0"], "audience": ["sts.amazonaws.com"]}, "bearer request-secret")
    ]
    assert found["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    session = boto3.Session(
        found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], found["AWS_SESSION_TOKEN"], REGION
    )
    arn = session.client("sts", endpoint_url=sts).get_caller_identity()["Arn"]
    assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/ml-platform"


def test_only_the_new_credentials_are_handed_on(github: GitHub, sts: str) -> None:
    found = login.environment(DEV, "preview", github.variables(), sts)
    assert {name for name in found if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    }
    assert login.REQUEST_TOKEN not in found
    assert found["PATH"] == POD["PATH"]


def test_where_there_is_an_emulator_its_credentials_are_used(github: GitHub) -> None:
    address = {"AWS_ENDPOINT_URL": "http://10.254.254.1:5001"}
    assert login.source({**github.variables(), **address}) is login.Source.EMULATOR
    found = login.environment(DEV, "deploy", {**github.variables(), **address})
    assert github.asked == []
    assert found["AWS_ENDPOINT_URL"] == "http://10.254.254.1:5001"
    assert found["AWS_ACCESS_KEY_ID"] == f"EMULATOR{ACCOUNT}"
    assert found["AWS_SECRET_ACCESS_KEY"] == "emulator"
    assert "AWS_ENDPOINT_URL_S3" not in found


def test_an_emulator_at_a_public_address_is_none(github: GitHub) -> None:
    variables = {**github.variables(), "AWS_ENDPOINT_URL": "https://evil.example"}
    with pytest.raises(Failure, match=r"AWS_ENDPOINT_URL: .* is no address of an emulator"):
        login.environment(DEV, "deploy", variables)
    assert github.asked == []


def test_elsewhere_there_is_nothing_and_it_says_what_to_do() -> None:
    assert login.source(POD) is login.Source.NONE
    # Gitea sets a variable that the repository does not have to nothing.
    assert login.source({**POD, "AWS_ENDPOINT_URL": ""}) is login.Source.NONE
    with pytest.raises(Failure, match="no AWS credentials for dev: on GitHub give the job `id-token: write`"):
        login.environment(DEV, "preview", POD)


def test_a_refused_identity_names_no_secret(github: GitHub, sts: str) -> None:
    github.status = 403
    with pytest.raises(Failure, match="refused the job's identity token: status 403") as caught:
        login.environment(DEV, "preview", github.variables(), sts)
    assert "secret" not in str(caught.value)


def test_a_role_that_trusts_nobody_is_named_with_the_fix(github: GitHub) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(403)
            self.end_headers()
            self.wfile.write(
                b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>identity.secret.jwt</Message></Error>"
                b"<RequestId>1</RequestId></ErrorResponse>"
            )

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        role = f"arn:aws:iam::{ACCOUNT}:role/ml-platform-preview"
        message = rf"AWS refused role {role} \(AccessDenied\): run infra/boot"
        with pytest.raises(Failure, match=message) as caught:
            login.environment(DEV, "preview", github.variables(), f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert "secret" not in str(caught.value)


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join(str(ROOT / folder) for folder in ("src", "scripts/lib", "ml/src", "infra"))
    environment = {**POD, "PYTHONPATH": path, **variables}
    return subprocess.run(
        [sys.executable, "-m", "ci.login", *arguments], env=environment, capture_output=True, text=True
    )


def test_a_command_runs_with_them_and_its_exit_status_counts() -> None:
    emulator = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5001"}
    here = login.aws_cluster("dev")
    done = run("dev", "preview", "sh", "-c", "echo $AWS_REGION $AWS_ACCESS_KEY_ID; exit 7", **emulator)
    assert (done.stdout, done.returncode) == (f"{here.region} EMULATOR{here.account}\n", 7)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "usage: scripts/ci/login"),
        (["dev", "destroy", "true"], "usage: scripts/ci/login"),
        (["nowhere", "preview", "true"], "there is no cluster 'nowhere'"),
        (["local", "preview", "true"], "provider: is 'local'; there is nothing to log in to"),
        (["dev", "preview", "true"], "no AWS credentials for dev"),
    ],
)
def test_bad_input_is_told_in_a_line(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_that_is_not_there_is_named() -> None:
    done = run("dev", "preview", "no-such-command", AWS_ENDPOINT_URL="http://127.0.0.1:5001")
    assert (done.returncode, done.stderr) == (
        2,
        "error: no-such-command cannot be started: No such file or directory\n",
    )
