"""Read the cluster through kubectl."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli import process
from cli.failure import Failure
from settings import Paths


class Kubectl:
    """kubectl of the toolchain with the platform's own kubeconfig, whatever the caller's KUBECONFIG says.

    For another cluster: its `kubeconfig`, and the `environment` with which kubectl finds its credentials.
    """

    def __init__(
        self, paths: Paths, kubeconfig: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._base: list[str | Path] = [paths.bin / "kubectl", f"--kubeconfig={kubeconfig or paths.kubeconfig}"]
        self._environment = environment

    def run(self, *arguments: str, text: str | None = None, timeout: float = 30) -> str:
        """Run kubectl and return its stdout. Raises Failure with its stderr."""
        return process.output(
            [*self._base, f"--request-timeout={timeout:.0f}s", *arguments],
            environment=self._environment,
            text=text,
            timeout=timeout + 5,
        )

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get ... -o json` as a dictionary. Raises Failure."""
        document: dict[str, Any] = json.loads(self.run("get", *arguments, "-o", "json"))
        return document

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """The items of a list. Raises Failure."""
        found: list[dict[str, Any]] = self.get(*arguments)["items"]
        return found

    def find(self, *arguments: str) -> dict[str, Any] | None:
        """One object, or None when it, its kind or its namespace does not exist. Raises Failure."""
        try:
            return self.get(*arguments)
        except Failure as failure:
            if any("not found" in line.lower() or "doesn't have a resource type" in line for line in failure.tail):
                return None
            raise

    def ready(self, timeout: float = 5) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return self.run("get", "--raw", "/readyz", timeout=timeout) == "ok"
        except Failure:
            return False


def condition(resource: dict[str, Any], kind: str) -> bool:
    """Whether the condition `kind` of a resource is True."""
    conditions = resource.get("status", {}).get("conditions", [])
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)
