"""Starts the emulator for tests, as a process of its own on a free port of loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from aws import emulation
from example import EXAMPLE
from settings import ROOT

STOP_SECONDS = 60


@dataclass(frozen=True)
class Emulator:
    """A running emulator: the variables that send every AWS client to it, and clients of its services."""

    variables: dict[str, str]
    pid: int

    @property
    def url(self) -> str:
        return self.variables["AWS_ENDPOINT_URL"]

    def within(self, account: str) -> "Emulator":
        """The same as the administrator of another of its accounts sees it."""
        return Emulator({**self.variables, **emulation.credentials(account)}, self.pid)

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client that ignores this process's own environment."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region or self.variables["AWS_REGION"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            config=Config(proxies={}, retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )


@contextmanager
def emulator(work: Path, *arguments: str, checkout: Path = EXAMPLE) -> Iterator[Emulator]:
    """Until the block ends, with its clusters' API servers; `arguments` as `python -m emulator --help` has them."""
    work.mkdir(parents=True, exist_ok=True)
    places = (f"--state={work}", f"--checkout={checkout}")
    command = [sys.executable, "-m", "emulator", "--until-stdin-closes", *places, *arguments]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("tests/support", "infra"))}
    log = work / "emulator.log"
    with log.open("ab") as output:
        # Its standard input ends with this process, however that ends, so none is left behind.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True, env=found
        )
    assert process.stdin
    assert process.stdout
    try:
        lines = iter(process.stdout.readline, "")
        variables: dict[str, str] = {}
        for line in lines:
            if line == "ready\n":
                break
            name, _, value = line.removeprefix("export ").strip().partition("=")
            variables[name] = value
        else:
            raise AssertionError(f"the emulator did not start:\n{log.read_text()[-3000:]}")
        yield Emulator(variables, process.pid)
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
