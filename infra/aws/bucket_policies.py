"""Who may read and write a bucket, as its policy: on stores with users of their own, and on AWS."""

from collections.abc import Mapping, Sequence

from aws import iam_documents
from aws.iam_documents import Statement, allow

LIST = "s3:ListBucket"
OF_BUCKETS = ("s3:GetBucketLocation", LIST)
READ = ("s3:GetObject", "s3:GetObjectVersion", *OF_BUCKETS)
READ_VERSION = ("s3:GetObject", "s3:GetObjectVersion")
DELETE = ("s3:DeleteObject", "s3:DeleteObjectVersion")
# Write never includes deleting a version: what was pushed once can be had again.
WRITE = (*READ, "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


def of_users(
    bucket: str,
    *,
    administrators: Sequence[str] = (),
    readers: Sequence[str] = (),
    writers: Sequence[str] = (),
    below: Mapping[str, Sequence[str]] | None = None,
    fills: Mapping[str, Sequence[str]] | None = None,
    drops: Mapping[str, Sequence[str]] | None = None,
    prunes: Mapping[str, Sequence[str]] | None = None,
    lists: Sequence[str] = (),
) -> str:
    """For a store with users: these, and nobody else.

    By prefix, `below`: who may read its objects only; `fills`: who may also write them, but not delete; `drops`: who
    may write and not even read them; `prunes`: who may delete them and their old versions, and read no more of them
    than DVC's listings of folders. `lists`: the prefixes that the first two may list too.

    Once a bucket has a policy, versitygw asks nothing else: who manages the bucket must be in it too. It judges an
    upload by a form (POST) by the bucket alone, whatever key the form names, so what is granted of objects is granted
    of nothing else.
    """
    granted: list[tuple[str, Sequence[str], Sequence[str], list[str]]] = [
        ("Administer", administrators, ["s3:*"], _arns(bucket))
    ]
    for sid, users, actions in (("Read", readers, READ), ("Write", writers, WRITE)):
        own = [action for action in actions if action not in OF_BUCKETS]
        granted += [
            (sid, users, own, [f"arn:aws:s3:::{bucket}/*"]),
            (f"{sid}List", users, OF_BUCKETS, [f"arn:aws:s3:::{bucket}"]),
        ]
    parts = [
        allow(f"{sid}{prefix.title()}", actions, [f"arn:aws:s3:::{bucket}/{prefix}/*"], principals=users)
        for sid, prefixes, actions in (
            ("Read", below, ["s3:GetObject"]),
            ("Fill", fills, ["s3:GetObject", "s3:PutObject"]),
            ("Drop", drops, ["s3:PutObject"]),
        )
        for prefix, users in (prefixes or {}).items()
    ]
    known = {*administrators, *readers, *writers}
    for prefix in lists:
        # `*` of a pattern stands for `/` too.
        users = sorted({*(below or {}).get(prefix, ()), *(fills or {}).get(prefix, ())} - known)
        condition = {"StringLike": {"s3:prefix": f"{prefix}/*"}}
        parts.append(
            allow(f"List{prefix.title()}", [LIST], [f"arn:aws:s3:::{bucket}"], principals=users, condition=condition)
        )
    for prefix, users in (prunes or {}).items():
        below_it = f"arn:aws:s3:::{bucket}/{prefix}/*"
        parts.append(allow(f"Prune{prefix.title()}", DELETE, [below_it], principals=users))
        parts.append(allow(f"Look{prefix.title()}", READ_VERSION, [f"{below_it}.dir"], principals=users))
    if pruning := sorted({user for users in (prunes or {}).values() for user in users}):
        listed = ["s3:ListBucket", "s3:ListBucketVersions"]
        parts.append(allow("ListVersions", listed, [f"arn:aws:s3:::{bucket}"], principals=pruning))
    return iam_documents.document(
        *(allow(sid, actions, resources, principals=users) for sid, users, actions, resources in granted if users),
        *parts,
    )


def of_accounts(bucket: str, *, readers: Sequence[str] = (), writers: Sequence[str] = ()) -> str:
    """For AWS: never without TLS, and besides the bucket's own account these. `readers`, `writers`: account numbers."""
    granted = (("Read", readers, READ), ("Write", writers, WRITE))
    others = [
        allow(sid, actions, _arns(bucket), principals=[iam_documents.account_root(account) for account in accounts])
        for sid, accounts, actions in granted
        if accounts
    ]
    return iam_documents.document(only_with_tls(bucket), *others)


def only_with_tls(bucket: str) -> Statement:
    """Refuses every request that travels in the clear, whoever asks."""
    return {
        "Sid": "OnlyWithTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": _arns(bucket),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _arns(bucket: str) -> list[str]:
    return [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
