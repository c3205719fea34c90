"""Who an EKS token is from, as the webhook of a cluster's API server asks.

A token is `k8s-aws-v1.` and the base64url of a presigned GetCallerIdentity URL whose signature covers the header
`x-k8s-aws-id` with the cluster's name. AWS asks STS; here the signature is made again with the caller's secret.
Source: aws-iam-authenticator's README ("API Authorization from Outside a Cluster") and pkg/token.
"""

import base64
import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from emulator import account
from emulator.account import Caller
from emulator.eks_access import GROUPS
from emulator.eks_state import Kept

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
MOST_SECONDS = 15 * 60  # how old a signature may be


class Refused(Exception):
    """A token that is not let in; the message says why."""


def review(token: str, cluster: str, kept: Kept | None, own_host: str) -> dict[str, Any]:
    """A TokenReview's status for a cluster's token; `own_host` is the emulator's host:port, which stands for STS."""
    try:
        if kept is None:
            raise Refused(f"there is no cluster {cluster}")
        found = caller(token, cluster, own_host)
        username, groups = _mapped(found, kept)
    except Refused as error:
        return {"authenticated": False, "error": str(error)}
    extra = {"arn": [found.principal]}
    return {
        "authenticated": True,
        "user": {"username": username, "uid": found.principal, "groups": groups, "extra": extra},
    }


def caller(token: str, cluster: str, own_host: str) -> Caller:
    """Whose token it is. Raises Refused."""
    url = _url(token)
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    host = parts.netloc
    if host != own_host and not (
        parts.scheme == "https" and host.startswith("sts.") and host.endswith("amazonaws.com")
    ):
        raise Refused(f"{host!r} is no host of STS")
    if (
        query.get("Action") != "GetCallerIdentity"
        or query.get("Version") != "2011-06-15"
        or parts.path not in ("", "/")
    ):
        raise Refused("the token is no call of GetCallerIdentity")
    if CLUSTER_HEADER not in query.get("X-Amz-SignedHeaders", "").split(";"):
        raise Refused(f"{CLUSTER_HEADER} is not signed")
    found = account.caller(query.get("X-Amz-Credential", "").partition("/")[0])
    if found is None:
        raise Refused("the access key is not known")
    if query.get("X-Amz-Security-Token") != found.session_token:
        raise Refused("the session token is wrong")
    _check_time(query)
    if query.get("X-Amz-Signature") != _signature(url, query, found, cluster):
        raise Refused("the signature does not match: wrong secret, or a token for another cluster")
    return found


def _url(token: str) -> str:
    if not token.startswith(PREFIX):
        raise Refused(f"the token does not start with {PREFIX}")
    text = token.removeprefix(PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        raise Refused("the token is no base64url text") from None


def _check_time(query: dict[str, str]) -> None:
    try:
        signed = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        seconds = int(query["X-Amz-Expires"])
    except (KeyError, ValueError):
        raise Refused("X-Amz-Date or X-Amz-Expires is missing or malformed") from None
    age = (datetime.datetime.now(datetime.UTC) - signed).total_seconds()
    # STS ignores X-Amz-Expires beyond its own limit, so the authenticator takes any up to this one.
    if not 0 < seconds <= MOST_SECONDS or not -60 <= age <= MOST_SECONDS:
        raise Refused("the token has expired")


def _signature(url: str, query: dict[str, str], found: Caller, cluster: str) -> str:
    """The signature that the caller's secret gives this request for this cluster."""
    parts = urlsplit(url)
    key, day, region, service = [*query["X-Amz-Credential"].split("/"), "", "", "", ""][:4]
    if service != "sts" or not query["X-Amz-Date"].startswith(day):
        raise Refused("the credential's scope is not STS")
    unsigned = "&".join(item for item in parts.query.split("&") if not item.startswith("X-Amz-Signature="))
    headers = {"host": parts.netloc, CLUSTER_HEADER: cluster}
    if set(query["X-Amz-SignedHeaders"].split(";")) != set(headers):
        raise Refused("the signed headers must be host and " + CLUSTER_HEADER)
    request = AWSRequest("GET", f"{parts.scheme}://{parts.netloc}{parts.path or '/'}?{unsigned}", headers=headers)
    request.context["timestamp"] = query["X-Amz-Date"]
    credentials = Credentials(key, found.secret_key, found.session_token)
    auth = SigV4QueryAuth(credentials, service, region)
    canonical = auth.canonical_request(request)
    return str(auth.signature(auth.string_to_sign(request, canonical), request))


def _mapped(found: Caller, kept: Kept) -> tuple[str, list[str]]:
    """The user name and groups that the access entries give. Raises Refused."""
    entry = kept.entries.get(found.principal)
    if entry is None:
        raise Refused(f"{found.principal} has no access entry")
    policies = kept.policies.get(found.principal, {})
    # A policy for namespaces only would need AWS's own authorizer; it gives nothing here.
    whole = [arn for arn, item in policies.items() if item["accessScope"]["type"] == "cluster"]
    return entry["username"].replace("{{SessionName}}", "session"), [
        *entry["kubernetesGroups"],
        *(GROUPS[arn] for arn in whole),
    ]
