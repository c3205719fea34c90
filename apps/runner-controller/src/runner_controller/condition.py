"""Whether a job's `if` is false by what the forge sent with the task alone, so that nothing need be started for it.

act evaluates it too, but in the job's Pod. This reads the part of GitHub's expressions
(docs.github.com/actions/reference/workflows-and-actions/expressions) that asks about the `github` context: literals,
`!`, `==`, `!=`, `&&`, `||`, parentheses, `contains`, `startsWith` and `endsWith`. All else is left to act.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST = 4096
_DEEPEST = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>==|!=|&&|\|\||[!().,\[\]]))"
)
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
# Hexadecimal, with an exponent, or none: Python reads some of them otherwise.
_MAYBE_A_NUMBER = re.compile(r"[-+.]?[0-9]")
_WRAPPED = re.compile(r"\$\{\{(.*)\}\}", re.DOTALL)
_LITERALS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
_FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


class _LeftToAct(Exception):
    """It asks for something that this does not read."""


def is_false(condition: Any, github: Mapping[str, Any]) -> bool:
    """Whether a job's `if` (a text, or what YAML made of it) is surely false in the `github` context of its task."""
    if isinstance(condition, bool):
        return not condition
    if not isinstance(condition, str) or not condition.strip() or len(condition) > _LONGEST:
        return False
    wrapped = _WRAPPED.fullmatch(condition.strip())
    try:
        reader = _Reader(_tokens(wrapped[1] if wrapped else condition), github)
        value = reader.either()
        reader.end()
    except _LeftToAct:
        return False
    return not _truth(value)


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise _LeftToAct
        found.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return found


@dataclass
class _Reader:
    """Evaluates as it reads. Both sides of `&&` and `||` are read: neither does anything."""

    tokens: list[tuple[str, str]]
    github: Mapping[str, Any]
    place: int = 0
    depth: int = 0

    def either(self) -> Any:
        value = self._both()
        while self._takes("||"):
            other = self._both()
            value = value if _truth(value) else other
        return value

    def end(self) -> None:
        if self.place < len(self.tokens):
            raise _LeftToAct

    def _both(self) -> Any:
        value = self._comparison()
        while self._takes("&&"):
            other = self._comparison()
            value = other if _truth(value) else value
        return value

    def _comparison(self) -> Any:
        value = self._single()
        while (same := self._takes("==")) or self._takes("!="):
            value = _equal(value, self._single()) == same
        return value

    def _single(self) -> Any:
        negated = 0
        while self._takes("!"):
            negated += 1
        value = self._operand()
        if negated:
            return _truth(value) == (negated % 2 == 0)
        return value

    def _operand(self) -> Any:
        kind, text = self._next()
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if text == "(":
            return self._inner(")")
        if kind != "name":
            raise _LeftToAct
        if self._takes("("):
            return self._call(text)
        if text in _LITERALS:
            return _LITERALS[text]
        if text.lower() != "github":
            raise _LeftToAct
        return self._property(self.github)

    def _call(self, name: str) -> bool:
        function = _FUNCTIONS.get(name.lower())
        if function is None:
            raise _LeftToAct
        first = self._inner(",")
        second = self._inner(")")
        return function(_text(first), _text(second))

    def _property(self, value: Any) -> Any:
        while True:
            if self._takes("."):
                kind, name = self._next()
                if kind != "name":
                    raise _LeftToAct
            elif self._takes("["):
                name = self._inner("]")
            else:
                return value
            if not isinstance(name, str):
                raise _LeftToAct
            value = _member(value, name)

    def _inner(self, closing: str) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _LeftToAct
        value = self.either()
        self.depth -= 1
        if not self._takes(closing):
            raise _LeftToAct
        return value

    def _next(self) -> tuple[str, str]:
        if self.place == len(self.tokens):
            raise _LeftToAct
        self.place += 1
        return self.tokens[self.place - 1]

    def _takes(self, sign: str) -> bool:
        found = self.place < len(self.tokens) and self.tokens[self.place] == ("sign", sign)
        self.place += found
        return found


def _member(value: Any, name: str) -> Any:
    """A property by its name, in which case does not count; null where there is none."""
    if not isinstance(value, Mapping):
        return None
    return next((found for key, found in value.items() if str(key).lower() == name.lower()), None)


def _truth(value: Any) -> bool:
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return bool(value) or isinstance(value, (Mapping, list))


def _text(value: Any) -> str:
    """As functions take it: case does not count. Raises `_LeftToAct` where its form is another language's."""
    if value is None or isinstance(value, str):
        return (value or "").lower()
    raise _LeftToAct


def _equal(one: Any, other: Any) -> bool:
    """Texts are compared without case; values of different types as numbers. Raises `_LeftToAct` for lists and maps."""
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return _number(one) == _number(other)


def _number(value: Any) -> float:
    if value is None:
        return 0.0
    if isinstance(value, (bool, int, float)):
        return float(value)
    if not isinstance(value, str):
        raise _LeftToAct
    text = value.strip()
    if not text or _DECIMAL.fullmatch(text):
        return float(text or "0")
    if _MAYBE_A_NUMBER.match(text):
        raise _LeftToAct
    return math.nan
