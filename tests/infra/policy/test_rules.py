"""Each rule by its fixtures: what it lets pass, what it refuses and how it says so, what it cannot tell in a preview.

A fixture's `good` resources pass as they are, and with the changes under `alsoGood`. Each change under `bad` breaks the
rule, and each under `unknown` leaves open whether it does. The rules run behind the pack's own server.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import policy_engine
from example import ACCOUNT, CLAIM
from policy import registry, stacks
from policy_engine import Given, Said

FIXTURES = Path(__file__).parent / "fixtures"
RULES = {rule.name.replace("-", "_"): rule for rule in registry.RULES}
# Properties that hold a document as text, which fixtures write as YAML.
DOCUMENTS = ("assumeRolePolicy", "policy", "repositoryPolicy")
Case = dict[str, Any]


@pytest.fixture(autouse=True)
def example_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixtures trust the example's repository and its account."""
    monkeypatch.setattr(stacks, "accounts", lambda: frozenset({ACCOUNT}))
    monkeypatch.setattr(stacks, "repository", lambda: CLAIM)


class _Loader(yaml.SafeLoader):
    """With `!unknown` for a value that only an update will make known."""


_Loader.add_constructor("!unknown", lambda loader, node: policy_engine.UNKNOWN)


def fixture(rule: str) -> dict[str, Any]:
    text = (FIXTURES / f"{rule}.yaml").read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=_Loader))  # noqa: S506 - a SafeLoader


def cases(kind: str) -> list[Any]:
    return [
        pytest.param(rule, case, id=f"{rule}: {case.get('what') or case['says']}")
        for rule in RULES
        for case in fixture(rule).get(kind, [])
    ]


def resources(document: dict[str, Any], case: Case) -> list[Given]:
    """The good resources with the changes of a case."""
    stack = case.get("stack", document.get("stack", "dev"))
    described = [
        copy.deepcopy(item)
        for item in [*document["good"], *case.get("add", [])]
        if item["name"] not in case.get("without", [])
    ]
    for item in described:
        item["type"] = case.get("types", {}).get(item["name"], item["type"])
    urns = {item["name"]: _urn(stack, case.get("project", "ml-platform"), item) for item in described}
    return [_given(item, case, urns) for item in described]


def _urn(stack: str, project: str, item: Case) -> str:
    return f"urn:pulumi:{stack}::{project}::{item['type']}::{item['name']}"


def _given(item: Case, case: Case, urns: dict[str, str]) -> Given:
    name, inputs = item["name"], item.get("inputs", {})
    for path, value in case.get("set", {}).get(name, {}).items():
        _put(inputs, path.split("."), value)
    links = case.get("links", {}).get(name, item.get("links", {}))
    return Given(
        urn=urns[name],
        type=item["type"],
        name=name,
        inputs={key: _as_text(key, value) for key, value in inputs.items()},
        protect=case.get("protect", {}).get(name, item.get("protect", False)),
        links={key: [urns.get(other, f"urn:of:{other}") for other in others] for key, others in links.items()},
    )


def _put(container: Any, path: list[str], value: Any) -> None:
    *above, last = [int(part) if part.isdigit() else part for part in path]
    for part in above:
        container = container[part]
    if value is None:
        container.pop(last)
    else:
        container[last] = value


def _as_text(key: str, value: Any) -> Any:
    return json.dumps(value) if key in DOCUMENTS and isinstance(value, dict) else value


def said(rule: str, case: Case) -> list[Said]:
    """What this rule says of a case; the others are not what the fixture is about."""
    return [item for item in policy_engine.judge(resources(fixture(rule), case)) if item.rule == RULES[rule].name]


@pytest.mark.parametrize("rule", RULES)
def test_what_is_good_passes(rule: str) -> None:
    assert said(rule, {}) == []


@pytest.mark.parametrize(("rule", "case"), cases("alsoGood"))
def test_what_is_good_in_another_way_passes(rule: str, case: Case) -> None:
    assert said(rule, case) == []


@pytest.mark.parametrize(("rule", "case"), cases("bad"))
def test_what_is_bad_is_refused_with_the_resource_the_property_and_the_fix(rule: str, case: Case) -> None:
    found = [item.message for item in said(rule, case) if item.violated]
    assert any(case["says"] in message for message in found), found


@pytest.mark.parametrize(("rule", "case"), cases("unknown"))
def test_what_a_preview_cannot_know_is_said_and_not_passed_over(rule: str, case: Case) -> None:
    (item,) = said(rule, case)
    assert not item.violated
    assert f"can't run policy '{RULES[rule].name}'" in item.message
    assert case["says"] in item.message


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_something_to_refuse(rule: str) -> None:
    assert fixture(rule)["bad"]


def test_every_rule_has_the_name_of_its_module() -> None:
    files = {path.stem for path in (Path(registry.__file__).parent / "rules").glob("*.py")} - {"__init__"}
    assert set(RULES) == files
    assert {path.stem for path in FIXTURES.iterdir()} == files
    for rule in RULES.values():
        assert (rule.check is None) != (rule.check_stack is None), rule.name
