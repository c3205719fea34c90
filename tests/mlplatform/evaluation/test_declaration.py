"""What a project declares is read strictly, and every fault is named with its key."""

from pathlib import Path
from typing import Any

import pytest

import toy_project as toy
from mlplatform.evaluation.declaration import DeclarationError, Metric, load, parse


def test_the_whole_file_is_read(root: Path) -> None:
    found = load(root / "ml")

    assert str(found.contract.inputs[0]) == "pixels uint8[?, 4]"
    assert found.paths.owner["service"] == ("ml/service/*", "requirements/serve.txt")
    assert found.test_set.growth == 0.1
    assert found.limits.seconds == 300
    assert found.limits.model_bytes == 512 * 2**20


@pytest.mark.parametrize(
    ("section", "values", "fault"),
    [
        ("more", {}, "more: Extra inputs are not permitted"),
        ("limits", {"second": 1}, "limits.second: Extra inputs"),
        ("limits", {"seconds": "60"}, "limits.seconds: Input should be a valid number"),
        ("limits", {"seconds": 0}, "limits.seconds"),
        ("metrics", {}, "metrics: Dictionary should have at least 1 item"),
        ("metrics", {"accuracy": {"minimum": 0}}, "metrics: one needs a tolerance"),
        ("metrics", {"accuracy": {"tolerance": -1}}, "metrics.accuracy.tolerance"),
        ("metrics", {"accuracy": {"tolerance": float("nan")}}, "metrics.accuracy.tolerance"),
        ("metrics", {"a\nb": {"tolerance": 1}}, "metrics.a\nb"),
        ("paths", {"judged": [], "owner": {"friends": []}}, "paths.owner.friends"),
        ("paths", {}, "paths.judged: Field required"),
    ],
)
def test_a_fault_is_named_with_its_key(section: str, values: dict[str, Any], fault: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse(toy.declaration() | {section: values}, "main's evaluation.yaml")

    assert "main's evaluation.yaml: " in str(caught.value)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key", "value", "fault"),
    [
        ("evaluator", "files", ["../../etc/passwd"], "evaluator.files.0: Value error, must be a path below"),
        ("evaluator", "lock", "/etc/passwd", "evaluator.lock"),
        ("evaluator", "module", "os; import x", "evaluator.module"),
        ("test_set", "share", 1.0, "test_set.share"),
        ("test_set", "growth", -0.1, "test_set.growth: Input should be greater than or equal to 0"),
        ("test_set", "growth", 1.1, "test_set.growth: Input should be less than or equal to 1"),
        ("test_set", "growth", float("nan"), "test_set.growth"),
        ("test_set", "growth", "0.1", "test_set.growth: Input should be a valid number"),
        ("test_set", "growth", None, "test_set.growth"),
        ("test_set", "inputs", {"images": "other"}, "must feed each input of contract once: pixels"),
        ("test_set", "inputs", {"images": "pixels", "labels": "pixels"}, "must feed each input of contract once"),
        ("contract", "inputs", [], "contract.inputs"),
        ("contract", "inputs", [{"name": "pixels", "type": "uint8", "shape": [1, 4]}], "the first length must be null"),
    ],
)
def test_what_would_lead_astray_is_refused(section: str, key: str, value: Any, fault: str) -> None:
    content = toy.declaration()
    content[section][key] = value

    with pytest.raises(DeclarationError) as caught:
        parse(content, "x")

    assert fault in str(caught.value)


@pytest.mark.parametrize("text", ["", "7", "a: [", "\x00", "- x"])
def test_what_is_no_declaration_at_all_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "evaluation.yaml").write_text(text)

    with pytest.raises(DeclarationError, match=r"evaluation\.yaml: "):
        load(tmp_path)


def test_a_missing_declaration_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"evaluation\.yaml: cannot be read"):
        load(tmp_path)


def test_worse_is_by_the_metrics_own_direction() -> None:
    higher, lower = Metric(tolerance=0.005, limit=0.9), Metric(better="lower", limit=0.1)

    assert higher.worse_by(0.98, 0.975) == 0.005
    assert lower.worse_by(0.1, 0.3) == 0.2
    assert higher.worse_by(0.9, 0.95) < 0
    assert (higher.reaches_limit(0.9), higher.reaches_limit(0.89)) == (True, False)
    assert (lower.reaches_limit(0.1), lower.reaches_limit(0.11)) == (True, False)
    assert Metric().reaches_limit(-1e9)
