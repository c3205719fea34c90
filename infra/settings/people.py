"""Who works with the platform, and who may approve what others propose."""

import json
import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from settings.section import Section, refuse_duplicates

ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9._-]{0,38}[a-z0-9])?")
# The forge's own and the platform's accounts. They approve nothing.
RESERVED = frozenset({"admin", "argocd", "ml-bot", "ml-merge", "ml-proposer", "platform-admin"})


def _account(value: str) -> str:
    if not ACCOUNT.fullmatch(value):
        raise ValueError(f"{value!r} is no account name; use lower-case letters, digits and inner . _ -, 40 at most")
    if value in RESERVED:
        raise ValueError(f"{value!r} is an account of the platform itself; list people only")
    return value


Account = Annotated[str, AfterValidator(_account)]


class People(Section):
    """`owners` approve changes of what protects, judges or deploys main, and all others; `members` all others.
    `approvals`: how many people who had no part in a change must approve it; 0 for a person who works alone.
    """

    owners: Annotated[list[Account], Field(min_length=1)]
    members: list[Account] = Field(default_factory=list)
    approvals: Annotated[int, Field(ge=0)] = 1

    @property
    def all(self) -> list[str]:
        return [*self.owners, *self.members]

    @property
    def document(self) -> str:
        """What the bot reads."""
        return json.dumps({"owners": self.owners, "members": self.members, "approvals": self.approvals})

    @model_validator(mode="after")
    def _enough(self) -> Self:
        refuse_duplicates("owners and members", self.all)
        if self.approvals >= len(self.all):
            raise ValueError(
                f"approvals is {self.approvals}, and owners and members are {len(self.all)}: nobody approves his own "
                "change, so nothing could be merged; list more people, or set approvals: 0"
            )
        return self


# Of a file without the key: the accounts of a platform that scripts/up sets up.
DEFAULT = {"owners": ["owner"], "members": ["member"], "approvals": 1}
