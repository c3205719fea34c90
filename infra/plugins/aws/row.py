"""One resource type as data, and the engine that creates, reads, updates and deletes by it."""

import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from plugins.aws import fields
from plugins.aws.calls import Change, Step, Thing, Wait
from plugins.aws.errors import ApiError
from plugins.aws.fields import ABSENT, Field, dig
from plugins.aws.tagging import Tagging
from plugins.server import DEFAULT_TIMEOUT_SECONDS, Deadline, InitializationError, Problem, ProviderError, Row
from plugins.wire import DEFAULTS, UNKNOWNS, Difference, is_unknown

if TYPE_CHECKING:
    from plugins.aws.provider import Aws

UNKNOWN = next(iter(sorted(UNKNOWNS)))
# How long a create waits for what it names to be known everywhere.
SPREADING_SECONDS = 60.0
MISSING_SECONDS = 15.0
POLL_SECONDS, POLL_GROWTH, POLL_MOST_SECONDS = 0.2, 1.2, 10.0


@dataclass(frozen=True)
class Auto:
    """The property that names the thing, made from the resource's own name where the program leaves it out."""

    property: str = "name"
    prefix: str = ""
    limit: int = 255


@dataclass(frozen=True)
class Type:
    """A resource type of AWS.

    `identifier` is either a template over the inputs, or a path in what `create` answers. `created` is where that
    answer has the whole resource; with None it is read after it was created, with "" there is nothing to be known.
    `outputs` are templates (with braces) or paths in what `read` answers. `unique` names the properties that no two
    resources can have in common, so that one that replaces another with the same comes after it.
    """

    token: str
    service: str
    fields: tuple[Field, ...]
    create: Step
    identifier: str
    read: tuple[Step, ...]
    delete: Step | None
    created: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    after: Step | None = None  # what a new one needs besides the properties that are set later
    tagging: Tagging | None = None
    wait: Wait | None = None
    auto: Auto | None = None
    unique: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()  # outputs that an update may change
    search: Callable[[Thing], Iterable[str]] | None = None
    also: Callable[[dict[str, Any]], Iterable[Problem]] | None = None
    patience: float = DEFAULT_TIMEOUT_SECONDS
    label: str = ""

    @property
    def noun(self) -> str:
        """What messages call it: `nat gateway`."""
        return self.label or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", self.token.rpartition(":")[2]).lower()

    @property
    def named_by(self) -> tuple[str, ...]:
        """The properties that the identifier consists of."""
        return tuple(re.findall(r"\{(\w+)\}", self.identifier)) or ((self.auto.property,) if self.auto else ())

    def parsed(self, identifier: str) -> dict[str, str]:
        """The inputs that an identifier tells, for an import."""
        pattern = "".join(
            f"(?P<{part[1:-1]}>.+?)" if part.startswith("{") else re.escape(part)
            for part in re.split(r"(\{\w+\})", self.identifier)
        )
        match = re.fullmatch(pattern, identifier) if "{" in self.identifier else None
        return match.groupdict() if match else {}


class ApiRow(Row):
    """A Type as a row of the provider's table."""

    def __init__(self, aws: "Aws", type_: Type) -> None:
        self.aws, self.type = aws, type_
        self.patience = type_.patience

    @cached_property
    def _fields(self) -> tuple[Field, ...]:
        return (*self.type.fields, *([self.type.tagging.field] if self.type.tagging else []))

    def completed(self, name: str, inputs: dict[str, Any], olds: dict[str, Any]) -> dict[str, Any]:
        inputs = {key: value for key, value in inputs.items() if key != DEFAULTS}
        for one in self._fields:
            before, after = olds.get(one.name), inputs.get(one.name)
            if one.kind == "set" and before and after and sorted(map(str, before)) == sorted(map(str, after)):
                inputs[one.name] = before  # the order is AWS's own
        auto = self.type.auto
        if auto and not inputs.get(auto.property):
            made = auto.prefix + name[: auto.limit - len(auto.prefix) - 8] + "-" + secrets.token_hex(4)[:7]
            inputs[auto.property] = olds.get(auto.property) or made
            inputs[DEFAULTS] = [auto.property]
        return inputs

    def foreseen(self, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        return {**olds, **news, **dict.fromkeys(self.type.volatile, UNKNOWN)}

    def check(self, inputs: dict[str, Any]) -> Iterable[Problem]:
        yield from fields.check(self._fields, inputs, self.type.token)
        if self.type.also:
            yield from self.type.also(inputs)
        if self.type.tagging and inputs.get("tags"):
            yield from self.aws.untaggable(self.type.service)

    def replaces(self, change: Difference, olds: dict[str, Any]) -> bool:
        return fields.fixed(self._fields, change.path, change.old, change.new)

    def same_identity(self, olds: dict[str, Any], news: dict[str, Any]) -> bool:
        unique = self.type.unique
        made_up = any(name in news.get(DEFAULTS, ()) for name in unique)
        known = [(olds.get(name), news.get(name)) for name in unique if not is_unknown(news.get(name))]
        return bool(unique) and not made_up and all(before == after for before, after in known)

    def create(self, inputs: dict[str, Any], deadline: Deadline) -> tuple[str, dict[str, Any]]:
        thing = Thing(self.aws, self._type, inputs, deadline=deadline)
        answer = self._known_everywhere(self.type.create, thing)
        if "{" in self.type.identifier:
            thing.id = thing.fill(self.type.identifier)
        else:
            thing.id = str(dig(answer, self.type.identifier))
        if self.type.created is not None:
            thing.live = dig(answer, self.type.created) if self.type.created else {}
        try:
            self._finish(thing)
            return thing.id, self._outputs(thing)
        except ProviderError as error:
            raise InitializationError(thing.id, dict(inputs), [str(error)]) from None

    def read(
        self, identifier: str, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        imported = not inputs
        inputs = inputs or self.type.parsed(identifier)
        thing = Thing(self.aws, self._type, inputs, identifier)
        if not self._look(thing):
            return None
        found = {**self.type.parsed(identifier), **fields.observed(self._fields, thing.live)}
        thing.inputs = fields.merged(self._fields, inputs, found)
        if imported:
            thing.inputs = {**inputs, **fields.without_defaults(self._fields, found)}
        elif found.get("tags") and not inputs.get("tags"):
            thing.inputs["tags"] = found["tags"]
        return thing.inputs, self._outputs(thing)

    def update(
        self,
        identifier: str,
        olds: dict[str, Any],
        news: dict[str, Any],
        deadline: Deadline,
        outputs: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        thing = Thing(self.aws, self._type, news, identifier, olds, deadline=deadline)
        if not self._look(thing):
            raise ProviderError(f"{thing.subject} is gone; run  pulumi refresh  and then  pulumi up")
        if olds == news:  # the engine tries again what was created and did not become ready
            found = {**self.type.parsed(identifier), **fields.observed(self._fields, thing.live)}
            thing.olds = olds = fields.merged(self._fields, news, found)
            if self.type.after:
                self.type.after(thing)
        for change in self.type.changes:
            if any(olds.get(name) != news.get(name) for name in change.names):
                unset = change.unset if all(news.get(name) is None for name in change.names) else None
                self._known_everywhere(unset or change.step, thing)
        if self.type.tagging and olds.get("tags") != news.get("tags"):
            self.type.tagging.change(thing, olds.get("tags") or {}, news.get("tags") or {})
        self._await_ready(thing)
        return self._outputs(thing)

    def delete(self, identifier: str, inputs: dict[str, Any], deadline: Deadline) -> None:
        if self.type.delete is None:
            return
        inputs = inputs or self.type.parsed(identifier)
        thing = Thing(self.aws, self._type, inputs, identifier, deadline=deadline)
        try:
            self._retried(self.type.delete, thing, lambda error, _: error.in_use)
        except ApiError as error:
            if not error.missing:
                raise
        interval = POLL_SECONDS
        while self.type.wait and self.type.wait.lingers and self._look(thing):
            if not deadline.wait(interval):
                raise ProviderError(
                    f"{thing.subject} is still {dig(thing.live, self.type.wait.state)} after {deadline.seconds:.0f} s;"
                    " run the command again"
                )
            interval = min(interval * POLL_GROWTH, POLL_MOST_SECONDS)

    def find(self, inputs: dict[str, Any]) -> list[str]:
        """The identifiers of what exists with exactly these names, unchangeable properties and tags.

        This is how a create is found again whose answer never arrived. Things that are put rather than created, such
        as policies of a bucket, are found too.
        """
        thing = Thing(self.aws, self._type, inputs)
        if self.type.search:
            candidates = list(self.type.search(thing))
        elif "{" in self.type.identifier:
            candidates = [thing.fill(self.type.identifier)]
        else:
            raise ProviderError(f"{thing.subject}: {self.type.token} cannot be looked up without its identifier")
        asked = {one.name for one in self._fields if (one.fixed or one.name == "tags") and one.name in inputs}
        found = []
        for identifier in candidates:
            now = self.read(identifier, inputs, {})
            if now and all(now[0].get(name) == inputs[name] for name in asked):
                found.append(identifier)
        return found

    @cached_property
    def _type(self) -> Type:
        """The type with its tags among its fields, which is what calls are made from."""
        from dataclasses import replace

        return replace(self.type, fields=self._fields)

    def _finish(self, thing: Thing) -> None:
        """What comes after the call that creates: properties with calls of their own, and waiting."""
        standard = {one.name: one.default for one in self._fields if one.later}
        later = {**standard, **fields.observed((one for one in self._fields if one.later), thing.live)}
        changed = False
        if self.type.after:
            self._known_everywhere(self.type.after, thing)
        for change in self.type.changes:
            given = {name: thing.inputs.get(name) for name in change.names if name in later}
            if any(value is not None and value != later[name] for name, value in given.items()):
                self._known_everywhere(change.step, thing)
                changed = True
        if self.type.wait or self.type.created is None or (changed and self.type.created):
            self._await_ready(thing)

    def _look(self, thing: Thing) -> bool:
        """Read what is there into `thing.live`; False when it is gone."""
        try:
            thing.live = self.type.read[0](thing)
            for step in self.type.read[1:]:
                thing.live = {**thing.live, **step(thing)}
            if self.type.tagging and self.type.tagging.read:
                thing.live = {**thing.live, **self.type.tagging.read(thing)}
        except ApiError as error:
            if error.missing:
                return False
            raise
        return not (self.type.wait and dig(thing.live, self.type.wait.state) in self.type.wait.gone)

    def _await_ready(self, thing: Thing) -> None:
        """Wait until it is ready. Raises ProviderError when it fails to become so, or is not in time."""
        wait, interval, started = self.type.wait, POLL_SECONDS, time.monotonic()
        while True:
            there = self._look(thing)
            state = dig(thing.live, wait.state) if there and wait else ""
            if there and (not wait or state in wait.ready):
                return
            reason = dig(thing.live, wait.reason) if there and wait and wait.reason else ABSENT
            because = "" if reason in (ABSENT, [], "") else f": {reason}"
            if there and wait and state not in wait.pending:
                raise ProviderError(f"{thing.subject} is {state}{because}")
            if not there and time.monotonic() - started > MISSING_SECONDS:
                raise ProviderError(f"{thing.subject} is gone; run  pulumi refresh  and then  pulumi up")
            if not thing.deadline.wait(interval):
                state = state if there else "not there"
                raise ProviderError(f"{thing.subject} is {state} after {thing.deadline.seconds:.0f} s{because}")
            interval = min(interval * POLL_GROWTH, POLL_MOST_SECONDS)

    def _known_everywhere(self, step: Step, thing: Thing) -> Any:
        """Run a step, again and again for a while where it names what AWS does not know everywhere yet."""
        started = time.monotonic()

        def again(error: ApiError, now: float) -> bool:
            limit = MISSING_SECONDS if error.missing else SPREADING_SECONDS
            return error.spreading and now - started < limit

        return self._retried(step, thing, again)

    @staticmethod
    def _retried(step: Step, thing: Thing, again: Callable[[ApiError, float], bool]) -> Any:
        interval = POLL_SECONDS
        while True:
            try:
                return step(thing)
            except ApiError as error:
                if not again(error, time.monotonic()) or not thing.deadline.wait(interval):
                    raise
            interval = min(interval * 2, POLL_MOST_SECONDS)

    def _outputs(self, thing: Thing) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, source in self.type.outputs.items():
            value = thing.fill(source) if "{" in source else dig(thing.live, source)
            if value is not ABSENT:
                made[name] = {**value, **thing.inputs[name]} if isinstance(thing.inputs.get(name), dict) else value
        inputs = {key: value for key, value in thing.inputs.items() if key != DEFAULTS}
        tags = {"tagsAll": inputs.get("tags") or {}} if self.type.tagging else {}
        return {**inputs, **tags, **made}
