"""S3: nothing that one job wrote reaches the next one, whatever the pool's template mounts."""

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner_controller import cache
from runner_controller import pod as pods
from runner_controller.pools import PoolError, from_template
from runner_controller.trust import Trust

POOL_FILE = Path(__file__).resolve().parents[3] / "apps" / "runner-controller" / "pools" / "cpu" / "pool.yaml"
CLAIM = {"name": "volume", "persistentVolumeClaim": {"claimName": "ml-cache"}}
# Whoever adds a class gets what a branch gets, until somebody decides otherwise here and there.
CLASSES = sorted({trust.value for trust in Trust} - {"refused"} | {"evaluation"})


def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(POOL_FILE.read_text())
    return loaded


def with_mounts(*mounts: dict[str, Any]) -> dict[str, Any]:
    """The pool with the claim mounted in its job (`job` at first) or another container in these ways."""
    changed = template()
    spec = changed["template"]["spec"]
    kept = [volume for volume in spec["volumes"] if "persistentVolumeClaim" not in volume]
    spec["volumes"] = [deepcopy(CLAIM), *[volume for volume in kept if volume["name"] != "cache"]]
    for container in (*spec["initContainers"], *spec["containers"]):
        container["volumeMounts"] = [
            mount for mount in container["volumeMounts"] if mount["name"] not in ("cache", "base")
        ]
    for mount in mounts:
        given = dict(mount)
        kind, where = ("initContainers", 0) if given.pop("in", "job") == "checkout" else ("containers", 0)
        spec[kind][where]["volumeMounts"].insert(0, {"name": "volume", **given})
    return changed


# As templates of an earlier version mount it, and in every way that a mistake or a bad will could.
TEMPLATES = {
    "as it is": template(),
    "earlier version": with_mounts({"mountPath": "/cache", "subPathExpr": "$(TRUST)"}),
    "whole and writable": with_mounts({"mountPath": "/cache"}),
    "base, writable": with_mounts({"mountPath": "/cache/base", "subPath": "base"}),
    "base, differently spelt": with_mounts({"mountPath": "/cache//base/", "subPath": "base", "readOnly": False}),
    "another folder": with_mounts({"mountPath": "/cache/base", "subPath": "trusted", "readOnly": True}),
    "elsewhere": with_mounts({"mountPath": "/home/runner/.cache"}, {"mountPath": "/work/x", "subPath": "base"}),
    "out of the folder": with_mounts({"mountPath": "/cache", "subPath": "base/.."}),
    "in the checkout": with_mounts({"in": "checkout", "mountPath": "/cache"}),
    "not mounted": with_mounts(),
}


def spec_of(pool: dict[str, Any], trust: str) -> dict[str, Any]:
    """The Pod's spec that the controller would create."""
    entry = pods.Record(
        task_id=1,
        runner="uuid",
        pool="ml-cpu",
        job="train",
        steps=(),
        timeout_seconds=60,
        started=datetime(2026, 1, 1, tzinfo=UTC),
        trust=trust,
        reason="because",
        granted=(),
        masked=(),
        start_timeout=60,
        called=datetime(2026, 1, 1, tzinfo=UTC),
    )
    spec: dict[str, Any] = pods.build_pod(entry, from_template(pool))["spec"]
    return spec


def shared(spec: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every mount of a claim: the container's name and the mount."""
    claims = {volume["name"] for volume in spec["volumes"] if "persistentVolumeClaim" in volume}
    return [
        (container["name"], mount)
        for container in (*spec["initContainers"], *spec["containers"])
        for mount in container["volumeMounts"]
        if mount["name"] in claims
    ]


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("trust", CLASSES)
def test_s3_a_job_has_the_base_layer_alone_and_only_a_trusted_one_writes_to_it(name: str, trust: str) -> None:
    spec = spec_of(deepcopy(TEMPLATES[name]), trust)
    # What fetches for a measurement is made of the job's container.
    assert [container for container, _ in shared(spec)] == (["fetch", "job"] if trust == "evaluation" else ["job"])
    for _, mount in shared(spec):
        assert {key: value for key, value in mount.items() if key != "name"} == {
            "mountPath": "/cache/base",
            "subPath": "base",
            "readOnly": trust != "trusted",
        }


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("trust", CLASSES)
def test_s3_all_else_that_a_job_writes_begins_empty_and_is_bounded(name: str, trust: str) -> None:
    spec = spec_of(deepcopy(TEMPLATES[name]), trust)
    own = {volume["name"]: volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume}
    [job] = spec["containers"]
    paths = [mount["mountPath"] for mount in job["volumeMounts"]]
    assert len(paths) == len(set(paths)), "the API server refuses two mounts at one path"
    names = [volume["name"] for volume in spec["volumes"]]
    assert len(names) == len(set(names))
    [folder] = [mount["name"] for mount in job["volumeMounts"] if mount["mountPath"] == "/cache"]
    assert folder in own
    assert all(entry["sizeLimit"] for entry in own.values())
    writable = {
        mount["name"] for mount in job["volumeMounts"] if mount["mountPath"] in ("/work", "/home/runner", "/tmp")
    }
    assert len(writable) == 3
    assert writable < set(own)
    assert job["securityContext"]["readOnlyRootFilesystem"] is True


def test_s3_the_room_that_the_template_gives_is_kept() -> None:
    pool = template()
    [volume] = [one for one in pool["template"]["spec"]["volumes"] if one["name"] == "cache"]
    volume["emptyDir"] = {"sizeLimit": "7Gi"}
    assert {"name": "cache", "emptyDir": {"sizeLimit": "7Gi"}} in spec_of(pool, "untrusted")["volumes"]
    volume["emptyDir"] = None
    assert {"name": "cache", "emptyDir": {"sizeLimit": cache.SIZE}} in spec_of(pool, "untrusted")["volumes"]


def test_s3_a_block_device_is_no_way_round() -> None:
    pool = with_mounts()
    pool["template"]["spec"]["containers"][0]["volumeDevices"] = [{"name": "volume", "devicePath": "/dev/x"}]
    assert "volumeDevices" not in spec_of(pool, "untrusted")["containers"][0]


def test_a_pool_without_a_claim_has_no_base_layer() -> None:
    pool = with_mounts()
    pool["template"]["spec"]["volumes"] = [volume for volume in pool["template"]["spec"]["volumes"] if volume != CLAIM]
    spec = spec_of(pool, "trusted")
    assert shared(spec) == []
    assert [mount for mount in spec["containers"][0]["volumeMounts"] if mount["mountPath"] == "/cache"]


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"name": "x", "hostPath": {"path": "/srv"}}, r"volume 'x' \(hostPath\) outlives its pod"),
        ({"name": "x", "nfs": {"server": "a", "path": "/"}}, r"\(nfs\) outlives its pod"),
        ({"name": "x", "csi": {"driver": "efs.csi.aws.com"}}, r"\(csi\) outlives its pod"),
        ({"name": "x", "persistentVolumeClaim": {"claimName": "other"}}, r"base, x are claims; one is allowed"),
    ],
)
def test_s3_a_template_with_another_volume_that_outlives_its_pod_is_refused(
    volume: dict[str, Any], message: str
) -> None:
    pool = template()
    pool["template"]["spec"]["volumes"].append(volume)
    with pytest.raises(PoolError, match=rf"PodTemplate ml-cpu: template\.spec\.volumes: .*{message}"):
        from_template(pool)
