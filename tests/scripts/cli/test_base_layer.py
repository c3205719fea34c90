"""The pod in which scripts/up makes the environments of jobs."""

import base64
import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import base_layer, git
from cli.failure import Failure
from cli.kube import Kubectl
from cli.steps import Context
from mlplatform.base_layer.environments import GROUPS, Environments, name_of
from mlplatform.base_layer.tools import PROGRAMS, Tools
from pod_sandbox import Node
from runner_harness.cluster import Cluster, api_server
from settings import ROOT, Paths, load_local

SMALL = ROOT / "requirements" / "bootstrap.txt"


@pytest.fixture
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "apps/runner-controller/pools/cpu/pool.yaml").read_text())
    return loaded


def archive(content: bytes, groups: tuple[str, ...] = GROUPS) -> bytes:
    """Locks of the same content for every group."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        for group in groups:
            entry = tarfile.TarInfo(f"requirements/{group}.txt")
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def commit(root: Path, groups: tuple[str, ...]) -> git.Repository:
    for group in groups:
        (root / "requirements").mkdir(exist_ok=True)
        (root / "requirements" / f"{group}.txt").write_text(f"{group}==1\n\n")
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "--quiet", root], check=True)
    subprocess.run(["git", "-C", root, "add", "."], check=True)
    subprocess.run(["git", "-C", root, *identity, "commit", "--quiet", "-m", "one"], check=True)
    return git.checkout(root)


def test_the_locks_are_those_of_a_commit_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    repository = commit(tmp_path / "repository", (*GROUPS, "dev"))
    (repository.folder / "requirements" / "ci.txt").write_text("edited\n")
    with tarfile.open(fileobj=io.BytesIO(base_layer.locks_of(repository, "HEAD", tmp_path))) as packed:
        files = [(Path(one.name), packed.extractfile(one)) for one in packed if one.isfile()]
        found = {path.stem: file.read().decode() for path, file in files if file}
    assert found == {group: f"{group}==1\n\n" for group in GROUPS}


def test_of_a_main_that_is_older_those_locks_are_taken_that_it_has(tmp_path: Path) -> None:
    repository = commit(tmp_path, ("ci", "ml"))
    assert base_layer.missing(base_layer.locks_of(repository, "HEAD", tmp_path), tmp_path) == ["ci", "ml"]


def test_a_commit_without_any_lock_is_refused(tmp_path: Path) -> None:
    repository = commit(tmp_path, ("dev",))
    with pytest.raises(Failure, match="HEAD has no lock of a group of jobs"):
        base_layer.locks_of(repository, "HEAD", tmp_path)


def test_what_is_missing_is_known_without_a_cluster(tmp_path: Path) -> None:
    locks = archive(SMALL.read_bytes(), ("ci", "ml"))
    assert base_layer.missing(locks, tmp_path) == ["ci", "ml"]
    lock = tmp_path / "ci.txt"
    lock.write_bytes(SMALL.read_bytes())
    (tmp_path / "environments" / name_of(lock, "cpython-399")).mkdir(parents=True)
    assert base_layer.missing(locks, tmp_path) == ["ci", "ml"], "a folder alone is not whole"
    (tmp_path / "environments" / f"{name_of(lock, 'cpython-399')}.json").touch()
    assert base_layer.missing(locks, tmp_path) == ["ml"]


def test_where_all_is_there_only_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    lock = tmp_path / "cache" / "runner" / "base" / "environments" / "ml.txt"
    lock.parent.mkdir(parents=True)
    lock.write_bytes(SMALL.read_bytes())
    (lock.parent / f"{name_of(lock)}.json").touch()
    paths = Paths(tmp_path / "state", tmp_path / "cache")
    # Answers everything, and writes down what it was asked.
    kubectl = paths.bin / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(f'#!/bin/sh\nshift 2\necho "$*" >>{tmp_path}/asked\n')
    kubectl.chmod(0o755)
    context = Said()
    note = base_layer.make(context, load_local("local"), paths, archive(SMALL.read_bytes(), ("ml",)))
    assert (note, context.lines) == ("nothing to make", [])
    asked = (tmp_path / "asked").read_text()
    assert asked == (
        "delete pod/base-layer configmap/base-layer --namespace runner-controller --ignore-not-found --grace-period=5\n"
    )


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A host with tools and a base layer that belongs to jobs."""
    root = tmp_path_factory.mktemp("host")
    paths = Paths(root / "state", root / "cache")
    for name in PROGRAMS:
        program = paths.tools / name / "v1" / name
        (program.parent / "manifests").mkdir(parents=True)
        (program.parent / "manifests" / "install.yaml").write_text("kind: List\n")
        program.write_text(name)
        paths.bin.mkdir(exist_ok=True)
        (paths.bin / name).symlink_to(program)
    base = paths.cache / "runner" / "base"
    base.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(base, 1000, 1000)
    for folder in (root, *root.parents):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    return paths


def test_b6_the_tools_of_checks_are_copied_with_the_rights_of_jobs(host: Paths) -> None:
    assert base_layer.give_tools(host) == ""
    found = Tools(host.cache / "runner" / "base" / "tools").newest()
    assert found
    assert (found / "kustomize" / "kustomize").read_text() == "kustomize"
    assert found.stat().st_uid == (1000 if os.geteuid() == 0 else os.geteuid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lose rights")
def test_b6_a_link_that_a_job_left_leads_the_copy_nowhere(host: Paths, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    link = host.cache / "runner" / "base" / "tools"
    link.symlink_to(tmp_path)
    assert "not copied, so jobs that need them fail: error: " in base_layer.give_tools(host)
    assert list(tmp_path.iterdir()) == []


def test_without_a_base_layer_or_a_tool_it_is_said(host: Paths) -> None:
    (host.tools / "etcd" / "v1" / "etcd").unlink()
    assert "etcd cannot be read: scripts/up makes the tools" in base_layer.give_tools(host)
    (host.cache / "runner" / "base").rmdir()
    assert base_layer.give_tools(host) == "there is no base layer yet"


def test_the_pod_holds_no_secret_but_the_hosts_network_settings(template: dict[str, Any]) -> None:
    template["template"]["spec"]["volumes"].append({"name": "key", "secret": {"secretName": "bot"}})
    [job] = template["template"]["spec"]["containers"]
    job["volumeMounts"].append({"name": "key", "mountPath": "/key"})
    job["env"].append({"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "bot", "key": "token"}}})
    _, pod = base_layer.documents(template, b"")
    spec = pod["spec"]
    [job] = spec["containers"]
    assert job["envFrom"] == [{"secretRef": {"name": "host-environment", "optional": True}}]
    assert "bot" not in json.dumps(pod)
    assert "dvc" not in json.dumps(job["envFrom"])
    assert "initContainers" not in spec
    assert spec["automountServiceAccountToken"] is False
    claims = {volume["name"] for volume in spec["volumes"] if "persistentVolumeClaim" in volume}
    [mount] = [mount for mount in job["volumeMounts"] if mount["name"] in claims]
    assert (mount["mountPath"], mount["subPath"], mount["readOnly"]) == ("/cache/base", "base", False)


@pytest.mark.parametrize(
    ("mount", "used"),
    [
        ({"name": "v", "mountPath": "/cache/base", "subPath": "base"}, False),
        ({"name": "other", "mountPath": "/cache"}, False),
        ({"name": "v", "mountPath": "/cache", "subPathExpr": "$(TRUST)"}, True),
        ({"name": "v", "mountPath": "/cache"}, True),
    ],
)
def test_a_job_of_an_earlier_version_keeps_its_caches(mount: dict[str, Any], used: bool) -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "ml-cache"}}, {"name": "other", "emptyDir": {}}]
    pod = {"spec": {"volumes": volumes, "containers": [{"name": "job", "volumeMounts": [mount]}]}}
    assert base_layer.uses_former([{"spec": {"containers": [{"name": "x"}]}}, pod]) is used


class Pods(Kubectl):
    """A cluster that has these pods."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self._pods = list(pods)

    def items(self, *_: str) -> list[dict[str, Any]]:
        return self._pods


class Said(Context):
    """A step's context that remembers what it printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_former_caches_are_removed_once_no_job_uses_them_and_links_are_not_followed(tmp_path: Path) -> None:
    volume, kept = tmp_path / "runner", tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (volume / "untrusted" / "venvs").mkdir(parents=True)
    (volume / "untrusted" / "venvs" / "link").symlink_to(kept)
    (volume / "base").mkdir()
    user = {
        "spec": {
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "ml-cache"}}],
            "containers": [{"volumeMounts": [{"name": "v", "mountPath": "/cache", "subPathExpr": "$(TRUST)"}]}],
        }
    }
    context = Said()
    base_layer.forget_former(Pods(user), volume, context)
    assert (volume / "untrusted").exists()
    assert "while a job uses them" in context.lines[0]
    base_layer.forget_former(Pods(), volume, context)
    assert sorted(path.name for path in volume.iterdir()) == ["base"]
    assert (kept / "file").exists()
    base_layer.forget_former(Pods(), volume, context)
    assert len(context.lines) == 2


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({}, "the pod starts"),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no such"}}}]},
            "the pod waits: ErrImagePull no such",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]},
            "the pod waits: Unschedulable 0/1",
        ),
    ],
)
def test_what_a_pod_waits_for_is_said(status: dict[str, Any], text: str) -> None:
    assert base_layer.waiting({"status": status}) == text


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with api_server(tmp_path_factory.mktemp("kubernetes")) as running:
        yield running


@pytest.mark.tools
def test_an_api_server_takes_both_documents_with_the_real_locks(kubernetes: Cluster, template: dict[str, Any]) -> None:
    """In a namespace that enforces the restricted profile, as the runners' does; a ConfigMap holds a MiB at most."""
    repository = git.checkout(ROOT)
    with git.scratch(repository) as scratch:
        locks = base_layer.locks_of(scratch, repository.git("rev-parse", "HEAD"), scratch.folder)
    template["template"]["spec"]["containers"][0]["image"] = "r:5000/runner-job@sha256:" + "a" * 64
    for document in base_layer.documents(template, locks):
        plural = f"{document['kind'].lower()}s"
        kubernetes.call("POST", f"/api/v1/namespaces/{base_layer.NAMESPACE}/{plural}", json=document)
    [config_map] = [one for one in kubernetes.objects("configmaps") if one["metadata"]["name"] == base_layer.NAME]
    assert len(json.dumps(config_map)) < 700_000


@pytest.mark.tools
def test_what_the_pod_runs_makes_whole_environments(
    template: dict[str, Any], tmp_path: Path, tool: Callable[[str], Path]
) -> None:
    (tmp_path / "claim" / "base").mkdir(parents=True)
    config_map, pod = base_layer.documents(template, archive(SMALL.read_bytes()))
    files = {name: base64.b64decode(text) for name, text in config_map["binaryData"].items()}
    # What the Secret of the host's network settings holds on this machine.
    network = {key: value for key, value in os.environ.items() if re.match(r"SSL_CERT|UV_|PIP_|.*_proxy$", key, re.I)}
    node = Node(tmp_path / "claim", {base_layer.NAME: files}, [tool("uv").resolve()], network)
    [job] = pod["spec"]["containers"]
    done = node.run_command(pod["spec"], "trusted", job["command"])
    assert done.returncode == 0, done.stderr
    assert f"the base layer has the environments of {', '.join(GROUPS)}" in done.stderr
    layer = Environments(tmp_path / "claim" / "base" / "environments", hashed=True)
    assert base_layer.missing(archive(SMALL.read_bytes()), layer.root.parent) == []
    assert len(list(layer.root.glob("*.json"))) == len(GROUPS)
    assert layer.check() == {}
    [ci] = (path for path in layer.root.glob("ci-*") if path.is_dir())

    # As jobs of branches have it: nothing is made there, what is there is used, what is not a job makes for itself.
    mounts = [{**mount, "readOnly": mount["mountPath"] == "/cache/base"} for mount in job["volumeMounts"]]
    spec = pod["spec"] | {"containers": [{**job, "volumeMounts": mounts}]}
    refused = node.run_command(spec, "untrusted", job["command"])
    assert refused.returncode == 2
    assert "error: /cache/base cannot be written: only jobs that main defines" in refused.stderr
    find = job["command"][2].replace("make /tmp/main", "find /tmp/main/requirements/ci.txt")
    found = node.run_command(spec, "untrusted", ["bash", "-euc", find])
    assert (found.stdout.strip(), found.stderr) == (f"/cache/base/environments/{ci.name}", "")
    (tmp_path / "empty" / "base").mkdir(parents=True)
    own = replace(node, claim=tmp_path / "empty").run_command(spec, "untrusted", ["bash", "-euc", find])
    assert own.stdout.strip() == f"/cache/environments/{ci.name}"
    assert f"the base layer has no environment {ci.name}: this job makes its own, which goes with its pod" in own.stderr
    assert list((tmp_path / "empty").rglob("*")) == [tmp_path / "empty" / "base"]
