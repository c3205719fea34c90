"""The table of AWS resource types, and how the provider's settings become clients."""

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from plugins.aws import s3
from plugins.server import Provider, ProviderError, Row

if TYPE_CHECKING:
    from botocore.client import BaseClient

VERSION = "7.51.1"

# Accepted because the official provider needs them to leave AWS's own services alone; there is nothing to do here.
PROBES_SKIPPED = frozenset(
    {"skipCredentialsValidation", "skipMetadataApiCheck", "skipRegionValidation", "skipRequestingAccountId"}
)


class Aws(Provider):
    """The services of one account, or of one store that speaks their protocol."""

    name = "aws"
    version = VERSION
    settings = frozenset({"accessKey", "endpoints", "region", "s3UsePathStyle", "secretKey"}) | PROBES_SKIPPED

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}

    def configure(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        if not settings.get("region"):
            raise ProviderError("region: is not set on the provider; an S3-compatible store takes us-east-1")

    @cached_property
    def s3(self) -> "BaseClient":
        # Not at module level: a preview without changes needs no AWS SDK.
        import boto3
        from botocore.config import Config

        settings = self._settings
        path_style = settings.get("s3UsePathStyle") == "true"
        return boto3.client(
            "s3",
            region_name=settings["region"],
            endpoint_url=self._endpoint("s3"),
            aws_access_key_id=settings.get("accessKey"),
            aws_secret_access_key=settings.get("secretKey"),
            config=Config(
                # Stores other than AWS do not know the newer checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"mode": "standard", "max_attempts": 5},
                s3={"addressing_style": "path" if path_style else "auto"},
                proxies={} if self._endpoint("s3") else None,
            ),
        )

    def _endpoint(self, service: str) -> str | None:
        endpoints = self._settings.get("endpoints") or "[]"
        parsed = json.loads(endpoints) if isinstance(endpoints, str) else endpoints
        return next((item[service] for item in parsed if item.get(service)), None)

    def row(self, token: str) -> Row | None:
        row = s3.ROWS.get(token)
        return row(self) if row else None

    def tokens(self) -> list[str]:
        return sorted(s3.ROWS)
