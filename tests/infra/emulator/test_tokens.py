"""Whose EKS tokens a cluster's API server is told to let in: of known callers with an access entry, and no others."""

import base64
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import boto3
import httpx
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws import emulation
from emulator.app import WEBHOOK
from emulator.eks_access import CLUSTER_ADMIN
from emulator.process import Emulator
from emulator.tokens import CLUSTER_HEADER, PREFIX
from example import ACCOUNT, ADMINISTRATOR

QUERY = "Action=GetCallerIdentity&Version=2011-06-15"
STS = "https://sts.eu-central-1.amazonaws.com/"
CLUSTER = "tokens"
ACCESS_KEY, SECRET_KEY = emulation.credentials(ACCOUNT).values()

Review = Callable[..., dict[str, Any]]


def url(
    *,
    cluster: str = CLUSTER,
    query: str = QUERY,
    secret: str = SECRET_KEY,
    key: str = ACCESS_KEY,
    session: str | None = None,
    host: str = STS,
    expires: int = 60,
    service: str = "sts",
) -> str:
    """A presigned request as `aws eks get-token` makes it."""
    request = AWSRequest("GET", f"{host}?{query}", headers={CLUSTER_HEADER: cluster})
    SigV4QueryAuth(Credentials(key, secret, session), service, "eu-central-1", expires).add_auth(request)
    return str(request.url)


def token(presigned: str) -> str:
    return PREFIX + base64.urlsafe_b64encode(presigned.encode()).decode().rstrip("=")


@pytest.fixture(scope="module")
def review(aws: Emulator) -> Iterator[Review]:
    """Asks as the API server of a cluster does whose administrator is the emulator's own."""
    ec2, iam, eks = aws.client("ec2"), aws.client("iam"), aws.client("eks")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=f"eu-central-1{zone}")
        for number, zone in enumerate("ab")
    ]
    ids = [one["Subnet"]["SubnetId"] for one in subnets]
    role = iam.create_role(RoleName="tokens", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    eks.create_cluster(
        name=CLUSTER,
        roleArn=role,
        resourcesVpcConfig={"subnetIds": ids},
        accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
    )
    names = {"clusterName": CLUSTER, "principalArn": ADMINISTRATOR}
    eks.create_access_entry(**names)
    eks.associate_access_policy(**names, policyArn=CLUSTER_ADMIN, accessScope={"type": "cluster"})
    eks.create_access_entry(clusterName=CLUSTER, principalArn=role, kubernetesGroups=["readers"])

    def ask(given: str, cluster: str = CLUSTER) -> dict[str, Any]:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": given}}
        answer = httpx.post(f"{aws.url}{WEBHOOK}/{cluster}", json=body, trust_env=False).json()
        assert answer["kind"] == "TokenReview"
        return dict(answer["status"])

    yield ask
    eks.delete_cluster(name=CLUSTER)


def test_administrator_is_let_in(review: Review) -> None:
    status = review(token(url()))
    assert status["authenticated"]
    assert status["user"]["groups"] == ["system:masters"]
    assert status["user"]["uid"] == ADMINISTRATOR


def test_emulator_stands_for_sts(aws: Emulator, review: Review) -> None:
    assert review(token(url(host=f"{aws.url}/")))["authenticated"]


def test_assumed_role_is_its_role(aws: Emulator, review: Review) -> None:
    role = "arn:aws:iam::123456789012:role/tokens"
    found = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="ann")["Credentials"]
    keys = {"key": found["AccessKeyId"], "secret": found["SecretAccessKey"]}
    status = review(token(url(**keys, session=found["SessionToken"])))
    assert (status["user"]["uid"], status["user"]["groups"]) == (role, ["readers"])
    assert not review(token(url(**keys)))["authenticated"]  # without its session token


def unknown_role(aws: Emulator) -> str:
    """A token of a role that exists and has no access entry."""
    role = aws.client("iam").create_role(RoleName="stranger", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    found = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="eve")["Credentials"]
    return token(url(key=found["AccessKeyId"], secret=found["SecretAccessKey"], session=found["SessionToken"]))


def test_caller_without_an_access_entry(aws: Emulator, review: Review) -> None:
    assert "has no access entry" in review(unknown_role(aws))["error"]


def altered(presigned: str) -> str:
    """The same request with its time changed after it was signed."""
    parts = urlsplit(presigned)
    return urlunsplit(parts._replace(query=parts.query.replace("X-Amz-Expires=60", "X-Amz-Expires=61")))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (lambda: "k8s-aws-v2.abc", "does not start"),
        (lambda: PREFIX + "%%%", "base64url"),
        (lambda: token(url(cluster="other")), "signature does not match"),
        (lambda: token(url(secret="wrong")), "signature does not match"),
        (lambda: token(altered(url())), "signature does not match"),
        (lambda: token(url(key="AKIANOBODY")), "access key is not known"),
        (lambda: token(url(host="https://sts.test/")), "no host of STS"),
        (lambda: token(url(query="Action=AssumeRole&Version=2011-06-15")), "no call of GetCallerIdentity"),
        (lambda: token(url(expires=3600)), "expired"),
        (lambda: token(url(service="s3")), "scope is not STS"),
        (lambda: token(url().replace("%3Bx-k8s-aws-id", "")), "is not signed"),
    ],
)
def test_other_tokens_are_refused(review: Review, given: Callable[[], str], why: str) -> None:
    status = review(given())
    assert not status["authenticated"]
    assert why in status["error"]


def test_token_is_for_one_cluster(review: Review) -> None:
    assert "there is no cluster gone" in review(token(url(cluster="gone")), "gone")["error"]


def test_presigning_as_the_command_line_does(aws: Emulator, review: Review) -> None:
    """By a client of STS, the other way that programs make these tokens."""
    session = boto3.Session(ACCESS_KEY, SECRET_KEY, region_name="eu-central-1")
    client = session.client("sts", endpoint_url=aws.url)
    client.meta.events.register(
        "before-sign.sts.GetCallerIdentity", lambda request, **_: request.headers.add_header(CLUSTER_HEADER, CLUSTER)
    )
    presigned = client.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    assert review(token(presigned))["authenticated"]
