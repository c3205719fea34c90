"""Buckets for data and models, versioned, and who may read and write them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_aws import s3

READ = ("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:GetBucketLocation")
# Write never includes deleting a version: what was pushed once can be had again.
WRITE = (*READ, "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


@dataclass(frozen=True)
class BucketArgs:
    """A bucket, and the users of the store that may read it, also write it, or do everything with it.

    Once a bucket has a policy, versitygw asks nothing else: who manages the bucket must be in it too.
    """

    name: str
    administrators: Sequence[str] = ()
    readers: Sequence[str] = ()
    writers: Sequence[str] = ()


@dataclass(frozen=True)
class ObjectStoreArgs:
    """The buckets by role. `force_destroy`: whether destroying the stack also deletes what is in them."""

    buckets: Mapping[str, BucketArgs] = field(default_factory=dict)
    force_destroy: bool = False


class ObjectStore(pulumi.ComponentResource):
    """Buckets of an S3-compatible store. `bucket_names` has each bucket's name by its role."""

    bucket_names: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:ObjectStore", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.bucket_names = {}
        for role, bucket_args in args.buckets.items():
            bucket = s3.Bucket(f"{name}-{role}", bucket=bucket_args.name, force_destroy=args.force_destroy, opts=child)
            s3.BucketVersioning(
                f"{name}-{role}",
                bucket=bucket.bucket,
                versioning_configuration={"status": "Enabled"},
                opts=child,
            )
            s3.BucketPolicy(f"{name}-{role}", bucket=bucket.bucket, policy=policy(bucket_args), opts=child)
            self.bucket_names[role] = bucket.bucket
        self.register_outputs({"bucket_names": self.bucket_names})


def policy(args: BucketArgs) -> str:
    """The bucket's policy as JSON: the users of `args`, and nobody else."""
    resources = [f"arn:aws:s3:::{args.name}", f"arn:aws:s3:::{args.name}/*"]
    statements = [
        {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"AWS": sorted(users)},
            "Action": sorted(actions),
            "Resource": resources,
        }
        for sid, users, actions in (
            ("Administer", args.administrators, ("s3:*",)),
            ("Read", args.readers, READ),
            ("Write", args.writers, WRITE),
        )
        if users
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, sort_keys=True)
