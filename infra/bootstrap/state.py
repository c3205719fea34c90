"""Who may do what with the state: one bucket and one key for all stacks of a platform, each stack its own part.

Stages read the shared stack's outputs from its state, so all states lie in one bucket, in the shared stack's account.
What keeps them apart is the path in the bucket and, for the secrets, the encryption context `stack`, which
`secretsprovider` in each stack file names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws import bucket_policies, iam_documents, naming
from aws.iam_documents import Statement, account_root, allow
from settings import PROJECT

# Where Pulumi's own store keeps things: pulumi/pkg/backend/diy, store.go and lock.go.
FOLDER = ".pulumi"


@dataclass(frozen=True)
class State:
    """Where the states of a platform lie. `shared`: the stack that all others read."""

    account: str
    region: str
    shared: str

    @property
    def bucket(self) -> str:
        return naming.state_bucket(self.account)

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.bucket}"

    def reader(self, stacks: Sequence[str]) -> str:
        """The policy of a role that previews these stacks."""
        return iam_documents.document(*self._read([*stacks, self.shared]))

    def writer(self, stack: str) -> str:
        """The policy of a role that applies one stack."""
        return iam_documents.document(*self._write(stack))

    def bucket_policy(self, visitors: Mapping[str, str]) -> str:
        """Nobody without TLS; besides the account itself, the roles of each stack in another. `visitors`: stack to
        account.
        """
        granted = [
            _to(statement, account, role)
            for stack, account in sorted(visitors.items())
            for role, statements in self._roles(stack)
            for statement in statements
            if statement["Action"][0].startswith("s3:")
        ]
        return iam_documents.document(bucket_policies.only_with_tls(self.bucket), *granted)

    def key_policy(self, visitors: Mapping[str, str]) -> str:
        """The account's own policies say who may use the key; besides, the roles of each stack in another account."""
        own = allow("Account", ["kms:*"], ["*"], principals=[account_root(self.account)])
        granted = [
            _to({**statement, "Resource": ["*"]}, account, role)
            for stack, account in sorted(visitors.items())
            for role, statements in self._roles(stack)
            for statement in statements
            if statement["Action"][0].startswith("kms:")
        ]
        return iam_documents.document(own, *granted)

    def _roles(self, stack: str) -> list[tuple[str, list[Statement]]]:
        return [
            (naming.deploy_role(stack), self._write(stack)),
            (naming.preview_role(), self._read([stack, self.shared])),
        ]

    def _read(self, stacks: Sequence[str]) -> list[Statement]:
        names = sorted(set(stacks))
        # The state, and the stack's tags, which say what writes it.
        kept = [f"stacks/{PROJECT}/{stack}{end}" for stack in names for end in (".json*", ".pulumi-tags")]
        states = [f"{self.arn}/{FOLDER}/{place}" for place in kept]
        return [
            allow("ListState", ["s3:GetBucketLocation", "s3:ListBucket"], [self.arn]),
            allow("ReadState", ["s3:GetObject"], [f"{self.arn}/{FOLDER}/meta.yaml", *states]),
            self._key("OpenState", ["kms:Decrypt"], self._through_s3()),
            self._key("ReadSecrets", ["kms:Decrypt"], {"kms:EncryptionContext:stack": names}),
        ]

    def _write(self, stack: str) -> list[Statement]:
        own = [
            f"{self.arn}/{FOLDER}/{place}"
            for place in (
                f"stacks/{PROJECT}/{stack}.json*",
                f"stacks/{PROJECT}/{stack}.pulumi-tags",
                f"history/{PROJECT}/{stack}/*",
                f"backups/{PROJECT}/{stack}/*",
                f"locks/organization/{PROJECT}/{stack}/*",
            )
        ]
        return [
            *self._read([stack, self.shared]),
            allow("WriteState", ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], own),
            self._key("SealState", ["kms:GenerateDataKey"], self._through_s3()),
            self._key("WriteSecrets", ["kms:Encrypt"], {"kms:EncryptionContext:stack": [stack]}),
        ]

    def _through_s3(self) -> dict[str, Any]:
        """With a bucket key, S3 names the bucket as its context."""
        return {
            "kms:ViaService": f"s3.{self.region}.amazonaws.com",
            "kms:EncryptionContext:aws:s3:arn": self.arn,
        }

    def _key(self, sid: str, actions: Sequence[str], equals: Mapping[str, Any]) -> Statement:
        """A grant on the state's key, which is known by its alias only: the number is made with it."""
        condition = {
            "StringEquals": dict(equals),
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": naming.state_key_alias()},
        }
        return allow(sid, actions, [f"arn:aws:kms:{self.region}:{self.account}:key/*"], condition=condition)


def _to(statement: Statement, account: str, role: str) -> Statement:
    """The same grant, to a role of another account, which need not exist yet: the account, if it acts as that role."""
    condition = dict(statement.get("Condition", {}))
    condition["ArnEquals"] = {"aws:PrincipalArn": naming.role_arn(account, role)}
    sid = "".join(part.capitalize() for part in role.split("-")) + account + str(statement["Sid"])
    return {**statement, "Sid": sid, "Principal": {"AWS": [account_root(account)]}, "Condition": condition}
