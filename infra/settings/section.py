"""What every part of a settings file has in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """A part of a settings file: keys in camelCase, unknown keys and lenient conversions refused, values frozen."""

    # Built when first used: a program reads one kind of cluster, and needs none of the others' validators.
    model_config = ConfigDict(alias_generator=to_camel, defer_build=True, extra="forbid", frozen=True, strict=True)


def refuse_duplicates(key: str, values: list[Any]) -> None:
    """Raise ValueError when `values` has one twice."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{key} lists {', '.join(twice)} twice; keep one")
