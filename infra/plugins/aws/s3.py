"""S3: buckets, and what is set on them, on AWS and on the stores that speak its protocol."""

from collections.abc import Iterable
from typing import Any

from plugins.aws.calls import Call, Change, Describe, Thing, absent
from plugins.aws.errors import ApiError
from plugins.aws.fields import LISTED, Field, local, pascal
from plugins.aws.row import Type
from plugins.aws.tagging import Tagging, pairs
from plugins.server import Problem, ProviderError
from plugins.wire import is_unknown

DELETE_BATCH = 1000  # the protocol's limit of keys in one call
CLASSIC_REGION = "us-east-1"  # the one that may not be named when a bucket is made
BUCKET: dict[str, Any] = {"Bucket": "{id}"}


def _create_bucket(thing: Thing) -> None:
    region = thing.aws.region
    where = {} if region == CLASSIC_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        thing.call("create_bucket", Bucket=thing.inputs["bucket"], **where)
    except ApiError as error:
        if error.code != "BucketAlreadyOwnedByYou":
            raise
        # An interrupted create left it: nobody else can have a bucket of this name and own it as us.


def _delete_bucket(thing: Thing) -> None:
    if thing.inputs.get("forceDestroy"):
        _empty(thing)
    thing.call("delete_bucket", Bucket=thing.id)


def _empty(thing: Thing) -> None:
    """Delete every version of every object, and what was never uploaded whole."""
    for page in thing.pages("list_object_versions", "", Bucket=thing.id):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        keys = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        for start in range(0, len(keys), DELETE_BATCH):
            batch = {"Objects": keys[start : start + DELETE_BATCH], "Quiet": True}
            errors = thing.call("delete_objects", Bucket=thing.id, Delete=batch).get("Errors", [])
            if errors:
                raise ProviderError(f"{thing.subject}: {errors[0]['Key']} cannot be deleted: {errors[0]['Message']}")
    for upload in thing.pages("list_multipart_uploads", "Uploads", Bucket=thing.id):
        key, identifier = upload["Key"], upload["UploadId"]
        thing.call("abort_multipart_upload", Bucket=thing.id, Key=key, UploadId=identifier)


def _read_tags(thing: Thing) -> dict[str, Any]:
    """The tags, asked for only where there may be some: stores do not all have the call."""
    if thing.aws.is_store("s3"):
        return {}
    try:
        return {"Tags": thing.call("get_bucket_tagging", Bucket=thing.id)["TagSet"]}
    except ApiError as error:
        if error.code != "NoSuchTagSet":
            raise
        return {"Tags": []}


def _put_tags(thing: Thing, _: Any = None) -> None:
    """All tags in one call, which replaces those that are there."""
    if tags := thing.inputs.get("tags"):
        thing.call("put_bucket_tagging", Bucket=thing.id, Tagging={"TagSet": pairs(tags)})
    elif thing.olds.get("tags"):
        thing.call("delete_bucket_tagging", Bucket=thing.id)


def _versioning(thing: Thing) -> dict[str, Any]:
    found = thing.call("get_bucket_versioning", Bucket=thing.id)
    if "Status" not in found:
        raise absent(thing)
    return {"VersioningConfiguration": {"Status": found["Status"]}}


def _status(inputs: dict[str, Any]) -> Iterable[Problem]:
    configuration = inputs.get("versioningConfiguration")
    status = configuration.get("status") if isinstance(configuration, dict) else "Enabled"
    if status not in {"Enabled", "Suspended"} and not is_unknown(status):
        yield Problem("versioningConfiguration.status", f"is {status!r}; write Enabled or Suspended")


def _setting(
    token: str,
    read: str,
    put: str,
    delete: Any,
    *settings: Field,
    path: str = "",
    describe: Any = None,
    also: Any = None,
) -> Type:
    """Something that a bucket has one of: it is put whole, read, and deleted."""
    names = tuple(one.name for one in settings)
    step = Call(put, body=("bucket", *names))
    return Type(
        f"aws:s3/{token[:1].lower()}{token[1:]}:{token}",
        "s3",
        (pascal("bucket", fixed=True, required=True), *settings),
        create=step,
        identifier="{bucket}",
        created="",
        read=(describe or Describe(read, path, **BUCKET),),
        changes=(Change(names, step),),
        delete=Call(delete, **BUCKET) if isinstance(delete, str) else delete,
        unique=("bucket",),
        also=also,
        label="bucket",
    )


BY_DEFAULT = pascal(
    "applyServerSideEncryptionByDefault",
    fields=(pascal("sseAlgorithm", "SSEAlgorithm"), pascal("kmsMasterKeyId", "KMSMasterKeyID")),
)
FILTER = (pascal("prefix"), pascal("objectSizeGreaterThan"), pascal("objectSizeLessThan"))
LIFECYCLE_RULE = (
    pascal("id", "ID"),
    pascal("status"),
    pascal("filter", fields=FILTER),
    pascal("expiration", fields=(pascal("days"), pascal("expiredObjectDeleteMarker"))),
    pascal("noncurrentVersionExpiration", fields=(pascal("noncurrentDays"), pascal("newerNoncurrentVersions"))),
    pascal("abortIncompleteMultipartUpload", fields=(pascal("daysAfterInitiation"),)),
)


def _in(wrapper: str, name: str, **options: Any) -> Field:
    """A property that calls have in a wrapper, and answers without it."""
    member = options.pop("member", name[:1].upper() + name[1:])
    return pascal(name, f"{wrapper}.{member}", live=member, **options)


TYPES = (
    Type(
        "aws:s3/bucket:Bucket",
        "s3",
        (pascal("bucket", fixed=True, required=True), local("forceDestroy", default=False)),
        create=_create_bucket,
        identifier="{bucket}",
        created="",
        read=(Call("head_bucket", **BUCKET), _read_tags),
        delete=_delete_bucket,
        after=_put_tags,
        outputs={"arn": "arn:{partition}:s3:::{id}", "bucketDomainName": "{id}.s3.amazonaws.com"},
        tagging=Tagging("", put=_put_tags, remove=_put_tags),
        unique=("bucket",),
    ),
    _setting(
        "BucketVersioning",
        "get_bucket_versioning",
        "put_bucket_versioning",
        # S3 cannot switch it off again.
        Call("put_bucket_versioning", **BUCKET, VersioningConfiguration={"Status": "Suspended"}),
        pascal("versioningConfiguration", fields=(pascal("status", required=True),), required=True),
        describe=_versioning,
        also=_status,
    ),
    _setting(
        "BucketPolicy",
        "get_bucket_policy",
        "put_bucket_policy",
        "delete_bucket_policy",
        pascal("policy", kind="document", required=True),
    ),
    _setting(
        "BucketPublicAccessBlock",
        "get_public_access_block",
        "put_public_access_block",
        "delete_public_access_block",
        *(
            _in("PublicAccessBlockConfiguration", name, default=False)
            for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        ),
        path="PublicAccessBlockConfiguration",
    ),
    _setting(
        "BucketServerSideEncryptionConfiguration",
        "get_bucket_encryption",
        "put_bucket_encryption",
        "delete_bucket_encryption",
        _in(
            "ServerSideEncryptionConfiguration",
            "rules",
            kind="objects",
            fields=(BY_DEFAULT, pascal("bucketKeyEnabled", default=False)),
            required=True,
        ),
        path="ServerSideEncryptionConfiguration",
    ),
    _setting(
        "BucketOwnershipControls",
        "get_bucket_ownership_controls",
        "put_bucket_ownership_controls",
        "delete_bucket_ownership_controls",
        _in(
            "OwnershipControls",
            "rule",
            member="Rules",
            fields=(pascal("objectOwnership", required=True),),
            required=True,
            **LISTED,
        ),
        path="OwnershipControls",
    ),
    _setting(
        "BucketLifecycleConfiguration",
        "get_bucket_lifecycle_configuration",
        "put_bucket_lifecycle_configuration",
        "delete_bucket_lifecycle",
        _in("LifecycleConfiguration", "rules", kind="objects", fields=LIFECYCLE_RULE, required=True),
    ),
)
