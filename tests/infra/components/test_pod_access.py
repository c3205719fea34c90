"""A role for each service account, which no other pod and no other cluster can assume."""

import json

import pulumi
import pytest

from aws.iam_documents import allow
from aws.owner import Owner
from components.pod_access import PodAccess, PodAccessArgs, PodGrant
from recording import Recording, record

OWNER = Owner("dev", "123456789012", "eu-central-1")


def _args() -> PodAccessArgs:
    grants = {
        "read": PodGrant("dev", "classifier", [allow("Read", ["s3:GetObject"], ["arn:aws:s3:::models/*"])]),
        "write": PodGrant(
            "runner-controller",
            "runner-job",
            pulumi.Output.from_input("arn:aws:s3:::data").apply(
                lambda arn: [allow("Write", ["s3:PutObject"], [f"{arn}/dvc/*"])]
            ),
        ),
    }
    return PodAccessArgs(OWNER, "ml-platform-dev", grants)


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return record(lambda: (PodAccess("one", _args()), PodAccess("two", _args())))


def test_a_role_is_for_one_account_of_one_cluster(recorded: Recording) -> None:
    (statement,) = json.loads(recorded.one("aws:iam/role:Role", "one-read").inputs["assumeRolePolicy"])["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {
            "StringEquals": {
                "aws:RequestTag/eks-cluster-name": "ml-platform-dev",
                "aws:RequestTag/kubernetes-namespace": "dev",
                "aws:RequestTag/kubernetes-service-account": "classifier",
                "aws:SourceAccount": "123456789012",
            }
        },
    }


def test_the_association_hands_it_to_that_account(recorded: Recording) -> None:
    found = recorded.one("aws:eks/podIdentityAssociation:PodIdentityAssociation", "one-read")
    assert found.inputs == {
        "clusterName": "ml-platform-dev",
        "namespace": "dev",
        "roleArn": "arn:aws:test:::one-read",
        "serviceAccount": "classifier",
        "tags": OWNER.tags("pod-access"),
    }
    assert recorded.one("aws:iam/rolePolicy:RolePolicy", "one-read").urn in found.dependencies


def test_it_may_do_what_is_granted(recorded: Recording) -> None:
    policy = json.loads(recorded.one("aws:iam/rolePolicy:RolePolicy", "one-write").inputs["policy"])
    assert policy["Statement"] == [allow("Write", ["s3:PutObject"], ["arn:aws:s3:::data/dvc/*"])]


def test_two_instances_share_no_name(recorded: Recording) -> None:
    assert len(set(recorded.urns())) == len(recorded) == 14
