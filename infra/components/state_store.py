"""Where Pulumi's state lies: a bucket that keeps old versions, and the key that encrypts it and the secrets in it."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import kms

from aws.owner import Owner
from components.object_store import BucketArgs, ObjectStore, ObjectStoreArgs, RetentionArgs

# The longest that KMS waits: with the key, every secret of every stack would be gone.
KEY_DELETION_DAYS = 30
# How far back a state can be had again.
RETENTION = RetentionArgs(old_version_days=365, unfinished_upload_days=7)


@dataclass(frozen=True)
class StateStoreArgs:
    """`bucket`, `alias`: the names that stack files and CI know them by. The policies are JSON."""

    owner: Owner
    bucket: str
    alias: str
    bucket_policy: str
    key_policy: str


class StateStore(pulumi.ComponentResource):
    """The bucket and the key; both are protected, whichever account they are in."""

    bucket_name: pulumi.Output[str]
    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: StateStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:StateStore", name, None, opts)
        tags = args.owner.tags("state")
        key = kms.Key(
            f"{name}-key",
            description="Pulumi's state, and the secrets in it",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_DAYS,
            policy=args.key_policy,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        kms.Alias(
            f"{name}-key",
            name=args.alias,
            target_key_id=key.key_id,
            # Without its name nothing finds the key.
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        store = ObjectStore(
            f"{name}-store",
            ObjectStoreArgs(
                buckets={"bucket": BucketArgs(args.bucket, args.bucket_policy)},
                protect=True,
                retention=RETENTION,
                encryption_key=key.arn,
                tags=tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.bucket_name = store.bucket_names["bucket"]
        self.key_arn = key.arn
        self.register_outputs({"bucket_name": self.bucket_name, "key_arn": self.key_arn})
