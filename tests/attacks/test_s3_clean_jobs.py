"""S3: whatever a branch's job plants, no later job of any class finds. The Pods are those that the controller builds,
run here with the mounts that their manifests ask for."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlplatform.base_layer import manifest
from mlplatform.base_layer.environments import Environments
from planting import LOOK, MARK, PLANT, found, planted
from pod_sandbox import Node
from runner_controller import pod as pods
from runner_controller.pools import from_template
from settings import ROOT

# They make namespaces, which a pod may not: no part of tier `unit`, which pull requests run in pods.
pytestmark = pytest.mark.tools

CLASSES = ("untrusted", "evaluation", "trusted")
ENVIRONMENT = "ml-0123456789ab-cpython-311"


def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "apps/runner-controller/pools/cpu/pool.yaml").read_text())
    return loaded


def of_an_earlier_version() -> dict[str, Any]:
    """The pool as it was when all jobs of a class shared one writable folder."""
    earlier = template()
    spec = earlier["template"]["spec"]
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in ("base", "cache")]
    spec["volumes"].append({"name": "cache", "persistentVolumeClaim": {"claimName": "ml-cache"}})
    [job] = spec["containers"]
    job["volumeMounts"] = [mount for mount in job["volumeMounts"] if mount["name"] not in ("base", "cache")]
    job["volumeMounts"].append({"name": "cache", "mountPath": "/cache", "subPathExpr": "$(TRUST)"})
    job["env"].append({"name": "TRUST", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x']"}}})
    return earlier


def spec_of(pool: dict[str, Any], trust: str) -> dict[str, Any]:
    """The spec of the Pod that the controller creates for a job of a class."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    entry = pods.Record(
        1, "uuid", "ml-cpu", "train", (), 600, moment, trust, "because", (), (), 60, called=moment
    )  # fmt: skip
    spec: dict[str, Any] = pods.build_pod(entry, from_template(pool))["spec"]
    return spec


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A volume as trusted jobs leave it: an environment with its manifest, and an object of DVC's."""
    packages = tmp_path / "claim" / "base" / "environments" / ENVIRONMENT / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "module.py").write_text("pass\n")
    recorded = manifest.of(packages.parents[2])
    manifest.write(packages.parents[3] / f"{ENVIRONMENT}.json", recorded)
    stored = tmp_path / "claim" / "base" / "dvc" / "files" / "md5" / "ab"
    stored.mkdir(parents=True)
    (stored / "cd").write_text("data")
    return Node(tmp_path / "claim")


@pytest.mark.parametrize("pool", [template(), of_an_earlier_version()], ids=["pool", "earlier-pool"])
@pytest.mark.parametrize("second", CLASSES)
@pytest.mark.parametrize("first", ["untrusted", "evaluation"])
def test_s3_what_a_job_plants_no_later_one_finds(node: Node, pool: dict[str, Any], first: str, second: str) -> None:
    output = node.run(spec_of(pool, first), first, PLANT)
    # It did what it could, within its own pod.
    assert {"a process", f"/tmp/{MARK}", f"/home/runner/{MARK}", f"/work/{MARK}", f"/cache/{MARK}"} <= planted(output)
    assert [place for place in planted(output) if place.startswith("/cache/base")] == []
    assert f"refused /cache/base/environments/{ENVIRONMENT}/lib/python3.11/site-packages/zz.pth" in output
    assert found(node.run(spec_of(pool, second), second, LOOK)) == []
    environments = node.claim / "base" / "environments"
    recorded = manifest.read(environments / f"{ENVIRONMENT}.json")
    assert manifest.problems(environments / ENVIRONMENT, recorded) == []
    assert [path for path in node.claim.rglob("*") if MARK in path.name] == []


@pytest.mark.parametrize("second", CLASSES)
def test_s3_a_trusted_jobs_own_files_go_with_it_and_the_base_layer_stays(node: Node, second: str) -> None:
    script = 'import pathlib\npathlib.Path("/cache/base/made").write_text("")\n'
    for place in ("/cache", "/cache/uv", "/tmp", "/home/runner", "/work"):
        script += f'pathlib.Path("{place}").mkdir(exist_ok=True); pathlib.Path("{place}/{MARK}").write_text("")\n'
    node.run(spec_of(template(), "trusted"), "trusted", script)
    assert found(node.run(spec_of(template(), second), second, LOOK)) == []
    listed = node.run(spec_of(template(), second), second, "import os; print(sorted(os.listdir('/cache/base')))")
    assert listed.strip() == "['dvc', 'environments', 'made']"


HOLD = """
import fcntl, os
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
    try:
        fcntl.flock(os.open("/cache/base/environments/.lock", flags), fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("holds it")
    except OSError as error:
        print(error.strerror)
"""


def test_s3_a_branchs_job_cannot_hold_up_those_who_make_environments(node: Node) -> None:
    """A lock on a file needs no right to write to it."""
    lock = node.claim / "base" / "environments" / ".lock"
    Environments(lock.parent, hashed=True).check()
    assert lock.exists()
    assert "holds it" in node.run(spec_of(template(), "trusted"), "trusted", HOLD)
    assert "holds it" not in node.run(spec_of(template(), "untrusted"), "untrusted", HOLD)


def test_s3_the_look_finds_what_an_unchanged_template_lets_through(node: Node) -> None:
    """As jobs ran before: with the mounts of an earlier template itself, the next one of the class has it all."""
    spec = of_an_earlier_version()["template"]["spec"]
    folder = node.claim / "untrusted" / "venvs" / "ml-0123456789ab" / "lib" / "python3.11" / "site-packages"
    folder.mkdir(parents=True)
    node.run(spec, "untrusted", PLANT)
    traces = found(node.run(spec, "untrusted", LOOK))
    assert f"/cache/{folder.relative_to(node.claim / 'untrusted')}/zz.pth" in traces
    assert f"/cache/dvc/files/md5/ab/{MARK}" in traces
    assert f"/cache/dvc/runs/ab/abcd/{MARK}" in traces
    assert f"/cache/uv/wheels-v5/pypi/six/{MARK}.whl" in traces
