"""What a preview or an update of one stack does, as one job hands it to another.

The job that writes it runs a pull request's code, so whoever reads it takes it for hostile: sizes are bounded here,
and `ci.plan_comment` shows every text as text. Property paths are kept, values never: they may be secrets.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ci.failure import Unacceptable

MOST_BYTES = 2 * 2**20
MOST_STEPS = 2000
MOST_PATHS = 20
MOST_TEXT = 2000
MOST_NAME = 500

Action = Literal["create", "update", "replace", "delete"]
Level = Literal["mandatory", "advisory"]
Name = Annotated[str, Field(max_length=MOST_NAME)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Text = Annotated[str, Field(max_length=MOST_TEXT)]


class PlanError(Unacceptable):
    """A plan that cannot be read."""


class Record(BaseModel):
    """Unknown keys refused, values frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Step(Record):
    """One resource that changes. `causes` are the property paths that force a replacement."""

    action: Action
    urn: Name
    causes: list[Name] = Field(default=[], max_length=MOST_PATHS)
    changed: list[Name] = Field(default=[], max_length=MOST_PATHS)

    @property
    def type(self) -> str:
        """The resource's own type token, without its parents'."""
        parts = self.urn.split("::")
        return parts[2].rsplit("$", 1)[-1] if len(parts) > 3 else ""

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return self.urn.split("::", 3)[-1]


class Violation(Record):
    """What a policy says about one resource, or about the whole stack where `urn` is empty."""

    policy: Name
    level: Level
    urn: str = Field(default="", max_length=MOST_NAME)
    message: Text


class Plan(Record):
    """What happens to one stack; nothing to an `absent` one, which nobody has made yet. `error` says why the plan could
    not be had, or did not end well.
    """

    steps: list[Step] = Field(default=[], max_length=MOST_STEPS)
    absent: bool = False
    more: int = Field(default=0, ge=0)
    unchanged: int = Field(default=0, ge=0)
    policies: list[Name] = Field(default=[], max_length=200)
    violations: list[Violation] = Field(default=[], max_length=200)
    error: str = Field(default="", max_length=MOST_TEXT)

    def count(self, action: Action) -> int:
        """How many resources this happens to."""
        return sum(step.action == action for step in self.steps)

    @property
    def failed(self) -> bool:
        """Whether this plan must not be applied."""
        return bool(self.error) or any(found.level == "mandatory" for found in self.violations)

    @property
    def summary(self) -> str:
        """A few words: `2 to create, 1 to replace`, or why it failed."""
        mandatory = sum(found.level == "mandatory" for found in self.violations)
        if mandatory:
            return f"{mandatory} policy violation{'s' if mandatory > 1 else ''}"
        if self.error:
            return "failed"
        if self.absent:
            return "not made yet"
        actions: tuple[Action, ...] = ("delete", "replace", "update", "create")
        return ", ".join(f"{self.count(one)} to {one}" for one in actions if self.count(one)) or "no changes"


class Preview(Record):
    """The plans by stack of a pull request's commit, merged into main as it then was."""

    commit: Commit
    main: Commit
    stacks: dict[Name, Plan] = Field(max_length=50)


def parse(content: bytes, sha: str) -> Preview:
    """The preview of the commit `sha`. Raises `PlanError`."""
    if len(content) > MOST_BYTES:
        raise PlanError(f"the preview left {len(content)} bytes; {MOST_BYTES} are allowed")
    try:
        found = Preview.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part)[:80] for part in first["loc"])
        raise PlanError(f"the preview left a result that cannot be read: {place}: {first['msg']}") from None
    if found.commit != sha:
        raise PlanError(f"the preview left a result for another commit, {found.commit}")
    return found
