"""The release of a trained model: real registry, crane, forge and object store, and the project's own service."""

import base64
import hashlib
import json
import os
import re
import secrets
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest
import yaml

import forge
import measured_project
from ci import deploy, git, image, measurements
from ci.store import Store
from ci.tree import CommitTree
from runner_harness.process import free_port, serving

pytestmark = pytest.mark.tools

Project = Any
Tool = Callable[[str], Path]
PUSH = "release.yml push"
BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
JUDGED = ("train.yml pull_request", "report.yml pull_request_target")
# A deployment has nothing to train.
DEPLOYED = "report.yml pull_request_target"
OVERLAY = "apps/classifier/overlays/dev/kustomization.yaml"
CONFIGURATION = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}/data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}
"""


@dataclass(frozen=True)
class Registry:
    """A registry that asks for a login, and a base image in it."""

    host: str
    password: str
    base: str

    def get(self, path: str, kind: str = "manifests") -> dict[str, Any]:
        """A manifest or blob of `classifier` as JSON."""
        accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        url = f"http://{self.host}/v2/classifier/{kind}/{path}"
        response = httpx.get(url, auth=("platform", self.password), headers={"Accept": accept}, follow_redirects=True)
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()
        return content

    def tags(self) -> list[str]:
        """The tags of `classifier`."""
        answer = httpx.get(f"http://{self.host}/v2/classifier/tags/list", auth=("platform", self.password))
        return answer.json().get("tags") or []

    def forget(self, digest: str) -> None:
        """Delete a manifest of `classifier` with its tags."""
        url = f"http://{self.host}/v2/classifier/manifests/{digest}"
        assert httpx.delete(url, auth=("platform", self.password)).status_code == 202


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, tool: Tool) -> Iterator[Registry]:
    root = tmp_path_factory.mktemp("registry")
    port = free_port()
    password = secrets.token_hex(8)
    (root / "htpasswd").write_bytes(b"platform:" + bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)) + b"\n")
    (root / "config.yml").write_text(CONFIGURATION.format(root=root, port=port))
    host = f"127.0.0.1:{port}"
    command = ["docker-registry", "serve", str(root / "config.yml")]
    with serving(command, root, {}, f"http://{host}/v2/"):
        login = base64.b64encode(f"platform:{password}".encode()).decode()
        (root / "config.json").write_text(json.dumps({"auths": {host: {"auth": login}}}))
        (root / "release").write_text("a base image\n")
        with tarfile.open(root / "base.tar", "w") as layer:
            layer.add(root / "release", arcname="etc/release")
        reference = f"{host}/library/python:base"
        crane = [tool("crane"), "append", "--new_layer", root / "base.tar", "--new_tag", reference]
        environment = {**os.environ, "DOCKER_CONFIG": str(root)}
        done = subprocess.run(crane, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        # A base that says where its programs are, as upstream's does.
        crane = [tool("crane"), "mutate", reference, f"--env=PATH={BASE_PATH}", "--cmd=python3", "--tag", reference]
        done = subprocess.run(crane, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        yield Registry(host, password, f"library/python@{done.stdout.strip().rpartition('@')[2]}")


@pytest.fixture
def project(new_project: Callable[[Mapping[str, str]], Project], registry: Registry, tool: Tool) -> Project:
    """A project whose jobs may push to the registry."""
    return releasing(new_project({"ml/.gitignore": "/model\n/prepared\n__pycache__/\n"}), registry, tool)


def releasing(made: Project, registry: Registry, tool: Tool) -> Project:
    """The project with what its jobs need to push to the registry."""
    made.variables.update(
        REGISTRY_HOST=registry.host,
        REGISTRY_USERNAME="platform",
        REGISTRY_PASSWORD=registry.password,
        PYTHON_IMAGE=registry.base,
        PATH=f"{tool('crane').parent}:{os.environ['PATH']}",
    )
    return made


def merge_trained(project: Project, branch: str, learning_rate: float) -> str:
    """Train a change of the parameters, merge it, and return main's commit."""
    text = (project.root / "ml/params.yaml").read_text()
    changed = re.sub(r"learning_rate: [\d.]+", f"learning_rate: {learning_rate}", text)
    pull = project.propose(branch, {"ml/params.yaml": changed})
    tasks = project.take("train.yml pull_request", "report.yml pull_request_target")
    project.run(tasks["train.yml pull_request"])
    project.finish(tasks["report.yml pull_request_target"])
    project.run(project.take("report.yml workflow_run")["report.yml workflow_run"])
    project.drop("train.yml pull_request", "report.yml pull_request_target", "report.yml workflow_run")
    head = project.member.pull_request(pull.number).head_sha
    assert project.gate(head).state == "success"
    merged: str = project.member.merge_pull_request(pull.number, head)
    return merged


def test_a_merged_model_is_released_once_and_deployed_by_pull_request(project: Project, registry: Registry) -> None:
    commit = merge_trained(project, "first", 0.98)
    task = project.take(PUSH)[PUSH]
    output = project.run(task)

    # The deploy pull request, with its evidence.
    [deploy] = project.member.pull_requests()
    digest = output.partition(f"image {registry.host}/classifier@")[2].split()[0]
    assert deploy.head_branch == f"deploy/classifier-dev-{digest[7:19]}"
    assert deploy.title == f"Deploy classifier {digest[7:19]} to dev"
    assert deploy.author == "bot"
    assert project.member.changed_files(deploy.number) == [OVERLAY]
    overlay = project.member.read_file(OVERLAY, deploy.head_branch).decode()
    assert overlay.splitlines()[-2:] == ["  - name: classifier", f"    digest: {digest}"]
    assert registry.host not in overlay
    project.git("fetch", "--quiet", "origin")
    assert project.git("log", "-1", "--format=%H", commit, "--", "ml/dvc.lock") in deploy.body
    assert "| `accuracy` | 0.98 |" in deploy.body
    assert "git revert" in deploy.body

    # The image is the base, the dependencies and the Bento, and starts the service as nobody special.
    manifest = registry.get(digest)
    config = registry.get(manifest["config"]["digest"], "blobs")
    assert len(manifest["layers"]) == 3
    # By name: where the base has its Python is on the base's PATH (D2; tests/ml/service starts it on several).
    assert config["config"]["Entrypoint"] == ["python3.11", "/opt/classifier/bento/src/run.py"]
    assert f"PATH={BASE_PATH}" in config["config"]["Env"]
    assert config["config"]["User"] == "1000:1000"
    assert "Cmd" not in config["config"]
    assert "PYTHONPATH=/opt/classifier/site-packages" in config["config"]["Env"]
    assert config["config"]["Labels"]["ml-platform.dev/model-digest"] in deploy.body

    # The gate knows what release has published.
    project.run(project.take(DEPLOYED)[DEPLOYED])
    assert project.gate(deploy.head_sha).state == "success"

    # The same job again changes nothing.
    assert f"#{deploy.number} proposes this image already" in project.run_again(task)
    assert len(project.member.pull_requests()) == 1

    # The same inputs give the same image, also where the registry has lost it.
    registry.forget(digest)
    assert f"image {registry.host}/classifier@{digest}" in project.run_again(task)

    # A push that touches neither model nor service releases nothing new.
    docs = project.propose("docs", {"README.md": "text\n"})
    merge(project, docs, *JUDGED, "report.yml workflow_run")
    assert f"#{deploy.number} proposes this image already" in project.run(project.take(PUSH)[PUSH])

    # A newer model supersedes the open proposal.
    merge_trained(project, "second", 0.985)
    project.run(project.take(PUSH)[PUSH])
    [newer] = project.member.pull_requests()
    assert newer.head_branch != deploy.head_branch
    assert not project.member.pull_request(deploy.number).open
    assert project.member.branch(deploy.head_branch) is None
    assert f"Superseded by #{newer.number}" in project.member.comments(deploy.number)[-1].body

    # Deploying it starts no release, and its overlay then has the image.
    merge(project, newer, DEPLOYED)
    assert project.runner.take(3) is None
    assert "has this image already" in project.run_again(task)

    look_while_it_is_merged(project)
    assert project.member.pull_requests() == []


def look_while_it_is_merged(project: Project) -> None:
    """What another release does that looked at main just before the deployment was merged."""
    project.git("fetch", "--quiet", project.url, "main")
    before, merged = project.git("rev-parse", "FETCH_HEAD^1", "FETCH_HEAD").split()
    [image_of_main] = yaml.safe_load(project.git("show", f"{merged}:{OVERLAY}"))["images"]
    proposal = deploy.Proposal("classifier", "dev", image_of_main["digest"], "", "", before, None, "")
    repository = git.Repository(project.root)
    looks = iter([CommitTree(repository, before), CommitTree(repository, merged)])
    url, token = project.variables["FORGE_URL"], project.variables["BOT_TOKEN"]
    with closing(forge.connect("gitea", url, project.name, forge.Token(token))) as bot:
        remote = git.Remote(f"{url}/{project.name}.git", token)
        deploy.propose(bot, repository, remote, lambda: next(looks), proposal)
    assert list(looks) == []


def merge(project: Project, pull: Any, *jobs: str) -> None:
    """Merge a pull request whose jobs are not looked at."""
    project.drop(*jobs)
    project.member.merge_pull_request(pull.number, pull.head_sha)


def test_s14_a_release_that_was_killed_before_its_pull_request_is_completed_by_the_next_run(project: Project) -> None:
    merge_trained(project, "first", 0.98)
    task = project.take(PUSH)[PUSH]
    project.run(task)
    [deploy] = project.member.pull_requests()
    # What a kill between the push of the image and the pull request leaves: its branch at most.
    bot = forge.connect(
        "gitea", project.variables["FORGE_URL"], project.name, forge.Token(project.variables["BOT_TOKEN"])
    )
    with closing(bot):
        bot.comment(deploy.number, "Superseded: the test takes it away.")
        bot.close_pull_request(deploy.number)

    project.drop(DEPLOYED)
    merge(project, project.propose("docs", {"README.md": "text\n"}), *JUDGED, "report.yml workflow_run")
    project.run(project.take(PUSH)[PUSH])

    [again] = project.member.pull_requests()
    assert (again.title, again.number > deploy.number) == (deploy.title, True)


def test_a_deploy_pull_request_that_a_person_closed_stays_closed(project: Project) -> None:
    merge_trained(project, "first", 0.98)
    task = project.take(PUSH)[PUSH]
    project.run(task)
    [deploy] = project.member.pull_requests()
    project.member.close_pull_request(deploy.number)
    assert f"#{deploy.number}, which proposed this image, was closed: reopen it" in project.run_again(task)
    assert project.member.pull_requests() == []


def test_s3_a_release_leaves_what_main_names_in_the_base_layer(
    project: Project, jobs_cache: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    (cache / "base").mkdir(parents=True)
    for shared in ("environments", "layers"):
        (jobs_cache / shared).mkdir(exist_ok=True)
        (cache / shared).symlink_to(jobs_cache / shared)
    project.variables["CACHE_DIR"] = str(cache)
    merge_trained(project, "first", 0.98)
    task = project.take(PUSH)[PUSH]
    # Two files and their folder, what was prepared of them with its folder, and the model.
    assert "the base layer has 6 objects that main names, 6 of them new" in project.run(task)
    assert len(list((cache / "base").glob("dvc/files/md5/*/*"))) == 6
    assert "6 objects that main names, 0 of them new" in project.run_again(task)


def test_s15_an_older_release_that_ends_last_proposes_the_newer_model(project: Project) -> None:
    merge_trained(project, "first", 0.98)
    older = project.take(PUSH)[PUSH]
    merge_trained(project, "second", 0.985)
    newer = project.take(PUSH)[PUSH]
    project.run(newer)
    [deploy] = project.member.pull_requests()
    assert "| `accuracy` | 0.985 |" in deploy.body

    output = project.run(older)

    assert f"#{deploy.number} proposes this image already" in output
    assert [pull.number for pull in project.member.pull_requests()] == [deploy.number]


def test_s25_a_scheduled_run_releases_what_the_lost_event_of_a_merge_did_not(project: Project) -> None:
    merge_trained(project, "first", 0.98)
    lost = project.take(PUSH)[PUSH]
    project.finish(lost)
    assert project.member.pull_requests() == []
    # The forge remembers the commit at which it learnt the schedule, which the lost push did not renew.
    earlier = lost["context"]["event"]["before"]
    scheduled = {**lost["context"], "event_name": "schedule", "sha": earlier, "event": {"schedule": "*/30 * * * *"}}

    output = project.run_again({**lost, "context": scheduled})

    assert "by now: that is released" in output
    [deploy] = project.member.pull_requests()
    assert "| `accuracy` | 0.98 |" in deploy.body


def test_s20_a_digest_that_release_did_not_publish_is_refused_by_the_gate(project: Project) -> None:
    merge_trained(project, "first", 0.98)
    project.run(project.take(PUSH)[PUSH])
    project.drop(DEPLOYED)
    foreign = f"sha256:{'ab' * 32}"
    text = f"images: [{{name: classifier, digest: {foreign}}}]\n"
    pull = project.propose("foreign", {OVERLAY: text})
    project.run(project.take(DEPLOYED)[DEPLOYED])
    status = project.gate(pull.head_sha)
    assert status.state == "failure"
    assert "is not an image that release has published" in status.description


@pytest.mark.parametrize("variables", [[], ["--env=PATH=/opt/python/bin", "--env=LANG=C.UTF-8"]], ids=["silent", "own"])
def test_d2_an_image_keeps_its_bases_path_and_has_one_where_the_base_says_nothing(
    registry: Registry, tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: list[str]
) -> None:
    monkeypatch.setenv("PATH", f"{tool('crane').parent}:{os.environ['PATH']}")
    (tmp_path / "file").touch()
    for name in ("base", "layer"):
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as layer:
            layer.add(tmp_path / "file", arcname=name)
    with image.login(registry.host, "platform", registry.password) as client:
        environment = {**os.environ, "DOCKER_CONFIG": str(client.configuration)}
        base = f"{registry.host}/classifier:base"
        commands = [["append", "--new_layer", str(tmp_path / "base.tar.gz"), "--new_tag", base]]
        if variables:
            commands.append(["mutate", base, *variables, "--tag", base])
        for command in commands:
            subprocess.run([tool("crane"), *command], env=environment, check=True, capture_output=True)
        digest = client.finish("classifier:base", tmp_path / "layer.tar.gz", "classifier:made", {})
    config = registry.get(registry.get(digest)["config"]["digest"], "blobs")["config"]
    assert f"PATH={'/opt/python/bin' if variables else image.PATH}" in config["Env"]
    assert ("LANG=C.UTF-8" in config["Env"]) is bool(variables)


def test_a_stale_lock_is_refused(project: Project) -> None:
    merge_trained(project, "first", 0.98)
    project.finish(project.take(PUSH)[PUSH])
    project.git("checkout", "--quiet", "-B", "main", "origin/main")
    project.git("pull", "--quiet", "origin", "main")
    text = (project.root / "ml/params.yaml").read_text()
    project.push("main", {"ml/params.yaml": text.replace("0.98", "0.99")})

    output = project.run(project.take(PUSH)[PUSH], expected=2)

    assert "error: ml/dvc.lock is not fresh (stage train: parameter train changed)" in output
    assert project.member.pull_requests() == []


def everything(project: Project, *wanted: str) -> dict[str, Mapping[str, Any]]:
    """Let all jobs pass that follow from each other; of them those that are wanted are done. All, by name."""
    found = {}
    while task := project.runner.take(5):
        name = f"{task['context']['workflow']} {task['context']['event_name']}"
        if name in wanted and name not in found:
            project.run(task)
        else:
            project.finish(task)
        found.setdefault(name, task)
    return found


def test_c10_nothing_is_released_before_main_has_measured_its_model_or_below_mains_limits(
    new_project: Callable[[Mapping[str, str]], Project], registry: Registry, tool: Tool, store: Store
) -> None:
    rows = measured_project.rows(40)
    md5 = hashlib.md5(rows, usedforsecurity=False).hexdigest()
    project = releasing(new_project(measured_project.files(md5)), registry, tool)
    project.put(rows)
    tags = registry.tags()
    # Main's first model is right half of the time. The gate refuses it; somebody merges it all the same.
    pull = project.propose("first", measured_project.parameters(9))
    everything(project, "train.yml pull_request", "report.yml workflow_run", "evaluate.yml workflow_run")
    head = project.member.pull_request(pull.number).head_sha
    project.member.merge_pull_request(pull.number, head)
    # The one that main's measurement starts takes the place of the one of the push, as long as that waits.
    task = next(task for name, task in everything(project).items() if name.startswith("release.yml"))
    answer = store.client.list_objects_v2(Bucket=store.bucket, Prefix=measurements.PREFIX)
    kept = {entry["Key"]: store.get(entry["Key"], 10**6) for entry in answer["Contents"]}

    for key in kept:
        store.client.delete_object(Bucket=store.bucket, Key=key)
    output = project.run_again(task)
    assert "main's model is not measured by main's evaluator yet: nothing is proposed until then" in output
    assert (project.member.pull_requests(), registry.tags()) == ([], tags)

    for key, content in kept.items():
        store.put(key, content)
    output = project.run_again(task, expected=2)
    assert "error: main's model is not released: accuracy 0.5000 does not reach main's limit of 0.8" in output
    assert (project.member.pull_requests(), registry.tags()) == ([], tags)


def test_a_wrong_registry_password_is_named_with_its_fix(project: Project) -> None:
    merge_trained(project, "first", 0.98)
    project.variables["REGISTRY_PASSWORD"] = "wrong"

    output = project.run(project.take(PUSH)[PUSH], expected=2)

    assert "check REGISTRY_USERNAME and REGISTRY_PASSWORD" in output
    assert "wrong" not in output.replace("wrong:", "")
