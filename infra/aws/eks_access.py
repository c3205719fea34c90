"""kubectl's way into an EKS cluster, with the AWS credentials of whoever runs it and without the AWS command line.

    python -P infra/aws/eks_access.py CLUSTER REGION   prints a token, as kubectl asks for one

The token is AWS's own: a presigned GetCallerIdentity request that names the cluster
(https://github.com/kubernetes-sigs/aws-iam-authenticator, "API Authorization from Outside a Cluster").
"""

import base64
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CLUSTER_HEADER = "x-k8s-aws-id"
# How long the request may be sent after it was signed, and for how long EKS takes the token.
SIGNED_SECONDS, TOKEN_SECONDS = 60, 14 * 60


def token(cluster: str, region: str) -> str:
    """A bearer token for the API server of `cluster` (its name at AWS). Raises botocore's errors."""
    import boto3  # noqa: PLC0415 - kubectl starts this for each command

    client = boto3.Session().client("sts", region_name=region)

    def name_cluster(request: Any, **others: Any) -> None:
        request.headers[CLUSTER_HEADER] = cluster

    # Signed with the request, so that the token serves this cluster only.
    client.meta.events.register("before-sign.sts.GetCallerIdentity", name_cluster)
    url: str = client.generate_presigned_url("get_caller_identity", ExpiresIn=SIGNED_SECONDS, HttpMethod="GET")
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def kubeconfig(name: str, cluster: Mapping[str, Any], region: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """A kubeconfig for what EKS's DescribeCluster says of a cluster. `name` is the context's; no credential is in it.

    `variables` are needed to find AWS, such as an emulator's address; whose credentials are used, the caller's
    environment says.
    """
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        # -P: this folder's modules have names that libraries use too.
        "args": ["-P", str(Path(__file__).resolve()), cluster["name"], region],
        "env": [{"name": key, "value": value} for key, value in sorted(variables.items())],
        "interactiveMode": "Never",
    }
    server = {
        "server": cluster["endpoint"],
        "certificate-authority-data": cluster["certificateAuthority"]["data"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "users": [{"name": name, "user": {"exec": command}}],
        # `argocd --core` looks in the context's namespace only.
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "argocd"}}],
        "current-context": name,
    }


def main(arguments: list[str]) -> int:
    try:
        cluster, region = arguments
    except ValueError:
        print("usage: python infra/aws/eks_access.py CLUSTER REGION", file=sys.stderr)
        return 2
    try:
        made = token(cluster, region)
    except Exception as error:  # whatever boto3 finds wrong with the credentials
        print(f"no token for {cluster}: {error}; log in to AWS, or set AWS_PROFILE", file=sys.stderr)
        return 1
    expires = datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS)
    status = {"token": made, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    document = {"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "spec": {}, "status": status}
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
