"""The table of AWS resource types, and how the provider's settings become clients."""

import json
import os
import threading
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from plugins.aws import ecr, eks, endpoints, iam, kms, launch_templates, logs, network, s3, security_groups
from plugins.aws.row import ApiRow, Type
from plugins.server import Problem, Provider, ProviderError

VERSION = "7.51.1"
# As many as the server has threads, so that no call waits for another's connection.
CONNECTIONS = 64
ATTEMPTS = 8

# Accepted because the official provider needs them to leave AWS's own services alone; there is nothing to do here.
PROBES_SKIPPED = frozenset(
    {"skipCredentialsValidation", "skipMetadataApiCheck", "skipRegionValidation", "skipRequestingAccountId"}
)
MODULES = (ecr, eks, endpoints, iam, kms, launch_templates, logs, network, s3, security_groups)
TYPES: dict[str, Type] = {type_.token: type_ for module in MODULES for type_ in module.TYPES}


class Aws(Provider):
    """The services of one account, or of one store that speaks their protocol.

    Everything that the settings leave out comes from where every AWS client has it: `AWS_REGION`, `AWS_PROFILE`,
    `AWS_ENDPOINT_URL`, the credential variables and files.
    """

    name = "aws"
    version = VERSION
    settings = (
        frozenset({"accessKey", "allowedAccountIds", "endpoints", "region", "s3UsePathStyle", "secretKey"})
        | PROBES_SKIPPED
    )

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        # Clients may be used by many threads, but not made by many.
        self._lock = threading.RLock()

    def configure(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        if not self.region:
            raise ProviderError("region: is not set on the provider; an S3-compatible store takes us-east-1")

    def row(self, token: str) -> ApiRow | None:
        type_ = TYPES.get(token)
        return ApiRow(self, type_) if type_ else None

    def tokens(self) -> list[str]:
        return sorted(TYPES)

    @property
    def region(self) -> str:
        named = self._settings.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return str(named or "")

    @property
    def partition(self) -> str:
        """The first part of every ARN."""
        return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(self.region.rpartition("-")[0].rpartition("-")[0], "aws")

    @cached_property
    def account(self) -> str:
        """The account of the credentials. Raises ProviderError when the settings do not allow it."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = str(self._make("sts").get_caller_identity()["Account"])
        except (BotoCoreError, ClientError) as error:
            raise ProviderError(f"which account it is cannot be told: {error}; {self.advice('sts', error)}") from None
        allowed = self._listed("allowedAccountIds")
        if allowed and found not in allowed:
            raise ProviderError(
                f"the credentials are of account {found}, but this stack belongs to {', '.join(allowed)};"
                " use that account's credentials (AWS_PROFILE)"
            )
        return found

    def client(self, service: str) -> Any:
        """The client of a service; the first one checks that the account is an allowed one."""
        with self._lock:
            if service not in self._clients:
                if self._listed("allowedAccountIds"):
                    _ = self.account
                self._clients[service] = self._make(service)
            return self._clients[service]

    @property
    def s3(self) -> Any:
        return self.client("s3")

    def is_store(self, service: str) -> bool:
        """Whether the settings lead to a store that speaks the protocol of this service, and not to AWS."""
        return self._endpoint(service) is not None

    def untaggable(self, service: str) -> Iterable[Problem]:
        """A problem with the tags of a service that is not AWS's own."""
        if self.is_store(service):
            yield Problem("tags", "S3-compatible stores do not all keep bucket tags; leave them out")

    def advice(self, service: str, error: Exception) -> str:
        """What to look at when a service does not answer."""
        if "redential" in str(error):
            return "sign in, or set AWS_PROFILE or the variables with the access key"
        if self._endpoint(service):
            return "check that the object store runs (scripts/up)"
        return "check the network and AWS_ENDPOINT_URL"

    @cached_property
    def _session(self) -> Any:
        # Not at module level: a preview without changes needs no AWS SDK. Not boto3's own session either, which keeps
        # the first credentials that anything in the process found.
        import boto3

        return boto3.Session()

    def _make(self, service: str) -> Any:
        from botocore.config import Config

        settings, endpoint = self._settings, self._endpoint(service)
        path_style = settings.get("s3UsePathStyle") == "true"
        return self._session.client(
            service,
            region_name=self.region,
            endpoint_url=endpoint,
            aws_access_key_id=settings.get("accessKey"),
            aws_secret_access_key=settings.get("secretKey"),
            config=Config(
                # Stores other than AWS do not know the newer checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                max_pool_connections=CONNECTIONS,
                retries={"mode": "standard", "max_attempts": ATTEMPTS},
                s3={"addressing_style": "path" if path_style else "auto"},
                # A proxy never leads to this host, whatever the environment says.
                proxies={} if endpoint or os.environ.get("AWS_ENDPOINT_URL") else None,
            ),
        )

    def _endpoint(self, service: str) -> str | None:
        return next((item[service] for item in self._listed("endpoints") if item.get(service)), None)

    def _listed(self, setting: str) -> list[Any]:
        value = self._settings.get(setting) or []
        return list(json.loads(value) if isinstance(value, str) else value)
