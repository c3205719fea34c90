"""S21: Argo CD takes no event that nobody signed, whichever forge it says it is from."""

import json
import ssl
import urllib.error
import urllib.request

import pytest

from settings import Cluster, Paths

pytestmark = pytest.mark.host

HEADERS = (
    {"X-GitHub-Event": "push"},
    {"X-Gitlab-Event": "Push Hook"},
    {"X-Gogs-Event": "push"},
    {"X-Hook-UUID": "f0f0f0f0", "X-Event-Key": "repo:push"},
    {"X-Event-Key": "repo:refs_changed"},
    {"X-Vss-Activityid": "f0f0f0f0"},
)


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: next(iter(headers)))
def test_s21_an_unsigned_event_is_refused(platform: Paths, cluster: Cluster, headers: dict[str, str]) -> None:
    repository = {"html_url": f"{cluster.forge.url}/{cluster.forge.repository}", "default_branch": "main"}
    body = json.dumps({"ref": "refs/heads/main", "eventType": "git.push", "repository": repository}).encode()
    url = f"https://{cluster.kubernetes.node_address}:{cluster.argocd.node_port}/api/webhook"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    # Argo CD's certificate is its own.
    secure = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())  # noqa: S323
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), secure)
    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open(request, timeout=10)
    with refused.value as answer:
        assert answer.code in {400, 401}
