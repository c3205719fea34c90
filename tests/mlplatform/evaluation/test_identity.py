"""What a measurement belongs to, and what makes it another one."""

import hashlib
from pathlib import Path

import pytest
import yaml

import toy_project as toy
from mlplatform.evaluation import identity
from mlplatform.evaluation.declaration import Declaration, DeclarationError, load
from mlplatform.evaluation.identity import Identity, comparable


def test_a_models_file_has_both_hashes_and_a_size(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"model" * 300_000)
    content = (tmp_path / "model").read_bytes()

    about = identity.model(tmp_path / "model")

    assert about.sha256 == hashlib.sha256(content).hexdigest()
    assert about.md5 == hashlib.md5(content).hexdigest()  # noqa: S324 - DVC's hash
    assert about.size == len(content)


def test_the_key_keeps_what_is_comparable_together() -> None:
    one, other = Identity("m" * 64, "e" * 64, "t" * 64), Identity("n" * 64, "e" * 64, "t" * 64)

    assert one.key("measurements/") == f"measurements/{'e' * 64}/{'t' * 64}/{'m' * 64}.json"
    assert one.key("").rpartition("/")[0] == other.key("").rpartition("/")[0]
    assert comparable(one, other)
    assert not comparable(one, Identity("m" * 64, "f" * 64, "t" * 64))
    assert not comparable(one, Identity("m" * 64, "e" * 64, "u" * 64))


@pytest.mark.parametrize("path", ["ml/src/toy/score.py", "ml/src/toy/__init__.py", "requirements/ml.txt"])
def test_the_evaluator_is_another_with_any_of_its_files(root: Path, rules: Declaration, path: str) -> None:
    before = identity.evaluator(root, rules)
    assert before == identity.evaluator(root, rules)

    with (root / path).open("a") as stream:
        stream.write("# more\n")

    assert identity.evaluator(root, rules) != before


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [
        ("evaluator.module", "toy", False),
        ("contract.outputs", [{"name": "logits", "type": "float32", "shape": [None, 3]}], False),
        ("test_set.share", 0.2, True),
        ("limits.seconds", 7, True),
        ("paths.judged", [], True),
        ("metrics.accuracy", {"tolerance": 0.5}, True),
        ("metrics.more", {}, False),
    ],
)
def test_what_only_judges_the_numbers_is_no_part_of_the_evaluator(
    root: Path, rules: Declaration, path: str, value: object, same: bool
) -> None:
    content, (section, key) = toy.declaration(), path.split(".")
    content[section][key] = value
    (root / "ml/evaluation.yaml").write_text(yaml.safe_dump(content))

    assert (identity.evaluator(root, load(root / "ml")) == identity.evaluator(root, rules)) is same


def test_the_platforms_own_measuring_code_is_a_part_of_the_evaluator(
    root: Path, rules: Declaration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity.evaluator(root, rules)
    other = tmp_path / "evaluation"
    other.mkdir()
    for path in identity.PLATFORM.glob("*.py"):
        (other / path.name).write_bytes(path.read_bytes() + (b"#" if path.name == "predict.py" else b""))
    monkeypatch.setattr(identity, "PLATFORM", other)

    assert identity.evaluator(root, rules) != before


def test_a_file_of_the_evaluator_that_is_a_link_is_refused(root: Path, rules: Declaration) -> None:
    (root / "ml/src/toy").rename(root / "ml/src/elsewhere")
    (root / "ml/src/toy").symlink_to(root / "ml/src/elsewhere")

    with pytest.raises(DeclarationError, match=r"__init__\.py: is no file"):
        identity.evaluator(root, rules)
