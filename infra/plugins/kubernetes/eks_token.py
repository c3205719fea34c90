"""The bearer tokens of EKS, made here as `aws eks get-token` makes them, so that the command is not needed.

A token is `k8s-aws-v1.` and the base64 of a presigned STS GetCallerIdentity request that names the cluster; the API
server has it carried out, and so learns who asks. (AWS IAM authenticator for Kubernetes, "API authorization from
outside a cluster"; the AWS command line, `customizations/eks/get_token.py`.)
"""

import base64
import threading
import time
from collections.abc import Callable
from typing import Any

from plugins.server import ProviderError

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
EXPIRES_SECONDS = 60
# Servers take a token for up to 15 minutes, the signature says one: a new one costs nothing but the signing.
RENEWED_SECONDS = 45.0
OPTIONS = {"--cluster-name": "cluster", "--region": "region", "--output": ""}


class EksToken:
    """The token for one cluster, signed with the credentials of the environment, and anew before it expires."""

    def __init__(self, cluster: str, region: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.cluster, self.region = cluster, region
        self._clock, self._lock = clock, threading.Lock()
        self._client: Any = None
        self._token, self._made = "", 0.0

    def value(self) -> str:
        """A token that is good for some seconds at least. Raises ProviderError without credentials."""
        with self._lock:
            if not self._token or self._clock() - self._made >= RENEWED_SECONDS:
                self._token, self._made = self._sign(), self._clock()
            return self._token

    def _sign(self) -> str:
        from botocore.exceptions import BotoCoreError

        try:
            self._client = self._client or self._sts()
            url: str = self._client.generate_presigned_url(
                "get_caller_identity", Params={"Cluster": self.cluster}, ExpiresIn=EXPIRES_SECONDS, HttpMethod="GET"
            )
        except BotoCoreError as error:
            raise ProviderError(
                f"no token for the EKS cluster {self.cluster}: {error}; sign in, or set AWS_PROFILE and AWS_REGION"
            ) from None
        return PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")

    def _sts(self) -> Any:
        import boto3
        from botocore.exceptions import NoCredentialsError

        session = boto3.Session()
        if session.get_credentials() is None:  # presigning would leave the signature out
            raise NoCredentialsError
        client = session.client("sts", region_name=self.region)
        events = client.meta.events
        # The cluster's name is no parameter of the call; it is signed as a header.
        events.register("provide-client-params.sts.GetCallerIdentity", _keep_cluster)
        events.register("before-sign.sts.GetCallerIdentity", _add_header)
        return client


def _keep_cluster(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    context["eks_cluster"] = params.pop("Cluster")


def _add_header(request: Any, **_: Any) -> None:
    request.headers[CLUSTER_HEADER] = request.context["eks_cluster"]


def from_exec(config: dict[str, Any]) -> EksToken:
    """The token that a kubeconfig's `exec` section asks for. Raises ProviderError for any but `aws eks get-token`."""
    command = [str(config.get("command")), *map(str, config.get("args") or ())]
    if command[:3] != ["aws", "eks", "get-token"] or config.get("env"):
        raise ProviderError(
            f"the kubeconfig's credential is the command {' '.join(command[:3])!r}; the offline plugin makes those of"
            " 'aws eks get-token' itself, without variables of their own, and runs no others"
        )
    options = dict(zip(command[3::2], command[4::2], strict=False))
    if unknown := sorted(options.keys() - OPTIONS.keys()):
        has = ", ".join(OPTIONS)
        raise ProviderError(f"the kubeconfig's credential has {unknown[0]}; the offline plugin knows {has}")
    if not options.get("--cluster-name"):
        raise ProviderError("the kubeconfig's credential names no cluster; add --cluster-name to its arguments")
    return EksToken(options["--cluster-name"], options.get("--region"))
