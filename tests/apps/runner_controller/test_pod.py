"""Pods and payloads of tasks."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import disk
from runner_controller import pod as pods
from runner_controller.pools import Limit, Pool, PoolError, from_template
from runner_controller.protocol import Task
from runner_controller.trust import Trust, Verdict
from runner_controller.workflow import parse

POOL_FILE = Path(__file__).resolve().parents[3] / "apps" / "runner-controller" / "pools" / "cpu" / "pool.yaml"

WORKFLOW = """\
jobs:
  Train_it:
    runs-on: ml-cpu
    timeout-minutes: 5
    steps:
      - uses: actions/checkout@v4
      - run: a
"""


def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(POOL_FILE.read_text())
    return loaded


@pytest.fixture
def pool() -> Pool:
    return from_template(template())


def made(
    pool: Pool, trust: Trust, workflow: str = "train.yml", text: str = WORKFLOW, upload: str = ""
) -> tuple[pods.Record, dict, dict]:
    task = Task(
        id=42,
        workflow=text,
        context={"actor": "member", "workflow": workflow, "token": "job-token", "event": {"number": 3}, "sha": "abc"},
        secrets={"GITHUB_TOKEN": "job-token", "OTHER": "other"},
        variables={"A": "b"},
    )
    job = parse(task.workflow)
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    record = pods.record(task, job, pool, runner="uuid", verdict=Verdict(trust, "because"), now=now)
    pod = pods.build_pod(record, pool)
    named = pod | {"metadata": pod["metadata"] | {"uid": "u"}}
    return record, pod, pods.build_payload(record, task, job, named, upload)


def sources(container: dict) -> list[str]:
    return [entry["secretRef"]["name"] for entry in container["envFrom"] if "secretRef" in entry]


def payload_keys(pod: dict, container: str) -> set[str]:
    [volume] = [volume for volume in pod["spec"]["volumes"] if volume["name"] == f"payload-{container}"]
    return {item["key"] for item in volume["secret"]["items"]}


def test_untrusted_job_gets_neither_token_nor_secrets(pool: Pool) -> None:
    record, pod, payload = made(pool, Trust.UNTRUSTED)
    [checkout], [job] = pod["spec"]["initContainers"], pod["spec"]["containers"]
    assert "token" in payload_keys(pod, "checkout")
    assert "token" not in payload_keys(pod, "job")
    assert sources(job) == ["host-environment", "dvc"]
    assert not [volume for volume in pod["spec"]["volumes"] if volume["name"].startswith("trusted-")]
    description = json.loads(base64.b64decode(payload["data"]["job.json"]))
    assert description["secrets"] == {"OTHER": "other"}
    assert "job-token" not in json.dumps(description)
    assert record.masked == ("dvc", "host-environment")
    assert checkout["command"] == ["run-job", "checkout"]


def test_j_the_address_for_what_a_run_leaves_is_in_its_payload_and_its_signature_is_masked(pool: Pool) -> None:
    address = "http://store/data/runs/7?X-Amz-Expires=60&X-Amz-Signature=0123456789abcdef"
    for upload, masked in ((address, ["0123456789abcdef"]), ("", [])):
        _, pod, payload = made(pool, Trust.UNTRUSTED, upload=upload)
        assert json.loads(base64.b64decode(payload["data"]["job.json"]))["upload"] == upload
        assert pods.payload_secrets(payload) == ["job-token", *masked, "other"]
        assert "runs" not in json.dumps(pod["spec"])


@pytest.mark.parametrize(
    ("trust", "newest"), [(Trust.TRUSTED, True), (Trust.EVALUATION, True), (Trust.UNTRUSTED, False)]
)
def test_s19_a_run_that_is_started_again_is_of_todays_main(pool: Pool, trust: Trust, newest: bool) -> None:
    _, _, payload = made(pool, trust)
    assert json.loads(base64.b64decode(payload["data"]["job.json"]))["newest"] is newest


def test_the_gate_gets_the_judges_token_as_a_file(pool: Pool) -> None:
    record, pod, _ = made(pool, Trust.TRUSTED, "report.yml")
    [job] = pod["spec"]["containers"]
    assert "token" in payload_keys(pod, "job")
    mount = {"name": "trusted-bot", "mountPath": "/var/run/secrets/ml-platform/bot", "readOnly": True}
    assert mount in job["volumeMounts"]
    assert sources(job) == ["host-environment", "dvc", "judge"]
    assert record.masked == ("dvc", "host-environment", "bot", "judge")
    # A job whose token is missing says so; a pod whose volume is missing never starts.
    [volume] = [one for one in pod["spec"]["volumes"] if one["name"] == "trusted-bot"]
    assert volume["secret"] == {"secretName": "bot", "optional": True}


@pytest.mark.parametrize("workflow", ["release.yml", "apply.yml", "train.yml", "anything.yml"])
def test_s2_the_judges_token_is_the_gates_alone(pool: Pool, workflow: str) -> None:
    _, pod, _ = made(pool, Trust.TRUSTED, workflow)
    held = {one["name"] for one in pod["spec"]["volumes"] if one["name"].startswith("trusted-")}
    assert held == ({"trusted-proposer"} if workflow in ("release.yml", "apply.yml") else set())


def test_release_overrides_what_every_job_has(pool: Pool) -> None:
    _, pod, _ = made(pool, Trust.TRUSTED, "release.yml")
    assert sources(pod["spec"]["containers"][0]) == ["host-environment", "dvc", "release"]
    _, pod, _ = made(pool, Trust.UNTRUSTED, "release.yml")
    assert sources(pod["spec"]["containers"][0]) == ["host-environment", "dvc"]


def test_s5_what_loads_a_model_gets_no_secret_and_no_token(pool: Pool) -> None:
    record, pod, payload = made(pool, Trust.EVALUATION, "evaluate.yml")
    [checkout, fetch], [job] = pod["spec"]["initContainers"], pod["spec"]["containers"]
    assert (checkout["name"], fetch["name"], job["name"]) == ("checkout", "fetch", "job")
    assert pod["metadata"]["labels"]["ml-platform.dev/trust"] == "evaluation"
    assert sources(job) == []
    assert payload_keys(pod, "job") == {"job.json", "workflow.yaml", "event.json"}
    # Nothing of the forge's either.
    assert json.loads(base64.b64decode(payload["data"]["job.json"]))["secrets"] == {}
    # The credential is with what fetches, which runs before and shares nothing but folders.
    assert fetch["command"] == ["run-job", "fetch"]
    assert sources(fetch) == ["evaluate"]
    assert payload_keys(pod, "fetch") == {"job.json", "event.json"}
    assert record.masked == ("evaluate",)
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    held = {mount["name"] for mount in job["volumeMounts"] if "secret" in volumes[mount["name"]]}
    assert held == {"payload-job"}
    shared = {name for name, volume in volumes.items() if "persistentVolumeClaim" in volume}
    for container in (fetch, job):
        assert [mount["readOnly"] for mount in container["volumeMounts"] if mount["name"] in shared] == [True]


def test_s5_no_secret_of_a_template_reaches_what_loads_a_model() -> None:
    changed = template()
    [job] = changed["template"]["spec"]["containers"]
    reference = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "more", "key": "key"}}}
    job["env"].append(reference)
    job["envFrom"].append({"secretRef": {"name": "others"}})
    _, pod, _ = made(from_template(changed), Trust.EVALUATION, "evaluate.yml")
    [_, fetch], [job] = pod["spec"]["initContainers"], pod["spec"]["containers"]
    assert (sources(fetch), sources(job)) == (["evaluate"], [])
    assert "secretKeyRef" not in json.dumps([fetch, job])


def test_pod_carries_all_that_a_restart_needs(pool: Pool) -> None:
    record, pod, payload = made(pool, Trust.UNTRUSTED)
    assert pods.Record.of_pod(pod) == record
    assert pod["metadata"]["name"] == payload["metadata"]["name"] == "ml-cpu-42-train-it"
    assert pod["spec"]["activeDeadlineSeconds"] == 300
    assert pod["spec"]["restartPolicy"] == "Never"
    assert payload["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert pods.payload_secrets(payload) == ["job-token", "other"]


def test_template_is_not_changed(pool: Pool) -> None:
    made(pool, Trust.TRUSTED)
    assert pool == from_template(template())


def test_pool_reads_its_annotations(pool: Pool) -> None:
    assert (pool.label, pool.max_concurrent, pool.start_timeout) == ("ml-cpu", 4, 300)
    assert pool.job_secrets == ("dvc", "host-environment")
    assert pool.upload_secret == "runs"
    assert pool.limit("untrusted") == Limit(jobs=2, minutes=120)
    assert pool.limit("trusted") == Limit(jobs=4, minutes=1440)
    assert pool.limit("evaluation") == Limit(jobs=1, minutes=30)


def test_s12_a_place_is_left_to_trusted_jobs(pool: Pool) -> None:
    others = [pool.limit(trust.value).jobs for trust in Trust if trust not in (Trust.TRUSTED, Trust.REFUSED)]
    assert sum(others) < pool.max_concurrent


def test_s12_the_pool_caps_the_time_limit_and_the_log_says_so(pool: Pool) -> None:
    text = WORKFLOW.replace("timeout-minutes: 5", "timeout-minutes: 1440")
    record, pod, _ = made(pool, Trust.UNTRUSTED, text=text)
    assert pod["spec"]["activeDeadlineSeconds"] == record.timeout_seconds == 120 * 60
    [note] = record.notes
    assert "timeout-minutes is 1440, and pool ml-cpu gives untrusted jobs 120 minutes" in note
    record, pod, _ = made(pool, Trust.TRUSTED, text=text)
    assert pod["spec"]["activeDeadlineSeconds"] == 1440 * 60
    assert record.notes == ()


def test_a_pod_that_waits_is_taken_by_no_node_and_remembers_when_it_was_called(pool: Pool) -> None:
    record, _, _ = made(pool, Trust.UNTRUSTED)
    waiting = pods.held(record)
    pod = pods.build_pod(waiting, pool)
    assert pod["spec"]["schedulingGates"] == [{"name": "ml-platform.dev/turn"}]
    assert pods.Record.of_pod(pod) == waiting
    moment = datetime(2026, 1, 1, 13, tzinfo=UTC)
    patch = pods.call(moment)
    assert patch["spec"] == {"schedulingGates": None}
    pod["metadata"]["annotations"] |= patch["metadata"]["annotations"]
    del pod["spec"]["schedulingGates"]
    assert pods.Record.of_pod(pod) == replace(waiting, called=moment)


def test_the_record_of_a_pod_that_an_earlier_version_made_is_read(pool: Pool) -> None:
    record, pod, _ = made(pool, Trust.UNTRUSTED)
    annotations = pod["metadata"]["annotations"]
    old = json.loads(annotations[pods.TASK_ANNOTATION])
    for key in ("actor", "notes", "called"):
        del old[key]
    annotations[pods.TASK_ANNOTATION] = json.dumps(old)
    assert pods.Record.of_pod(pod) == replace(record, actor="")


def test_s7_all_that_a_pod_writes_to_the_nodes_disk_is_bounded() -> None:
    spec = template()["template"]["spec"]
    for container in (*spec["initContainers"], *spec["containers"]):
        for kind in ("requests", "limits"):
            assert set(container["resources"][kind]) == {"cpu", "memory", "ephemeral-storage"}
    folders = [volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume]
    assert len(folders) == 4
    assert all(folder.get("sizeLimit") for folder in folders)
    variables = {entry["name"]: entry.get("value") for entry in spec["containers"][0]["env"]}
    assert int(variables["RUNNER_DISK_RESERVE_GIB"] or 0) == disk.FULL_GIB


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max-concurrent", "0", "max-concurrent is '0'"),
        ("max-concurrent", "many", "must be a whole number from 1"),
        ("limits", "2", "must be a JSON object by trust class (evaluation, trusted, untrusted)"),
        ("limits", "{", "limits is not JSON"),
        ("limits", '{"refused": {}}', "by trust class"),
        ("limits", '{"untrusted": 2}', "untrusted may have `jobs`"),
        ("limits", '{"untrusted": {"jobs": 5}}', "from 1 to the pool's 4"),
        ("limits", '{"untrusted": {"jobs": true}}', "a whole number"),
        ("limits", '{"untrusted": {"minutes": 1441}}', "from 1 to 1440"),
        ("limits", '{"untrusted": {"hours": 1}}', "`minutes`"),
        ("job-secrets", "dvc", "job-secrets is not JSON"),
        ("job-secrets", '{"a": 1}', "must be a JSON list of str entries"),
        ("trusted-secrets", '["bot"]', "must be a JSON list of dict entries"),
        ("trusted-secrets", '[{"secret": "bot", "mount": "/x"}]', "`secret` and may have `mountPath`"),
        ("trusted-secrets", '[{"mountPath": "/x"}]', "`secret` and may have `mountPath`"),
        ("trusted-secrets", '[{"secret": "bot", "workflows": "release.yml"}]', "a list of file names"),
    ],
)
def test_wrong_annotation_is_refused(key: str, value: str, message: str) -> None:
    broken = template()
    broken["metadata"]["annotations"][f"ml-platform.dev/{key}"] = value
    with pytest.raises(PoolError, match=r"PodTemplate ml-cpu: ") as caught:
        from_template(broken)
    assert message in str(caught.value)


def test_template_without_the_two_containers_is_refused() -> None:
    broken = template()
    broken["template"]["spec"]["containers"][0]["name"] = "main"
    with pytest.raises(PoolError, match=r"must hold one named 'job', not \['main'\]"):
        from_template(broken)
    broken = template()
    del broken["template"]["spec"]["initContainers"]
    with pytest.raises(PoolError, match=r"must hold one named 'checkout'"):
        from_template(broken)
