"""Takes out of a cluster on AWS what must go before it, as `cli.teardown` plans."""

import json
import time
from collections.abc import Callable

from cli.failure import Failure
from cli.kube import Kubectl
from cli.steps import Context
from cli.teardown import Document, Phase, Target, phases

_EVERY_SECONDS = 2.0
# What the server says of a kind that it does not have, and kubectl of an object that is gone by now.
_ABSENT = ("doesn't have a resource type", "could not find the requested resource", "not found")
_WORKLOAD = ("get", "statefulset", "argocd-application-controller", "-n", "argocd", "-o", "json")


def drain(kubectl: Kubectl, context: Context, clock: Callable[[], float] = time.monotonic) -> str:
    """Run every phase; returns what was done. Raises Failure naming what would not go."""
    done: list[str] = []
    for phase in phases(argocd_runs(kubectl)):
        count = _run(kubectl, phase, context, clock)
        if count:
            done.append(f"{count} {phase.title}")
    return ", ".join(done) or "nothing was left in it"


def argocd_runs(kubectl: Kubectl) -> bool:
    """Whether Argo CD can delete what its Applications deployed."""
    text = _quietly(kubectl, *_WORKLOAD)
    return bool(text) and bool(json.loads(text).get("status", {}).get("readyReplicas"))


def _run(kubectl: Kubectl, phase: Phase, context: Context, clock: Callable[[], float]) -> int:
    context.progress(phase.title)
    targets = phase.targets(_all(kubectl, phase.kind))
    for target in targets if phase.deletes else ():
        context.write(f"deleting {target}")
        _delete(kubectl, phase, target)
    if targets and phase.waits:
        _wait(kubectl, phase, context, clock)
    return len(targets) if phase.deletes else 0


def _wait(kubectl: Kubectl, phase: Phase, context: Context, clock: Callable[[], float]) -> None:
    """Until none is left. Raises Failure."""
    deadline = clock() + phase.seconds
    while left := phase.targets(_all(kubectl, phase.kind)):
        context.progress(f"{phase.title}: {len(left)} left, {left[0]}")
        if clock() > deadline:
            names = ", ".join(str(one) for one in left[:5])
            raise Failure(
                f"{phase.title}: still there after {phase.seconds // 60} minutes: {names}",
                "see why with kubectl describe (scripts/env prints what it needs); then run this again",
            )
        time.sleep(_EVERY_SECONDS)


def _delete(kubectl: Kubectl, phase: Phase, target: Target) -> None:
    where = [target.kind, target.name, *(["-n", target.namespace] if target.namespace else [])]
    if phase.finalizer:
        patch = json.dumps({"metadata": {"finalizers": [phase.finalizer]}})
        _quietly(kubectl, "patch", *where, "--type=merge", f"--patch={patch}")
    arguments = [f"--cascade={phase.cascade}", "--wait=false", "--ignore-not-found"]
    kubectl.run("delete", *where, *arguments)


def _all(kubectl: Kubectl, kind: str) -> list[Document]:
    text = _quietly(kubectl, "get", kind, "--all-namespaces", "-o", "json")
    found: list[Document] = json.loads(text)["items"] if text else []
    return found


def _quietly(kubectl: Kubectl, *arguments: str) -> str:
    """kubectl's answer, "" where there is no such object or kind. Raises Failure."""
    try:
        return kubectl.run(*arguments)
    except Failure as failure:
        if any(words in line for line in (*failure.tail, failure.message) for words in _ABSENT):
            return ""
        raise
