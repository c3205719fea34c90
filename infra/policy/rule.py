"""What a rule is, and how the policy SDK runs it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NoReturn

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from policy.resources import Resource, Stack, has_unknown, of_policy


@dataclass(frozen=True)
class Finding:
    """A violation: `wrong` says what is, `fix` what to write instead."""

    resource: Resource
    key: str
    wrong: str
    fix: str

    def __str__(self) -> str:
        return f"{self.resource.type} {self.resource.name}: {self.key}: {self.wrong}; {self.fix}"


@dataclass(frozen=True)
class Undecided:
    """A property that decides the matter and is not known in this preview; the update itself decides."""

    resource: Resource
    key: str

    def __str__(self) -> str:
        return f"{self.resource.type} {self.resource.name}: {self.key}: is not known yet"


Verdict = Finding | Undecided


@dataclass(frozen=True)
class Rule:
    """`types`: the resource types that it looks at, as patterns; exactly one of the two checks is given.

    `check` gets one resource before it is changed, `check_stack` all that the stack has, at the end.
    """

    name: str
    description: str
    types: tuple[str, ...]
    check: Callable[[Resource], Iterator[Verdict]] | None = None
    check_stack: Callable[[Stack], Iterator[Verdict]] | None = None

    def covers(self, type_: str) -> bool:
        return any(fnmatchcase(type_, pattern) for pattern in self.types)

    def verdicts(self, stack: Stack) -> Iterator[Verdict]:
        """What the rule says of all these resources."""
        looked_at = Stack(item for item in stack if self.covers(item.type))
        if self.check_stack:
            yield from self.check_stack(looked_at)
        elif self.check:
            for item in looked_at:
                yield from self.check(item)

    def policy(self) -> Policy:
        """The rule for the SDK; a violation ends the preview or the update."""
        common: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "enforcement_level": EnforcementLevel.MANDATORY,
        }
        if self.check_stack:
            return StackValidationPolicy(validate=self._validate_stack, **common)
        return ResourceValidationPolicy(validate=self._validate, **common)

    def _validate(self, args: ResourceValidationArgs, report: ReportViolation) -> None:
        if self.covers(args.resource_type):
            _tell(self.verdicts(Stack([of_policy(args)])), report)

    def _validate_stack(self, args: StackValidationArgs, report: ReportViolation) -> None:
        looked_at = (item for item in args.resources if self.covers(item.resource_type))
        _tell(self.verdicts(Stack(map(of_policy, looked_at))), report)


def _tell(verdicts: Iterator[Verdict], report: ReportViolation) -> None:
    undecided = []
    for verdict in verdicts:
        if isinstance(verdict, Finding):
            report(str(verdict), verdict.resource.urn)
        else:
            undecided.append(verdict)
    if undecided:
        _cannot_tell(undecided)


def _cannot_tell(undecided: list[Undecided]) -> NoReturn:
    """Have the SDK say so in the preview: it shows an advice with this text in it, and fails nothing."""
    raise UnknownValueError(UNKNOWN_STRING_VALUE, [f"{item.resource.name}.{item.key}" for item in undecided])


def expect(resource: Resource, path: tuple[str | int, ...], wanted: Any, fix: str) -> Iterator[Verdict]:
    """A property must have one value, or one of several."""
    key = dotted(path)
    found = resource.value(*path)
    if has_unknown(found):
        yield Undecided(resource, key)
    elif found not in (wanted if isinstance(wanted, tuple) else (wanted,)):
        yield Finding(resource, key, "is missing" if found is None else f"is {show(found)}", fix)


def dotted(path: tuple[str | int, ...]) -> str:
    """A path as people write it: `rules[0].id`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def show(value: Any) -> str:
    """A value as one would write it: protobuf has numbers only, so 7 days arrive as 7.0."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value)
