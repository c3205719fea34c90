"""Services: supervised, in the pinned versions, without the privilege they do not need, and closed to strangers."""

import base64
import json
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from testinfra.host import Host

from settings import ROOT, Cluster, Paths

pytestmark = pytest.mark.host

S3 = Callable[[str, str], Any]

SERVICES = {"containerd": "root", "gitea": "ml-platform-forge", "kubelet": "root", "kube-router": "root"}
SERVICES |= {"object-store": "ml-platform-object-store", "registry": "ml-platform-registry"}
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def status(url: str, method: str = "GET", body: object = None, **headers: str) -> int:
    """The HTTP status of a request without a proxy."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with NO_PROXY.open(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def login(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def supervised(host: Host, platform: Paths, service: str) -> int:
    """The pid of a service, by whatever supervises it here."""
    if host.file("/run/systemd/system").is_directory:
        unit = host.run(f"systemctl show --property MainPID --value ml-platform-{service}")
        return int(unit.stdout)
    control = f"{sys.executable} -m supervisor.supervisorctl -c {platform.state}/supervisor/supervisord.conf"
    line = host.run(f"{control} status {service}").stdout
    match = re.search(r"RUNNING +pid (\d+)", line)
    assert match, line
    return int(match[1])


@pytest.mark.parametrize(("service", "user"), SERVICES.items())
def test_a_service_runs_supervised_as_its_user(host: Host, platform: Paths, service: str, user: str) -> None:
    process = host.process.get(pid=supervised(host, platform, service))
    assert process.user == user


def test_only_root_controls_the_services(host: Host) -> None:
    if host.file("/run/systemd/system").is_directory:
        pytest.skip("systemd has its own rules")
    socket = host.file("/run/ml-platform/supervisor.sock")
    assert socket.is_socket
    assert (socket.user, socket.mode) == ("root", 0o600)


def test_debians_own_containerd_does_not_run(host: Host, platform: Paths) -> None:
    commands = [process.args for process in host.process.filter(comm="containerd")]
    ours = [command for command in commands if f"{platform.state}/containerd/config.toml" in command]
    assert len(ours) == 1
    assert not [command for command in commands if "--config" not in command]


def pinned(tool: str, module: str) -> str:
    """The version that the toolchain pins."""
    text = (ROOT / "infra" / "toolchain" / "go" / tool / "go.mod").read_text()
    match = re.search(rf"^\s*(?:require\s+)?{re.escape(module)} (v\S+)", text, re.M)
    assert match
    return match[1]


def test_the_node_is_ready_in_the_pinned_version(nodes: list[dict[str, dict[str, object]]]) -> None:
    (node,) = nodes
    conditions = {one["type"]: one["status"] for one in node["status"]["conditions"]}  # type: ignore[attr-defined]
    assert conditions["Ready"] == "True"
    assert conditions["DiskPressure"] == conditions["MemoryPressure"] == "False"
    info = node["status"]["nodeInfo"]
    assert info["kubeletVersion"] == pinned("kubernetes", "k8s.io/kubernetes")  # type: ignore[index]


def test_dns_and_proxy_run(kubectl: Callable[..., str]) -> None:
    pods = json.loads(kubectl("get", "pods", "--namespace=kube-system", "--output=json"))["items"]
    ready = {
        pod["metadata"]["labels"].get("k8s-app") or pod["metadata"]["labels"].get("component")
        for pod in pods
        if all(one["ready"] for one in pod["status"]["containerStatuses"])
    }
    assert ready >= {"etcd", "kube-apiserver", "kube-controller-manager", "kube-dns", "kube-proxy", "kube-scheduler"}


def test_every_image_came_through_the_local_registry(kubectl: Callable[..., str], cluster: Cluster) -> None:
    """No registry but the local one was asked: what runs is what the registry holds under the upstream's name."""
    pods = json.loads(kubectl("get", "pods", "--namespace=kube-system", "--output=json"))["items"]
    images = {one["image"] for pod in pods for one in pod["spec"]["containers"]}
    assert images
    password = Paths.from_environment().secret("registry-password")
    for image in images:
        path, _, tag = image.partition("/")[2].rpartition(":")
        url = f"http://{cluster.registry.host}/v2/{path}/manifests/{tag}"
        accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
        assert status(url, "HEAD", Authorization=login("platform", password), Accept=accept) == 200, image


def test_the_registry_wants_its_login(cluster: Cluster, secrets: dict[str, str]) -> None:
    url = f"http://{cluster.registry.host}/v2/"
    assert status(url) == 401
    assert status(url, Authorization=login("platform", "wrong")) == 401
    assert status(url, Authorization=login("platform", secrets["registry-password"])) == 200


def test_the_forge_wants_a_login_and_registers_nobody(cluster: Cluster, forge_api: str) -> None:
    owner, _ = cluster.forge.repository.split("/")
    assert status(f"{forge_api}/repos/{cluster.forge.repository}") in {401, 403, 404}
    assert status(f"{forge_api}/orgs/{owner}") in {401, 403, 404}
    with NO_PROXY.open(f"{cluster.forge.url}/user/sign_up", timeout=20) as page:
        assert b'name="password"' not in page.read()


def test_the_forge_has_its_web_assets(cluster: Cluster) -> None:
    with NO_PROXY.open(f"{cluster.forge.url}/user/login", timeout=20) as page:
        sheets = re.findall(r'href="(/assets/css/[^"]+)"', page.read().decode())
    assert sheets
    for sheet in sheets:
        assert status(cluster.forge.url + sheet) == 200


def test_the_kubelet_wants_a_login(cluster: Cluster) -> None:
    unverified = ssl._create_unverified_context()  # noqa: S323 - only whether it lets a stranger in
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified)
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open(f"https://{cluster.kubernetes.node_address}:10250/pods", timeout=20)
    assert refused.value.code == 401
    refused.value.close()


@pytest.fixture
def s3(cluster: Cluster) -> Iterator[S3]:
    """Makes clients of the object store, past any proxy."""
    with ExitStack() as stack:

        def client(access: str, secret: str) -> Any:
            made = boto3.client(
                "s3",
                endpoint_url=cluster.object_store.endpoint,
                region_name=cluster.object_store.region,
                aws_access_key_id=access,
                aws_secret_access_key=secret,
                config=Config(retries={"max_attempts": 1}, proxies={}),
            )
            stack.callback(made.close)
            return made

        yield client


def test_the_object_store_wants_a_known_key(cluster: Cluster, s3: S3) -> None:
    assert status(f"{cluster.object_store.endpoint}/{cluster.object_store.data_bucket}") in {401, 403}
    with pytest.raises(ClientError) as refused:
        s3("dvc", "wrong").list_buckets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize("account", ["dvc", "release"])
def test_an_ordinary_account_may_not_make_buckets(s3: S3, secrets: dict[str, str], account: str) -> None:
    with pytest.raises(ClientError) as refused:
        s3(account, secrets[f"s3-{account}-secret-key"]).create_bucket(Bucket=f"of-{account}")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_the_provisioning_account_may_make_buckets_and_keeps_versions(s3: S3, secrets: dict[str, str]) -> None:
    client, bucket = s3("pulumi", secrets["s3-pulumi-secret-key"]), "of-a-test"
    client.create_bucket(Bucket=bucket)
    try:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        first = client.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
        second = client.put_object(Bucket=bucket, Key="a", Body=b"2")["VersionId"]
        assert client.get_object(Bucket=bucket, Key="a", VersionId=first)["Body"].read() == b"1"
        for version in (first, second):
            client.delete_object(Bucket=bucket, Key="a", VersionId=version)
    finally:
        client.delete_bucket(Bucket=bucket)
