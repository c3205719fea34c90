"""Buckets, versioned, with a policy each; on AWS also encrypted, closed to the public, owned by one, and tidied."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_aws import s3


@dataclass(frozen=True)
class BucketArgs:
    """`policy`: the bucket's policy as JSON (`bucket_policies`)."""

    name: str
    policy: str


@dataclass(frozen=True)
class RetentionArgs:
    """After how many days an old version of an object and the parts of an unfinished upload go."""

    old_version_days: int
    unfinished_upload_days: int


@dataclass(frozen=True)
class ObjectStoreArgs:
    """The buckets by role.

    `force_destroy`: whether destroying the stack also deletes what is in them. `protect`: whether Pulumi refuses to
    delete them. `retention`: for AWS only; other stores know neither it nor AWS's safeguards. `encryption_key`: the ARN
    of a KMS key in place of S3's own. `tags`: on AWS.
    """

    buckets: Mapping[str, BucketArgs]
    force_destroy: bool = False
    protect: bool = False
    retention: RetentionArgs | None = None
    encryption_key: pulumi.Input[str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class ObjectStore(pulumi.ComponentResource):
    """Buckets of AWS or of an S3-compatible store. `bucket_names` and `bucket_arns` are by role."""

    bucket_names: dict[str, pulumi.Output[str]]
    bucket_arns: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:ObjectStore", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=args.protect)
        self.bucket_names, self.bucket_arns = {}, {}
        for role, bucket_args in args.buckets.items():
            bucket = s3.Bucket(
                f"{name}-{role}",
                bucket=bucket_args.name,
                force_destroy=args.force_destroy,
                tags=dict(args.tags) or None,
                opts=kept,
            )
            versioning = s3.BucketVersioning(
                f"{name}-{role}",
                bucket=bucket.bucket,
                versioning_configuration={"status": "Enabled"},
                opts=child,
            )
            closed = _safeguards(f"{name}-{role}", bucket, versioning, args, self)
            # A policy while the block on public ones is being set is refused as a conflict.
            after_block = pulumi.ResourceOptions(parent=self, depends_on=closed)
            s3.BucketPolicy(f"{name}-{role}", bucket=bucket.bucket, policy=bucket_args.policy, opts=after_block)
            self.bucket_names[role], self.bucket_arns[role] = bucket.bucket, bucket.arn
        self.register_outputs({"bucket_names": self.bucket_names})


def _safeguards(
    name: str,
    bucket: s3.Bucket,
    versioning: s3.BucketVersioning,
    args: ObjectStoreArgs,
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """What AWS's buckets have besides; returns what the policy must wait for."""
    if args.retention is None:
        return []
    child = pulumi.ResourceOptions(parent=parent)
    s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=bucket.bucket,
        rules=[encryption(args.encryption_key)],
        opts=child,
    )
    s3.BucketOwnershipControls(name, bucket=bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=child)
    s3.BucketLifecycleConfiguration(
        name,
        bucket=bucket.bucket,
        rules=lifecycle(args.retention),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[versioning]),
    )
    block = s3.BucketPublicAccessBlock(
        name,
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=child,
    )
    return [block]


def encryption(
    key: pulumi.Input[str] | None,
) -> s3.BucketServerSideEncryptionConfigurationRuleArgsDict:
    """By S3's own keys, unless one of KMS is named: each reader in another account then needs that key too."""
    if key is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    return {
        "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key},
        "bucket_key_enabled": True,
    }


def lifecycle(retention: RetentionArgs) -> list[s3.BucketLifecycleConfigurationRuleArgsDict]:
    """Old versions go after a while, with the markers that then hide nothing, and what an upload left unfinished."""
    return [
        {
            "id": "old-versions",
            "status": "Enabled",
            "filter": {},
            "noncurrent_version_expiration": {"noncurrent_days": retention.old_version_days},
            "expiration": {"expired_object_delete_marker": True},
        },
        {
            "id": "unfinished-uploads",
            "status": "Enabled",
            "filter": {},
            "abort_incomplete_multipart_upload": {"days_after_initiation": retention.unfinished_upload_days},
        },
    ]
