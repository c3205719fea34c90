"""What pydantic and the YAML reader found, said as `key: what is wrong; what would work`."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

Model = type[BaseModel]


def yaml_problem(error: yaml.YAMLError) -> str:
    """Where and what, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]


def problems(error: ValidationError, model: Model, example: str) -> list[str]:
    """Each mistake once: a misspelt key is not reported as missing too. `example` is a file that has every key."""
    items = error.errors()
    misspelt = {
        (*item["loc"][:-1], meant)
        for item in items
        if item["type"] == "extra_forbidden" and (meant := _meant(model, list(item["loc"])))
    }
    told = [item for item in items if item["type"] != "missing" or item["loc"] not in misspelt]
    return [_problem(item, model, example) for item in told]


def _meant(model: Model, location: list[Any]) -> str | None:
    """The known key that an unknown one looks like."""
    close = get_close_matches(to_camel(str(location[-1])), _known_keys(model, location[:-1]), n=1, cutoff=0.8)
    return close[0] if close else None


def _problem(item: Mapping[str, Any], model: Model, example: str) -> str:  # noqa: PLR0911 - one answer a kind of error
    location = list(item["loc"])
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    context = item.get("ctx", {})
    match item["type"]:
        case "extra_forbidden":
            meant = _meant(model, location)
            hint = f"; did you mean {meant!r}?" if meant else ""
            return f"{key}: unknown key{hint or '; known keys here: ' + ', '.join(_known_keys(model, location[:-1]))}"
        case "missing":
            return f"{key}: is missing; add it ({example} shows each key)"
        case "value_error":
            return f"{key}: {context['error']}".removeprefix(": ")  # of the whole file; it names the keys
        case "literal_error" if not isinstance(item["input"], str):
            return f"{key}: {item['input']!r} is not text; write {context['expected']}, with quotes"
        case "literal_error":
            return f"{key}: {item['input']!r} is not supported; use {context['expected']}"
        case "string_pattern_mismatch":
            return f"{key}: {item['input']!r} has the wrong form; it must match {context['pattern']}"
        case "string_type":
            return f"{key}: {item['input']!r} is not text; write it in quotes"
        case "model_type":
            return (
                f"{key}: must be a mapping, not {item['input']!r}; its keys: {', '.join(_known_keys(model, location))}"
            )
        case "dict_type":
            return f"{key}: must be a mapping, not {item['input']!r}"
        case "list_type":
            return f"{key}: must be a list, not {item['input']!r}; write it as [one, two]"
        case "too_short":
            least = context["min_length"]
            return f"{key}: is empty; list at least one" if least == 1 else f"{key}: list at least {least}"
        case _:
            return f"{key}: {item['input']!r} cannot be used: {item['msg'][0].lower()}{item['msg'][1:]}"


def _known_keys(model: Model, location: list[Any]) -> list[str]:
    """The keys of the section at `location`."""
    for part in location:
        field = next((f for f in model.model_fields.values() if f.alias == part), None)
        model = _section(field.annotation, model) if field else model
    return [str(field.alias) for field in model.model_fields.values()]


def _section(annotation: Any, otherwise: Model) -> Model:
    """The model in a field's annotation, which may be optional."""
    found = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type) and issubclass(one, BaseModel)]
    return found[0] if found else otherwise
