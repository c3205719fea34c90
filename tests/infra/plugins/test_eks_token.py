"""Tokens for EKS, checked by the emulator's own reading of the protocol."""

import base64
import itertools
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from aws import emulation
from emulator import tokens
from example import ACCOUNT, ADMINISTRATOR, REGION
from plugins.kubernetes.api import Api
from plugins.kubernetes.eks_token import EksToken, from_exec
from plugins.server import ProviderError

STS = "127.0.0.1:1"
ARGUMENTS = ["eks", "get-token", "--cluster-name", "ml", "--region", "eu-central-1", "--output", "json"]


@pytest.fixture(scope="module", autouse=True)
def _administrator() -> None:
    tokens.account.issue_administrator(ACCOUNT, REGION, ADMINISTRATOR)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in emulation.credentials(ACCOUNT).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{STS}")


def _url(token: str) -> str:
    text = token.removeprefix("k8s-aws-v1.")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def test_the_token_says_who_asks_and_for_which_cluster() -> None:
    token = EksToken("ml", "eu-central-1").value()
    assert tokens.caller(token, "ml", STS).principal.startswith("arn:aws:")
    with pytest.raises(tokens.Refused, match="for another cluster"):
        tokens.caller(token, "other", STS)
    assert parse_qs(urlsplit(_url(token)).query)["X-Amz-Expires"] == ["60"]


def test_without_an_emulator_the_regions_own_sts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    token = EksToken("ml", "eu-central-1").value()
    assert urlsplit(_url(token)).netloc == "sts.eu-central-1.amazonaws.com"
    assert tokens.caller(token, "ml", STS)


def test_a_token_is_kept_and_made_anew_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    now, made = [0.0], []
    token = EksToken("ml", "eu-central-1", clock=lambda: now[0])
    monkeypatch.setattr(token, "_sign", lambda: made.append(now[0]) or f"token {len(made)}")
    values = []
    for now[0] in (0.0, 44.0, 46.0, 90.0, 92.0):
        values.append(token.value())
    assert values == ["token 1", "token 1", "token 2", "token 2", "token 3"]
    assert max(after - before for before, after in itertools.pairwise(made)) < 60


def test_the_kubeconfigs_command_is_read() -> None:
    token = from_exec({"command": "aws", "args": ARGUMENTS})
    assert (token.cluster, token.region) == ("ml", "eu-central-1")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"command": "gke-gcloud-auth-plugin"}, "'gke-gcloud-auth-plugin'; the offline plugin makes those of"),
        ({"command": "aws", "args": [*ARGUMENTS, "--role-arn", "r"]}, "has --role-arn; the offline plugin knows"),
        ({"command": "aws", "args": ARGUMENTS[:2]}, "names no cluster; add --cluster-name"),
        ({"command": "aws", "args": ARGUMENTS, "env": [{"name": "AWS_PROFILE", "value": "x"}]}, "without variables"),
    ],
)
def test_other_credentials_are_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ProviderError, match=told):
        from_exec(config)


def test_without_credentials_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(
        ProviderError, match=r"no token for the EKS cluster ml: .*redentials.*; sign in, or set AWS_PROFILE"
    ):
        EksToken("ml", "eu-central-1").value()


def test_requests_bear_the_token() -> None:
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {"command": "aws", "args": ARGUMENTS}}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    client = Api(json.dumps(kubeconfig))._client
    request = client.build_request("GET", "/")
    sent = next(client._build_request_auth(request).auth_flow(request))
    assert tokens.caller(sent.headers["Authorization"].removeprefix("Bearer "), "ml", STS)
    client.close()
