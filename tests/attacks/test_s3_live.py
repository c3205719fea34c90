"""S3 on the platform: a job of a branch plants what it can, and no later job finds it, of whichever class."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from branch_jobs import NAMESPACE, BranchJobs
from live import Platform
from planting import LOOK, MARK, PLANT, found, planted
from runner_controller import cache

pytestmark = pytest.mark.host


@pytest.fixture
def look_as(live: Platform) -> Iterator[Callable[[str], str]]:
    """Looks around in a pod of a trust class, made of the pool's template as the controller makes a job's."""
    names: list[str] = []

    def run(trust: str) -> str:
        template = live.kubectl.get("podtemplate", "ml-cpu", "-n", NAMESPACE)["template"]
        spec = template["spec"] | {"initContainers": [], "restartPolicy": "Never"}
        cache.isolate(spec, trusted=trust == "trusted")
        spec["containers"] = [{**spec["containers"][0], "command": ["sleep", "600"], "resources": {}}]
        labels = {"app.kubernetes.io/component": "job", "ml-platform.dev/trust": trust}
        name = f"attack-s3-{trust}"
        names.append(name)
        live.kubectl.run("delete", "pod", name, "-n", NAMESPACE, "--ignore-not-found", "--grace-period=0", "--force")
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}}
        live.kubectl.run("create", "--filename=-", text=json.dumps({**pod, "spec": spec}))
        live.kubectl.run("wait", "--for=condition=Ready", f"pod/{name}", "-n", NAMESPACE, "--timeout=60s", timeout=70)
        command = ("exec", "-i", name, "-n", NAMESPACE, "--", "python3", "-")
        return live.kubectl.run(*command, text=LOOK, timeout=300)

    yield run
    for name in names:
        live.kubectl.run("delete", "pod", name, "-n", NAMESPACE, "--ignore-not-found", "--grace-period=0", "--force")


def test_s3_what_a_branchs_job_plants_no_later_job_finds(
    live: Platform, jobs: BranchJobs, look_as: Callable[[str], str]
) -> None:
    layer = live.paths.cache / "runner" / "base"
    assert list((layer / "environments").glob("ml-*.json")), "scripts/up made no environment: nothing to plant in"
    output = jobs.log(jobs.start(PLANT))
    assert {"a process", f"/tmp/{MARK}", f"/home/runner/{MARK}", f"/work/{MARK}", f"/cache/{MARK}"} <= planted(output)
    assert [place for place in planted(output) if place.startswith("/cache/base")] == []
    assert "refused /cache/base/environments/ml-" in output
    assert traces_on(layer.parent) == []
    assert found(jobs.log(jobs.start(LOOK))) == []
    for trust in ("untrusted", "evaluation", "trusted"):
        assert found(look_as(trust)) == [], trust


def traces_on(volume: Path) -> list[str]:
    """What lies on the volume and names the mark, or holds it where Python would run it."""
    command = ["grep", "--recursive", "--files-with-matches", "--include=*.pth", "--include=*.json", MARK, str(volume)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return [*done.stdout.splitlines(), *(str(path) for path in volume.rglob(f"*{MARK}*"))]
