"""An account as `infra/bootstrap` leaves it, as far as the stacks name what is in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws import naming
from settings import AwsShared, AwsStage, cluster_names, load_cluster


def account(root: Path) -> tuple[str, str]:
    """The number and the region of what stages share in the checkout at `root`; an emulator is one account."""
    cluster = load_cluster("shared", root)
    assert isinstance(cluster, AwsShared)
    return cluster.account, cluster.region


def prepare(client: Callable[[str], Any], root: Path) -> None:
    """For every cluster on AWS that the checkout at `root` describes; `client` makes one of a service."""
    roles = set()
    for name in cluster_names(root):
        cluster = load_cluster(name, root)
        if isinstance(cluster, AwsShared):
            _prepare_shared(client, cluster)
        if isinstance(cluster, AwsShared | AwsStage):
            roles.add(naming.role_arn(cluster.account, naming.deploy_role(name)))
        if isinstance(cluster, AwsStage):
            # An access entry is only for somebody who exists.
            roles.update(cluster.kubernetes.administrators)
    for arn in sorted(roles):
        path, _, name = arn.partition(":role/")[2].rpartition("/")
        client("iam").create_role(RoleName=name, Path=f"/{path}/" if path else "/", AssumeRolePolicyDocument="{}")


def _prepare_shared(client: Callable[[str], Any], cluster: AwsShared) -> None:
    place = {"LocationConstraint": cluster.region}
    client("s3").create_bucket(Bucket=naming.state_bucket(cluster.account), CreateBucketConfiguration=place)
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    client("iam").create_policy(PolicyName=naming.boundary(), PolicyDocument=json.dumps(allow))
