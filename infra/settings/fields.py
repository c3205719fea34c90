"""The kinds of value that settings hold, each with its own refusal."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
BUCKET = re.compile(r"[a-z0-9]([a-z0-9-]{1,61}[a-z0-9])")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
RESERVED_NAMESPACES = frozenset(
    {"argocd", "bot", "default", "kube-node-lease", "kube-public", "kube-system", "runner-controller"}
)


def _dns_label(value: str) -> str:
    if not DNS_LABEL.fullmatch(value):
        raise ValueError(f"{value!r} is not a DNS label; use lower-case letters, digits and inner hyphens, 63 at most")
    return value


def _stage(value: str) -> str:
    if value in RESERVED_NAMESPACES:
        raise ValueError(f"{value!r} is a namespace of the platform itself; choose another stage name")
    return _dns_label(value)


def _bucket(value: str) -> str:
    if not BUCKET.fullmatch(value):
        raise ValueError(f"{value!r} is not a bucket name; use 3 to 63 lower-case letters, digits and inner hyphens")
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{value!r} is not an http or https URL; write it as http://host:port")
    if parts.username or parts.query or parts.fragment or parts.path:
        # Not the value itself: it may hold a password.
        raise ValueError(f"has more than scheme, host and port; did you mean {_origin(value)!r}?")
    try:
        parts.port  # noqa: B018 - the property raises when the port is out of range
    except ValueError:
        raise ValueError(f"{value!r} has a port that is not between 1 and 65535") from None
    return value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _host_port(value: str) -> str:
    host, _, port = value.partition(":")
    if "/" in value:
        raise ValueError(f"{value!r} has a scheme or a path; write host or host:port only")
    if not host or (":" in value and not (port.isdigit() and 0 < int(port) < 65536)):
        raise ValueError(f"{value!r} is not a host or host:port with a port between 1 and 65535")
    return value


def _address(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 address such as 10.254.254.1") from None


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError:
        pass
    try:
        fixed = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 range such as 10.201.0.0/16") from None
    raise ValueError(f"{value!r} has host bits set; did you mean {str(fixed)!r}?")


def _repository(value: str) -> str:
    if not REPOSITORY.fullmatch(value) or value.endswith(".git"):
        raise ValueError(f"{value!r} is not owner/name (without .git)")
    return value


DnsLabel = Annotated[str, AfterValidator(_dns_label)]
Stage = Annotated[str, AfterValidator(_stage)]
Bucket = Annotated[str, AfterValidator(_bucket)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HostPort = Annotated[str, AfterValidator(_host_port)]
Address = Annotated[str, AfterValidator(_address)]
Cidr = Annotated[str, AfterValidator(_cidr)]
Repository = Annotated[str, AfterValidator(_repository)]
Port = Annotated[int, Field(ge=1, le=65535)]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
