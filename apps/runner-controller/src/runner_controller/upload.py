"""Signs the address by which a run leaves what it made: a PUT of the one object that is named after it.

Whoever knows the address can write that object and nothing else, so jobs of branches need no credential that writes.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, quote, urlencode, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"


@dataclass(frozen=True)
class Store:
    """Where runs leave what they made: the address of an S3 store, its region and a bucket."""

    endpoint: str
    region: str
    bucket: str

    def address(self, run: int, credential: Mapping[str, str], moment: datetime, seconds: int) -> str:
        """The address for the workflow run of that number, valid so long from `moment` (UTC), of a credential's
        AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; raises KeyError without one of them."""
        server = urlsplit(self.endpoint)
        path = quote(f"{server.path.rstrip('/')}/{self.bucket}/runs/{run}")
        day, stamp = moment.strftime("%Y%m%d"), moment.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{day}/{self.region}/{_SERVICE}/aws4_request"
        query = urlencode(
            {
                "X-Amz-Algorithm": _ALGORITHM,
                "X-Amz-Credential": f"{credential['AWS_ACCESS_KEY_ID']}/{scope}",
                "X-Amz-Date": stamp,
                "X-Amz-Expires": seconds,
                "X-Amz-SignedHeaders": "host",
            },
            quote_via=quote,
            safe="",
        )
        request = "\n".join(["PUT", path, query, f"host:{server.netloc}", "", "host", "UNSIGNED-PAYLOAD"])
        text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{credential['AWS_SECRET_ACCESS_KEY']}".encode()
        for part in (day, self.region, _SERVICE, "aws4_request"):
            key = _sign(key, part)
        return f"{server.scheme}://{server.netloc}{path}?{query}&X-Amz-Signature={_sign(key, text).hex()}"


def secret_part(address: str) -> str:
    """The signature, without which the rest of an address is worth nothing."""
    return parse_qs(urlsplit(address).query).get("X-Amz-Signature", [""])[0]


def _sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
