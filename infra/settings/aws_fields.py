"""The kinds of value that only AWS clusters' settings hold."""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from aws import cidr
from settings.fields import Bucket, Cidr, DnsLabel

ROLE = re.compile(r"arn:aws:iam::(\d{12}):role/[A-Za-z0-9_+=,.@/-]+")
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
# Families with NVIDIA GPUs and x86 processors, which both the Auto Mode and the AL2023_x86_64_NVIDIA image serve.
GPU_FAMILIES = ("g4dn", "g5", "g6", "g6e", "gr6", "p4d", "p4de", "p5", "p5e", "p5en")
# What ECR caches without a credential.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html
UPSTREAMS = ("public.ecr.aws", "quay.io", "registry.k8s.io")
UPSTREAMS_WITH_CREDENTIAL = ("docker.io", "ghcr.io", "registry-1.docker.io", "registry.gitlab.com")
# Ranges that no request from the internet comes from.
INTERNAL = (*cidr.PRIVATE, *(ipaddress.IPv4Network(one) for one in ("100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16")))
NARROW = 16
# IAM takes 64 characters in a role's name, of which the deploy role's own words are nineteen.
NAME_LENGTH = 40
REPOSITORY = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
RESERVED_BUCKET = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|--x-s3|--table-s3)")


def _short(value: str) -> str:
    if len(value) > NAME_LENGTH:
        raise ValueError(f"{value!r} has {len(value)} characters; use {NAME_LENGTH} at most, roles are named after it")
    return value


def _account(value: str) -> str:
    if not re.fullmatch(r"\d{12}", value, re.ASCII):
        raise ValueError(f"{value!r} is not an account; write its 12 digits in quotes")
    return value


def _vpc(value: str) -> str:
    if problem := cidr.misfit(value):
        raise ValueError(problem)
    return value


def _public_range(value: str) -> str:
    if ":" in value:
        raise ValueError(f"{value!r} is IPv6; list IPv4 ranges, the endpoint has no other address")
    return value


def _limited(value: str) -> str:
    network = ipaddress.IPv4Network(value)
    if network.prefixlen < NARROW:
        raise ValueError(f"{value} is as good as open; list ranges of /{NARROW} or narrower, or none")
    if any(network.overlaps(internal) for internal in INTERNAL):
        raise ValueError(f"{value} is not public; list the addresses that requests from outside the VPC come from")
    return value


def _role(value: str) -> str:
    if "*" in value or "?" in value:
        raise ValueError(f"{value!r} has a wildcard; name one role")
    if not ROLE.fullmatch(value):
        raise ValueError(f"{value!r} is not a role; write arn:aws:iam::<account>:role/<name>")
    return value


def _log_days(value: int) -> int:
    if value not in LOG_DAYS:
        raise ValueError(
            f"{value} is not a retention that CloudWatch knows; use one of {', '.join(map(str, LOG_DAYS))}"
        )
    return value


def _family(value: str) -> str:
    if value not in GPU_FAMILIES:
        raise ValueError(f"{value!r} is not a family with NVIDIA GPUs; use one of {', '.join(GPU_FAMILIES)}")
    return value


def _cpu_type(value: str) -> str:
    family, dot, size = value.partition(".")
    if not dot or not re.fullmatch(r"[a-z][a-z0-9-]*\d[a-z0-9-]*", family) or not re.fullmatch(r"[a-z0-9-]+", size):
        raise ValueError(f"{value!r} is not an instance type such as m7i.large")
    if family in GPU_FAMILIES:
        raise ValueError(f"{value!r} has GPUs; system nodes need none, use a type such as m7i.large")
    return value


def _ecr_repository(value: str) -> str:
    if not REPOSITORY.fullmatch(value) or not 2 <= len(value) <= 256:
        raise ValueError(f"{value!r} is not a repository name; use lower-case letters, digits and inner . _ - or /")
    if (top := value.partition("/")[0]) in UPSTREAMS:
        raise ValueError(f"{value!r} lies where {top} is cached; choose another name")
    return value


def _upstream(value: str) -> str:
    if value in UPSTREAMS_WITH_CREDENTIAL:
        raise ValueError(
            f"{value!r} needs a credential; use {', '.join(UPSTREAMS)}"
            " (public.ecr.aws/docker/library has Docker's official images)"
        )
    if value not in UPSTREAMS:
        raise ValueError(f"{value!r} is not a registry that ECR caches; use one of {', '.join(UPSTREAMS)}")
    return value


def _aws_bucket(value: str) -> str:
    if RESERVED_BUCKET.fullmatch(value):
        raise ValueError(f"{value!r} has a prefix or suffix that AWS reserves; choose another name")
    return value


ClusterName = Annotated[DnsLabel, AfterValidator(_short)]
Account = Annotated[str, AfterValidator(_account)]
VpcCidr = Annotated[Cidr, AfterValidator(_vpc)]
# The innermost validator runs first: IPv6 must not be called something that is no range at all.
PublicCidr = Annotated[str, AfterValidator(_public_range), *Cidr.__metadata__, AfterValidator(_limited)]
RoleArn = Annotated[str, AfterValidator(_role)]
LogDays = Annotated[int, AfterValidator(_log_days)]
GpuFamily = Annotated[str, AfterValidator(_family)]
CpuInstanceType = Annotated[str, AfterValidator(_cpu_type)]
EcrRepository = Annotated[str, AfterValidator(_ecr_repository)]
Upstream = Annotated[str, AfterValidator(_upstream)]
AwsBucket = Annotated[Bucket, AfterValidator(_aws_bucket)]
Days = Annotated[int, Field(ge=1, le=3650)]
Capacity = Literal["spot", "on-demand"]
