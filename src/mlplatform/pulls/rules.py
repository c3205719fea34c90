"""What a pull request must have to be merged."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

JUDGE = "ml-bot"
PROPOSER = "ml-proposer"
MERGER = "ml-merge"
# The context of the repository's own checks, and the workflow without which main has none.
CI = "ci"
CI_WORKFLOW = ".github/workflows/ci.yml"
PLATFORM = frozenset({JUDGE, PROPOSER, MERGER})
ADMINISTRATORS = frozenset({"platform-admin"})

# What protects, judges or deploys main. `*` stands for one part of a path; what ends with `/` means all below it.
OWNED = (
    ".github/",
    ".gitea/",
    ".ci/",
    "scripts/",
    "infra/",
    "src/",
    "argocd/",
    "clusters/",
    "requirements/",
    "Pulumi.yaml",
    # What decides which tests run, and how: the settings of pytest among it. Tests themselves may be anybody's.
    "*.py",
    "*.toml",
    "*.ini",
    "*.cfg",
    "**/conftest.py",
    "tests/support/",
    "docs/CODEOWNERS",
    "apps/*/base/",
    "apps/*/src/",
    "apps/*/overlays/prod/",
    # Whose Applications may make roles, and reach Argo CD's namespace.
    "apps/*/overlays/platform/",
    # The platform's own services: what a runner pool mounts, what an image of theirs is made of.
    "apps/bot/",
    "apps/runner-controller/",
    "**/.dvc/config",
    # Why a checkout may hold something else than the commit that was reviewed.
    "**/.gitattributes",
    ".gitmodules",
    ".lfsconfig",
    # What rules the gate: how a model is measured. On what it is measured, the gate itself asks an owner, unless rows
    # were only added to it.
    "ml/evaluation.yaml",
    "ml/src/digits/score.py",
)
# Sections of parameter files that rule the gate.
OWNED_SECTIONS = ("ml/params.yaml: gate", "ml/params.yaml: evaluate")


class PeopleError(ValueError):
    """The list of people cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class People:
    """Who may approve. `approvals`: how many others; with 0 a listed person's comment `/merge` takes their place."""

    owners: frozenset[str]
    members: frozenset[str]
    approvals: int = 1

    @property
    def all(self) -> frozenset[str]:
        return self.owners | self.members

    @classmethod
    def parse(cls, text: str) -> "People":
        """People from JSON, as the platform's program writes it. Raises PeopleError."""
        try:
            document: Any = json.loads(text)
        except ValueError as error:
            raise PeopleError(f"is not JSON: {error}") from None
        if not isinstance(document, Mapping):
            raise PeopleError("must be an object with owners, members and approvals")
        names: dict[str, frozenset[str]] = {}
        for key in ("owners", "members"):
            value = document.get(key)
            if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
                raise PeopleError(f"{key} must be a list of account names")
            names[key] = frozenset(name.casefold() for name in value)
        approvals = document.get("approvals")
        if type(approvals) is not int or approvals < 0:
            raise PeopleError("approvals must be a whole number, 0 or more")
        people = cls(names["owners"], names["members"], approvals)
        if not people.owners:
            raise PeopleError("owners is empty: somebody must be able to approve changes of the platform itself")
        if people.all & PLATFORM:
            raise PeopleError(
                f"{', '.join(sorted(people.all & PLATFORM))}: the platform's own accounts approve nothing"
            )
        return people


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of a pull request.

    Args:
        required: contexts that `judge` must have judged.
        optional: contexts that must not stand against it where `judge` has set them.
    """

    people: People
    required: tuple[str, ...] = ("quality-gate",)
    optional: tuple[str, ...] = (CI, "infrastructure")
    owned: tuple[str, ...] = OWNED
    owned_sections: tuple[str, ...] = OWNED_SECTIONS
    judge: str = JUDGE
    proposer: str = PROPOSER
    merger: str = MERGER
    administrators: frozenset[str] = ADMINISTRATORS

    @property
    def contexts(self) -> tuple[str, ...]:
        return self.required + self.optional

    def with_checks(self) -> "Rules":
        """The rules where main has checks of its own: what they say is not optional."""
        required = tuple(dict.fromkeys((*self.required, CI)))
        return replace(self, required=required, optional=tuple(one for one in self.optional if one != CI))

    def owned_of(self, paths: tuple[str, ...], sections: tuple[str, ...]) -> tuple[str, ...]:
        """Those that ask for an owner's approval."""
        # On some file systems `SCRIPTS/` is `scripts/`.
        changed = [path for path in paths if any(_expression(one).match(path.casefold()) for one in self.owned)]
        return (*changed, *(section for section in sections if section in self.owned_sections))


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*)", pattern.casefold())
    known = {"**/": r"(?:.*/)?", "*": r"[^/]+"}
    text = "".join(known.get(part, re.escape(part)) for part in parts)
    # A folder is one too where a link or a file takes its place.
    return re.compile(f"{text.removesuffix('/')}(?:/|$)" if pattern.endswith("/") else f"{text}$")
