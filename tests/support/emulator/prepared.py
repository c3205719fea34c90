"""An account as `infra/bootstrap` leaves it, as far as the stacks name what is in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws import naming
from settings import AwsShared, AwsStage, SettingsError, cluster_names, load_cluster


def account(root: Path) -> tuple[str, str]:
    """The number and the region of what stages share in the checkout at `root`; an emulator is one account.

    Raises SettingsError.
    """
    for name in cluster_names(root):
        cluster = load_cluster(name, root)
        if isinstance(cluster, AwsShared):
            return cluster.account, cluster.region
    raise SettingsError(f"{root}/clusters: no cluster has provider aws-shared; add one, as clusters/shared is")


def prepare(client: Callable[[str], Any], root: Path) -> None:
    """For every cluster in that account; `client` makes one of a service. Raises SettingsError."""
    number, region = account(root)
    place = {"LocationConstraint": region}
    client("s3").create_bucket(Bucket=naming.state_bucket(number), CreateBucketConfiguration=place)
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    client("iam").create_policy(PolicyName=naming.boundary(), PolicyDocument=json.dumps(allow))
    roles = set()
    for name in cluster_names(root):
        cluster = load_cluster(name, root)
        if isinstance(cluster, AwsShared | AwsStage) and cluster.account == number:
            roles.add(naming.role_arn(number, naming.deploy_role(name)))
            # An access entry is only for somebody who exists.
            roles.update(cluster.kubernetes.administrators if isinstance(cluster, AwsStage) else [])
    for arn in sorted(roles):
        path, _, name = arn.partition(":role/")[2].rpartition("/")
        client("iam").create_role(RoleName=name, Path=f"/{path}/" if path else "/", AssumeRolePolicyDocument="{}")
