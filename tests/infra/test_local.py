"""The stack `local` by the real engine, on a real API server and a real object store; only nodes are missing."""

import json
import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from components.argocd import WEBHOOK_KEYS
from control_plane.kubernetes import BUILT_IN
from control_plane.stack import Stack
from host_state import IMAGES, SECRETS, secret
from mlplatform.plugins.change import Refused
from mlplatform.plugins.record import TAG, Record
from plugins import install
from runner_controller.upload import Store
from runner_harness.process import eventually, tool
from settings import Paths

pytestmark = pytest.mark.tools

GOLDEN = Path(__file__).parent / "golden" / "local.urns"
KILLS = 3


def _s3(stack: Stack, access: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=stack.store,
        region_name="us-east-1",
        aws_access_key_id=access,
        aws_secret_access_key=secret(f"s3-{access}-secret-key"),
        config=Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
            proxies={},
        ),
    )


def _git_status(stack: Stack) -> str:
    command = ["git", "-C", str(stack.root), "status", "--porcelain"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _allow_destroying(stack: Stack) -> None:
    stack.pulumi("state", "unprotect", "--all", "--yes")


def _namespaces(stack: Stack) -> set[str]:
    return {item["metadata"]["name"] for item in stack.plane.get("/api/v1/namespaces")["items"]} - BUILT_IN


def test_the_urns_are_these(applied: Stack) -> None:
    """A renamed resource is deleted and made anew; where that is meant, an alias or this list says so."""
    urns = sorted(item["urn"] for item in applied.exported()["resources"])
    assert urns == GOLDEN.read_text().split("\n")[:-1], f"if the change is meant, write the new list to {GOLDEN.name}"


def test_the_state_has_nothing_beside_it_that_a_kill_could_break(applied: Stack) -> None:
    """Pulumi replaces the state's own files in one step, but writes their attributes in place."""
    kept = [path.name for path in (applied.state / "pulumi" / ".pulumi" / "stacks").rglob("local.json*")]
    assert "local.json" in kept
    assert [name for name in kept if name.endswith(".attrs")] == []


def test_a_second_up_changes_nothing_and_the_checkout_stays_clean(applied: Stack) -> None:
    applied.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert _git_status(applied) == ""


def test_a_refresh_sees_no_change_where_there_is_none(applied: Stack) -> None:
    applied.pulumi("refresh", "--yes", "--expect-no-changes")
    applied.pulumi("preview", "--expect-no-changes")


def test_preparing_again_reports_nothing(applied: Stack) -> None:
    assert applied.prepare() == []


def test_p3_the_stack_remembers_which_plugins_write_its_state(applied: Stack) -> None:
    paths = Paths.from_environment(applied.environment)
    assert Record(applied.environment, applied.root).read() == install.plugins(paths)
    assert {one.source for one in install.plugins(paths)} == {"offline"}
    assert applied.settle(install.plugins(paths)) == (False, [])


def _without_a_record(stack: Stack) -> None:
    stack.pulumi("stack", "tag", "rm", TAG)


def test_p3_plugins_that_nothing_is_known_of_are_said_and_judged_before_they_go_on(applied: Stack) -> None:
    """As in a stack that was made before there were records."""
    now = install.plugins(Paths.from_environment(applied.environment))
    _without_a_record(applied)
    changed, said = applied.settle(now)
    assert changed
    assert [line for line in said if "nothing says which plugin wrote its part" in line] == said[:2]
    assert said[-1] == "  it changes nothing"
    assert Record(applied.environment, applied.root).read() == now
    assert applied.settle(now) == (False, [])


def test_p3_other_plugins_never_replace_or_delete(applied: Stack) -> None:
    path = applied.root / "infra" / "local.py"
    text, now = path.read_text(), install.plugins(Paths.from_environment(applied.environment))
    other = {replace(one, source="official") for one in now}
    Record(applied.environment, applied.root).write(other)
    before = applied.exported()["resources"]
    # The same object under another name: one is made and one deleted.
    path.write_text(text.replace('"default-deny"', '"deny-all"'))
    assert path.read_text() != text
    try:
        with pytest.raises(Refused) as refused:
            applied.settle(now)
    finally:
        path.write_text(text)
    assert "would be replaced or deleted: delete kubernetes:networking.k8s.io/v1:NetworkPolicy" in str(refused.value)
    assert "the official kubernetes" in str(refused.value)
    assert applied.exported()["resources"] == before, "nothing was written"
    assert Record(applied.environment, applied.root).read() == other
    changed, _ = applied.settle(now)
    assert changed


def test_p3_an_update_never_replaces_or_deletes_a_bucket(applied: Stack) -> None:
    """Not even where nothing else keeps it from that."""
    program, cluster = applied.root / "infra" / "local.py", applied.root / "clusters" / "local" / "cluster.yaml"
    texts = {path: path.read_text() for path in (program, cluster)}
    administrator = _s3(applied, "pulumi")
    administrator.put_object(Bucket="ml-data", Key="dvc/kept", Body=b"1")
    program.write_text(texts[program].replace("    kept_buckets.check(cluster, paths)\n", ""))
    cluster.write_text(texts[cluster].replace("ml-data", "ml-data2"))
    try:
        refused = applied.pulumi("up", "--yes", "--skip-preview", check=False)
    finally:
        for path, text in texts.items():
            path.write_text(text)
    assert refused.returncode != 0
    assert "protect" in refused.stdout + refused.stderr
    assert administrator.get_object(Bucket="ml-data", Key="dvc/kept")["Body"].read() == b"1"
    applied.pulumi("up", "--yes", "--skip-preview")


def test_no_secret_is_readable_in_the_state_or_in_what_is_printed(applied: Stack) -> None:
    shown = applied.pulumi("preview", "--diff").stdout + json.dumps(applied.exported())
    kept = b"".join(path.read_bytes() for path in (applied.state / "pulumi").rglob("*") if path.is_file())
    for name in SECRETS:
        assert secret(name) not in shown, name
        assert secret(name).encode() not in kept, name


def test_the_secrets_arrive_where_they_are_used(applied: Stack) -> None:
    def keys(namespace: str, name: str) -> set[str]:
        return set(applied.plane.get(f"/api/v1/namespaces/{namespace}/secrets/{name}").get("data") or {})

    assert keys("runner-controller", "bot") == keys("runner-controller", "forge-runner") == {"token"}
    assert keys("runner-controller", "dvc") == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert keys("runner-controller", "release") > keys("runner-controller", "dvc")
    assert keys("runner-controller", "host-environment") == {"UV_INDEX_URL"}
    assert keys("argocd", "argocd-secret") == {
        "admin.password",
        *(key for kind in WEBHOOK_KEYS.values() for key in kind),
    }
    assert keys("argocd", "repository") == {"type", "url", "username", "password"}


def test_jobs_are_told_the_facts(applied: Stack) -> None:
    facts = applied.plane.get("/api/v1/namespaces/runner-controller/configmaps/cluster-facts")["data"]
    assert facts["OBJECT_STORE_ENDPOINT"] == applied.store
    assert facts["PYTHON_IMAGE"] == f"library/python@{IMAGES['python']}"


def test_the_cache_is_bound(applied: Stack) -> None:
    path = "/api/v1/namespaces/runner-controller/persistentvolumeclaims/ml-cache"
    eventually(lambda: applied.plane.get(path)["status"].get("phase") == "Bound", "the claim is bound")


def test_plain_argocd_and_kubectl_work(applied: Stack) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=applied.environment, capture_output=True, text=True)

    assert run(tool("kubectl"), "get", "namespace", "dev", "--output=name").stdout.strip() == "namespace/dev"
    # argocd finds its installation, whose pods it would talk to if there were a node.
    assert "pod argocd-repo-server" in run("argocd", "app", "list").stderr


def test_each_user_of_the_store_may_do_what_its_job_needs_and_no_more(applied: Stack) -> None:
    data, dvc, release = (_s3(applied, name) for name in ("data", "dvc", "release"))
    data.put_object(Bucket="ml-data", Key="dvc/a", Body=b"1")
    data.put_object(Bucket="ml-data", Key="dvc/a", Body=b"2")
    assert release.get_object(Bucket="ml-data", Key="dvc/a")["Body"].read() == b"2"
    release.put_object(Bucket="ml-models", Key="m", Body=b"3")
    for client, bucket in ((release, "ml-data"), (dvc, "ml-models"), (data, "ml-models")):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket=bucket, Key="x", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        dvc.get_object(Bucket="ml-models", Key="m")
    versions = _s3(applied, "pulumi").list_object_versions(Bucket="ml-data", Prefix="dvc/a")["Versions"]
    assert len(versions) == 2, "both versions are kept"
    with pytest.raises(ClientError, match="AccessDenied"):
        data.delete_object(Bucket="ml-data", Key="dvc/a", VersionId=versions[-1]["VersionId"])


def test_s4_a_run_writes_its_own_object_and_no_other(applied: Stack) -> None:
    data, dvc, judge, runs = (_s3(applied, name) for name in ("data", "dvc", "judge", "runs"))
    data.put_object(Bucket="ml-data", Key="dvc/files/md5/ab/c", Body=b"named by main")
    runs.put_object(Bucket="ml-data", Key="runs/2", Body=b"another run's")
    # As the controller signs it: the address is all that the run is given.
    credential = {"AWS_ACCESS_KEY_ID": "runs", "AWS_SECRET_ACCESS_KEY": secret("s3-runs-secret-key")}
    url = Store(applied.store, "us-east-1", "ml-data").address(1, credential, datetime.now(UTC), 60)
    assert httpx.put(url, content=b"first", trust_env=False).is_success
    assert httpx.put(url, content=b"again", trust_env=False).is_success
    assert judge.get_object(Bucket="ml-data", Key="runs/1")["Body"].read() == b"again"
    for other in ("runs/2", "runs/1/more", "dvc/files/md5/ab/c", "runs/../dvc/files/md5/ab/c", "runs/1/../2"):
        assert httpx.put(url.replace("runs/1", other), content=b"forged", trust_env=False).status_code == 403, other
    for method in ("GET", "DELETE", "POST"):
        assert httpx.request(method, url, trust_env=False).status_code in (400, 403, 405), method
    # It does not fetch either, for whoever may then read the copy.
    for source in ("test/a", "measurements/a.json", "runs/2", "dvc/files/md5/ab/c"):
        copied = httpx.put(url, headers={"x-amz-copy-source": f"ml-data/{source}"}, trust_env=False)
        assert copied.status_code == 403, source
    # And what it holds for reading data writes nowhere, and lists nothing but data.
    for key in ("runs/2", "runs/3", "dvc/files/md5/ab/c", "dvc/files/md5/ab/d", "dvc/../runs/2", "previews/1"):
        with pytest.raises(ClientError, match="AccessDenied"):
            dvc.put_object(Bucket="ml-data", Key=key, Body=b"forged")
        with pytest.raises(ClientError, match="AccessDenied"):
            dvc.copy_object(Bucket="ml-data", Key=key, CopySource="ml-data/dvc/files/md5/ab/c")
        with pytest.raises(ClientError, match="AccessDenied"):
            dvc.delete_object(Bucket="ml-data", Key=key)
    for prefix in ("", "r", "runs", "runs/", "measurements/", "test/", "d"):
        with pytest.raises(ClientError, match="AccessDenied"):
            dvc.list_objects_v2(Bucket="ml-data", Prefix=prefix)
    with pytest.raises(ClientError, match="AccessDenied"):
        dvc.list_objects_v2(Bucket="ml-data")
    assert dvc.list_objects_v2(Bucket="ml-data", Prefix="dvc/files/")["KeyCount"]
    assert judge.get_object(Bucket="ml-data", Key="dvc/files/md5/ab/c")["Body"].read() == b"named by main"
    assert judge.get_object(Bucket="ml-data", Key="runs/2")["Body"].read() == b"another run's"
    # The gate puts into DVC's remote what it has hashed.
    judge.put_object(Bucket="ml-data", Key="dvc/files/md5/ab/e", Body=b"hashed")


def test_s4_no_job_with_a_branchs_code_reads_the_test_set_or_writes_a_measurement(applied: Stack) -> None:
    dvc, evaluate, judge, owner = (_s3(applied, name) for name in ("dvc", "evaluate", "judge", "test-set"))
    owner.put_object(Bucket="ml-data", Key="test/a", Body=b"rows")
    _s3(applied, "runs").put_object(Bucket="ml-data", Key="runs/1", Body=b"lock")
    # What measures reads all three and writes measurements alone, by an address that takes nothing else.
    assert evaluate.get_object(Bucket="ml-data", Key="test/a")["Body"].read() == b"rows"
    assert evaluate.get_object(Bucket="ml-data", Key="runs/1")["Body"].read() == b"lock"
    target = {"Bucket": "ml-data", "Key": "measurements/a.json"}
    url = evaluate.generate_presigned_url("put_object", Params=target, ExpiresIn=60)
    assert httpx.put(url, content=b"1.0", trust_env=False).is_success
    assert httpx.put(url.replace("a.json", "b.json"), content=b"1.0", trust_env=False).status_code == 403
    # The gate reads them.
    assert judge.get_object(**target)["Body"].read() == b"1.0"
    for client, keys in ((dvc, ("test/a", "measurements/a.json")), (owner, ("dvc/a", "measurements/a.json"))):
        for key in keys:
            with pytest.raises(ClientError, match="AccessDenied"):
                client.get_object(Bucket="ml-data", Key=key)
            with pytest.raises(ClientError, match="AccessDenied"):
                client.put_object(Bucket="ml-data", Key=key, Body=b"forged")
    for client, key in ((evaluate, "dvc/b"), (evaluate, "test/a"), (judge, "measurements/a.json"), (judge, "test/a")):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket="ml-data", Key=key, Body=b"forged")
    with pytest.raises(ClientError, match="AccessDenied"):
        dvc.delete_object(Bucket="ml-data", Key="measurements/a.json")
    # The store judges a form by its bucket alone, and takes `..` in its key for a way up.
    for key in ("measurements/a.json", "dvc/../measurements/a.json", "dvc/b"):
        form = dvc.generate_presigned_post("ml-data", key)
        answer = httpx.post(form["url"], data=form["fields"], files={"file": b"forged"}, trust_env=False)
        assert answer.status_code == 403, key
    assert judge.get_object(**target)["Body"].read() == b"1.0"


def test_d17_the_account_that_prunes_deletes_below_its_prefixes_and_reads_listings_alone(applied: Stack) -> None:
    janitor, owner = _s3(applied, "janitor"), _s3(applied, "pulumi")
    keys = ("dvc/files/md5/aa/1", "test/files/md5/aa/1", "runs/7", "previews/7.json")
    kept = ("measurements/pruned.json", "elsewhere")
    for key in (*keys, *kept, "test/files/md5/aa/2.dir"):
        owner.put_object(Bucket="ml-data", Key=key, Body=b"1")
    seen = {one["Key"] for one in janitor.list_object_versions(Bucket="ml-data")["Versions"]}
    assert seen >= {*keys, *kept}
    for key in keys:
        marker = janitor.delete_object(Bucket="ml-data", Key=key)
        assert marker["DeleteMarker"]
        for version in owner.list_object_versions(Bucket="ml-data", Prefix=key)["Versions"]:
            janitor.delete_object(Bucket="ml-data", Key=key, VersionId=version["VersionId"])
        janitor.delete_object(Bucket="ml-data", Key=key, VersionId=marker["VersionId"])
        left = owner.list_object_versions(Bucket="ml-data", Prefix=key)
        assert not left.get("Versions") and not left.get("DeleteMarkers")  # noqa: PT018
    listing = {"Bucket": "ml-data", "Key": "test/files/md5/aa/2.dir"}
    version = owner.list_object_versions(Bucket="ml-data", Prefix=listing["Key"])["Versions"][0]["VersionId"]
    assert janitor.get_object(**listing)["Body"].read() == b"1"
    assert janitor.get_object(**listing, VersionId=version)["Body"].read() == b"1"
    for key in keys:
        owner.put_object(Bucket="ml-data", Key=key, Body=b"1")
        for refused in (
            lambda key=key: janitor.get_object(Bucket="ml-data", Key=key),
            lambda key=key: janitor.put_object(Bucket="ml-data", Key=key, Body=b""),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                refused()
    for key in kept:
        version = owner.list_object_versions(Bucket="ml-data", Prefix=key)["Versions"][0]["VersionId"]
        for which in ({}, {"VersionId": version}):
            with pytest.raises(ClientError, match="AccessDenied"):
                janitor.delete_object(Bucket="ml-data", Key=key, **which)
        # Of many at once, as of one.
        many = {"Objects": [{"Key": key}, {"Key": f"dvc/../{key}"}]}
        try:
            janitor.delete_objects(Bucket="ml-data", Delete=many)
        except ClientError as error:
            assert "AccessDenied" in str(error)  # noqa: PT017
        assert owner.get_object(Bucket="ml-data", Key=key)["Body"].read() == b"1"


def test_drift_is_seen_by_refresh_and_mended_by_up(applied: Stack) -> None:
    path = "/api/v1/namespaces/runner-controller/configmaps/cluster-facts"
    applied.plane.patch(path, {"data": {"DATA_BUCKET": "elsewhere"}}).raise_for_status()
    applied.plane.http.delete("/api/v1/namespaces/argocd/secrets/repository").raise_for_status()
    _s3(applied, "pulumi").put_bucket_versioning(Bucket="ml-models", VersioningConfiguration={"Status": "Suspended"})
    shown = applied.pulumi("refresh", "--yes").stdout
    assert re.search(r"runners-facts\s+updated", shown)
    assert re.search(r"gitops-repository\s+deleted", shown)
    assert re.search(r"object-store-models\s+updated", shown)
    applied.pulumi("up", "--yes", "--skip-preview")
    assert applied.plane.get(path)["data"]["DATA_BUCKET"] == "ml-data"
    assert applied.plane.exists("/api/v1/namespaces/argocd/secrets/repository")
    assert _s3(applied, "pulumi").get_bucket_versioning(Bucket="ml-models")["Status"] == "Enabled"


def test_what_others_add_to_an_object_is_theirs(applied: Stack) -> None:
    """Argo CD's server keeps its own keys in the Secret that Pulumi made."""
    path = "/api/v1/namespaces/argocd/secrets/argocd-secret"
    applied.plane.patch(path, {"data": {"server.secretkey": "a2V5"}}).raise_for_status()
    applied.pulumi("refresh", "--yes", "--expect-no-changes")
    applied.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert applied.plane.get(path)["data"]["server.secretkey"] == "a2V5"


def test_a_changed_fact_is_an_update_in_place(applied: Stack) -> None:
    images = applied.state / "images.json"
    images.write_text(json.dumps({**IMAGES, "runner-job": f"sha256:{'4' * 64}"}))
    try:
        shown = applied.pulumi("up", "--yes", "--skip-preview").stdout
        assert re.search(r"gitops-cluster\s+updated", shown)
        assert "1 updated" in shown
        assert "replaced" not in shown
    finally:
        images.write_text(json.dumps(IMAGES))
    applied.pulumi("up", "--yes", "--skip-preview")


class TestMistakes:
    """One message each, nothing changed."""

    def _refused(self, stack: Stack, *arguments: str, **environment: str) -> str:
        before = stack.exported()["manifest"]["time"]
        changed = Stack(stack.root, stack.state, stack.plane, stack.store, {**stack.environment, **environment})
        done = changed.pulumi(*arguments, check=False)
        assert done.returncode != 0
        assert "Traceback" not in done.stdout + done.stderr
        assert stack.exported()["manifest"]["time"] == before
        return done.stdout + done.stderr

    def test_a_missing_file_of_the_host(self, applied: Stack) -> None:
        images = applied.state / "images.json"
        images.rename(images.with_suffix(".away"))
        try:
            shown = self._refused(applied, "preview")
        finally:
            images.with_suffix(".away").rename(images)
        assert "images.json: cannot be read" in shown
        assert "scripts/up builds the images and writes it" in shown

    def test_a_broken_cluster_file(self, applied: Stack) -> None:
        path = applied.root / "clusters" / "local" / "cluster.yaml"
        text = path.read_text()
        path.write_text(text + "colour: red\n")
        try:
            shown = self._refused(applied, "preview")
        finally:
            path.write_text(text)
        assert "clusters/local/cluster.yaml: colour: unknown key" in shown

    def test_a_wrong_stack(self, applied: Stack) -> None:
        assert "no stack named 'nowhere' found" in self._refused(applied, "preview", "--stack", "nowhere")

    def test_a_missing_passphrase(self, applied: Stack) -> None:
        shown = self._refused(applied, "preview", PULUMI_CONFIG_PASSPHRASE_FILE=str(applied.state / "nothing"))
        assert "PULUMI_CONFIG_PASSPHRASE_FILE" in shown

    def test_a_wrong_passphrase(self, applied: Stack) -> None:
        wrong = applied.state / "wrong"
        wrong.write_text("wrong")
        assert "incorrect passphrase" in self._refused(applied, "preview", PULUMI_CONFIG_PASSPHRASE_FILE=str(wrong))

    def test_an_api_server_that_is_away(self, applied: Stack) -> None:
        conf = applied.state / "kubernetes" / "admin.conf"
        text = conf.read_text()
        conf.write_text(text.replace(applied.plane.url, "https://127.0.0.1:1"))
        try:
            shown = self._refused(applied, "refresh", "--yes")
        finally:
            conf.write_text(text)
        assert "the Kubernetes API at https://127.0.0.1:1 does not answer" in shown
        assert "start the platform with scripts/up" in shown

    def test_plugins_outside_the_environment(self, applied: Stack) -> None:
        shown = self._refused(applied, "preview", ML_PLATFORM_PYTHON="")
        assert "ML_PLATFORM_PYTHON: is not set: run  eval" in shown


def test_s10_a_bucket_of_another_name_is_refused_and_can_be_moved(applied: Stack) -> None:
    """As docs/runbooks/rename-a-bucket.md has it: no object of the old bucket is ever deleted."""
    path = applied.root / "clusters" / "local" / "cluster.yaml"
    text = path.read_text()
    administrator = _s3(applied, "pulumi")
    administrator.put_object(Bucket="ml-data", Key="dvc/precious", Body=b"1")
    urn = "urn:pulumi:local::ml-platform::ml-platform:index:ObjectStore$aws:s3/bucket:Bucket::object-store-data"
    forget = ("state", "delete", "--yes", "--force", "--target-dependents", urn)
    up = ("up", "--yes", "--skip-preview")
    path.write_text(text.replace("ml-data", "ml-data2"))
    try:
        refused = applied.pulumi(*up, check=False)
        assert refused.returncode != 0
        assert "objectStore.dataBucket: is 'ml-data2'" in refused.stdout + refused.stderr
        assert administrator.get_object(Bucket="ml-data", Key="dvc/precious")["Body"].read() == b"1"
        administrator.create_bucket(Bucket="ml-data2")
        administrator.copy({"Bucket": "ml-data", "Key": "dvc/precious"}, "ml-data2", "dvc/precious")
        applied.pulumi(*forget)
        applied.pulumi(*up)
        for bucket in ("ml-data", "ml-data2"):
            assert administrator.get_object(Bucket=bucket, Key="dvc/precious")["Body"].read() == b"1"
        assert administrator.get_bucket_versioning(Bucket="ml-data2")["Status"] == "Enabled"
        applied.pulumi(*forget)
    finally:
        path.write_text(text)
    applied.pulumi(*up)
    for version in administrator.list_object_versions(Bucket="ml-data2")["Versions"]:
        administrator.delete_object(Bucket="ml-data2", Key=version["Key"], VersionId=version["VersionId"])
    administrator.delete_bucket(Bucket="ml-data2")


@pytest.mark.faults
def test_a_killed_run_is_finished_by_the_next(loopback: Stack, applied: Stack) -> None:
    """Killed while it creates and while it destroys, at several points; the next run finishes without orphans."""
    for command in ("destroy", "up"):
        _allow_destroying(applied)
        for number in range(KILLS):
            arguments = ["pulumi", command, "--yes", "--skip-preview", "--non-interactive"]
            with subprocess.Popen(
                arguments,
                cwd=applied.root,
                env=applied.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            ) as run:
                time.sleep(3 + 2 * number)
                # The whole session at once, as when the machine goes down.
                os.killpg(run.pid, signal.SIGKILL)
            lines = loopback.prepare()
            assert not lines or lines == ["Releasing the lock on stack local that a killed run left"]
        loopback.pulumi(command, "--yes", "--skip-preview")
    loopback.pulumi("refresh", "--yes", "--expect-no-changes")
    assert sorted(item["urn"] for item in loopback.exported()["resources"]) == GOLDEN.read_text().split("\n")[:-1]


def test_destroy_leaves_nothing(loopback: Stack, applied: Stack) -> None:
    _s3(applied, "data").put_object(Bucket="ml-data", Key="dvc/left", Body=b"1")
    _allow_destroying(loopback)
    loopback.pulumi("destroy", "--yes", "--skip-preview")
    assert loopback.exported().get("resources", []) == []
    assert _namespaces(loopback) == set()
    assert loopback.plane.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"] == []
    assert loopback.plane.get("/api/v1/persistentvolumes")["items"] == []
    for kind in ("clusterroles", "clusterrolebindings"):
        items = loopback.plane.get(f"/apis/rbac.authorization.k8s.io/v1/{kind}")["items"]
        assert not [item["metadata"]["name"] for item in items if "argocd" in item["metadata"]["name"]]
    assert _s3(loopback, "pulumi").list_buckets()["Buckets"] == []
    assert _git_status(loopback) == ""
