"""The forge's own objects: accounts with the least rights that work, and a main that nobody pushes to."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from settings import Cluster

pytestmark = pytest.mark.host

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Client:
    """The forge as one account sees it."""

    def __init__(self, url: str, authorization: str) -> None:
        self.url, self.authorization = url, authorization

    def ask(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": self.authorization, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, headers, method=method)
        try:
            with NO_PROXY.open(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def admin(forge_api: str, secrets: dict[str, str]) -> Client:
    password = base64.b64encode(f"platform-admin:{secrets['forge-admin-password']}".encode()).decode()
    return Client(forge_api, f"Basic {password}")


@pytest.fixture(scope="module")
def repository(cluster: Cluster) -> str:
    return f"repos/{cluster.forge.repository}"


def test_main_is_bound_for_everybody(admin: Client, repository: str) -> None:
    status, rule = admin.ask(f"{repository}/branch_protections/main")
    assert status == 200
    assert not rule["enable_push"]
    assert not rule["enable_force_push"]
    assert rule["block_admin_merge_override"]
    assert rule["block_on_outdated_branch"]
    assert rule["enable_status_check"]
    assert rule["status_check_contexts"] == ["ready"]
    assert rule["enable_merge_whitelist"]
    assert rule["merge_whitelist_usernames"] == ["ml-merge"]


def test_not_even_the_administrator_commits_to_main(admin: Client, repository: str) -> None:
    content = base64.b64encode(b"not reviewed\n").decode()
    body = {"content": content, "message": "Bypass the review", "branch": "main"}
    status, answer = admin.ask(f"{repository}/contents/bypass.txt", "POST", body)
    assert status in {403, 409, 422}, answer
    assert admin.ask(f"{repository}/contents/bypass.txt?ref=main")[0] == 404


@pytest.mark.parametrize(
    ("account", "permission"),
    [
        ("argocd", "read"),
        ("member", "write"),
        ("ml-bot", "write"),
        ("ml-merge", "write"),
        ("ml-proposer", "write"),
        ("owner", "write"),
    ],
)
def test_accounts_have_no_more_than_they_need(admin: Client, repository: str, account: str, permission: str) -> None:
    assert admin.ask(f"{repository}/collaborators/{account}/permission")[1]["permission"] == permission
    assert not admin.ask(f"users/{account}")[1]["is_admin"]


@pytest.mark.parametrize("name", ["bot", "merge", "proposer"])
def test_a_token_reaches_its_repository_and_nothing_else(
    forge_api: str, repository: str, secrets: dict[str, str], name: str
) -> None:
    bot = Client(forge_api, f"token {secrets[f'forge-{name}-token']}")
    assert bot.ask(repository)[0] == 200
    assert bot.ask("user/settings", "PATCH", {"full_name": "somebody else"})[0] == 403
    assert bot.ask("admin/users")[0] == 403
    assert bot.ask(f"{repository}/branch_protections/main", "DELETE")[0] in {403, 404}


def test_argo_cds_token_reads_and_does_not_write(forge_api: str, repository: str, secrets: dict[str, str]) -> None:
    argocd = Client(forge_api, f"token {secrets['forge-argocd-token']}")
    assert argocd.ask(repository)[0] == 200
    assert argocd.ask(f"{repository}/branches", "POST", {"new_branch_name": "x", "old_ref_name": "main"})[0] == 403


def test_a_push_to_main_tells_argo_cd(admin: Client, repository: str, cluster: Cluster) -> None:
    hooks = {hook["config"]["url"]: hook for hook in admin.ask(f"{repository}/hooks")[1]}
    node = cluster.kubernetes.node_address
    assert set(hooks) == {
        f"https://{node}:{cluster.argocd.node_port}/api/webhook",
        f"http://{node}:{cluster.bot.node_port}/webhook",
    }
    hook = hooks[f"https://{node}:{cluster.argocd.node_port}/api/webhook"]
    assert hook["active"]
    assert hook["events"] == ["push"]


def test_the_bot_is_woken_by_what_it_judges_and_by_nobody_else(
    admin: Client, repository: str, cluster: Cluster
) -> None:
    url = f"http://{cluster.kubernetes.node_address}:{cluster.bot.node_port}"
    [hook] = [one for one in admin.ask(f"{repository}/hooks")[1] if one["config"]["url"] == f"{url}/webhook"]
    assert hook["active"]
    assert set(hook["events"]) > {"push", "status", "issue_comment", "pull_request", "pull_request_review"}
    request = urllib.request.Request(f"{url}/webhook", b"{}", {"X-Gitea-Signature": "0" * 64}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        NO_PROXY.open(request, timeout=30)
    with refused.value as answer:
        assert answer.code == 401
