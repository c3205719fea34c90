"""kubectl's way into a cluster: a token of AWS's own form, and a kubeconfig without a credential."""

import base64
import json
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from aws import eks_access

LOGIN = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_REGION": "eu-central-1"}
CLUSTER = {
    "name": "ml-platform-dev",
    "endpoint": "https://x.eks.example",
    "certificateAuthority": {"data": "Y2VydA=="},
}


def test_the_token_is_a_signed_request_for_one_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    prefix, _, encoded = eks_access.token("ml-platform-dev", "eu-central-1").partition(".")
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    query = parse_qs(urlsplit(url).query)
    assert prefix == "k8s-aws-v1"
    assert urlsplit(url).hostname == "sts.eu-central-1.amazonaws.com"
    assert query["Action"] == ["GetCallerIdentity"]
    assert query["X-Amz-SignedHeaders"] == ["host;x-k8s-aws-id"]
    assert query["X-Amz-Expires"] == ["60"]
    assert "hunter2" not in url


def test_a_kubeconfig_runs_this_file_and_holds_no_credential() -> None:
    document = eks_access.kubeconfig("dev", CLUSTER, "eu-central-1", {"AWS_PROFILE": "work"})
    (user,) = document["users"]
    command = user["user"]["exec"]
    assert command["env"] == [{"name": "AWS_PROFILE", "value": "work"}]
    assert document["contexts"][0]["context"]["namespace"] == "argocd"
    done = subprocess.run([command["command"], *command["args"]], env=LOGIN, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    credential = json.loads(done.stdout)
    assert credential["kind"] == "ExecCredential"
    assert credential["status"]["token"].startswith("k8s-aws-v1.")


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["ml-platform-dev", "eu-central-1"], 1)])
def test_a_failure_is_told_in_a_line(arguments: list[str], status: int) -> None:
    nobody = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-P", eks_access.__file__, *arguments], env=nobody, capture_output=True, text=True
    )
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == 1
