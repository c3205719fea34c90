"""Accounts as `infra/bootstrap` leaves them, as far as the stacks name what is in them."""

import json
from pathlib import Path

from aws import naming
from emulator.process import Emulator
from settings import AwsShared, AwsStage, SettingsError, cluster_names, load_cluster


def administrators(root: Path) -> tuple[dict[str, str], str]:
    """The accounts of the clusters on AWS under `root`, a shared one first, and their region.

    Each has the ARN of a role that may do everything there, and in its clusters too: the first that a cluster lists.
    Raises SettingsError.
    """
    clusters = _clusters(root)
    found = {one.account: naming.role_arn(one.account, naming.deploy_role(one.name)) for one in clusters}
    for cluster in reversed(clusters):
        if isinstance(cluster, AwsStage):
            found[cluster.account] = cluster.kubernetes.administrators[0]
    return found, clusters[0].region


def prepare(aws: Emulator, root: Path) -> None:
    """In each account what its clusters name: the state's bucket, and roles. Raises SettingsError."""
    clusters = _clusters(root)
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    for number in {cluster.account for cluster in clusters}:
        there = aws.within(number)
        iam = there.client("iam")
        roles = set()
        for cluster in (one for one in clusters if one.account == number):
            iam.create_policy(PolicyName=naming.boundary(cluster.name), PolicyDocument=json.dumps(allow))
            roles.add(naming.role_arn(number, naming.deploy_role(cluster.name)))
            if isinstance(cluster, AwsStage):
                # An access entry is only for somebody who exists.
                roles.update(cluster.kubernetes.administrators)
            else:
                place = {"LocationConstraint": cluster.region}
                there.client("s3").create_bucket(Bucket=naming.state_bucket(number), CreateBucketConfiguration=place)
        for arn in sorted(roles):
            path, _, name = arn.partition(":role/")[2].rpartition("/")
            iam.create_role(RoleName=name, Path=f"/{path}/" if path else "/", AssumeRolePolicyDocument="{}")


def _clusters(root: Path) -> list[AwsShared | AwsStage]:
    """Those on AWS, a shared one first. Raises SettingsError where there is none."""
    every = (load_cluster(name, root) for name in cluster_names(root))
    found = [cluster for cluster in every if isinstance(cluster, AwsShared | AwsStage)]
    if not any(isinstance(cluster, AwsShared) for cluster in found):
        raise SettingsError(f"{root}/clusters: no cluster has provider aws-shared; add one, as clusters/shared is")
    return sorted(found, key=lambda cluster: isinstance(cluster, AwsStage))
