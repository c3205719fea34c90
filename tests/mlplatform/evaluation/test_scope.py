"""Which changes main judges alone: by main's rules, whatever the pull request's own say."""

from typing import Any

import pytest

import toy_project as toy
from mlplatform.evaluation.declaration import Declaration, Kind, parse
from mlplatform.evaluation.scope import Change, Scope, scope

RULES: Declaration = parse(toy.declaration(), "evaluation.yaml")
PARAMETERS = {"prepare": {"seed": 20}, "train": {"epochs": 8}, "gate": {"tolerance": 0.005}}
STAGES = {"train": {"cmd": "python train.py", "deps": ["train.py"], "outs": ["model/model.onnx"]}}
LOCK = {
    "train": {
        "cmd": "x",
        "deps": [{"path": "data/test.safetensors", "md5": "1"}, {"path": "src/toy/score.py", "md5": "2"}],
        "outs": [{"path": "model/model.onnx", "md5": "3"}, {"path": "data/prepared", "md5": "4.dir"}],
    }
}


def of(*changes: Change | str, faults: list[str] | None = None) -> Scope:
    return scope([Change(one) if isinstance(one, str) else one for one in changes], RULES, "ml", faults)


def changed(content: dict[str, Any], *path: Any, value: Any) -> dict[str, Any]:
    """A copy in which one value is another."""
    if len(path) == 1:
        copied = content.copy()
        copied[path[0]] = value
        return copied
    inner = changed(content[path[0]], *path[1:], value=value)
    copied = content.copy()
    copied[path[0]] = inner
    return copied


def parameters(*path: str, value: Any) -> Change:
    return Change("ml/params.yaml", PARAMETERS, changed(PARAMETERS, *path, value=value))


def pipeline(value: dict[str, Any], name: str = "dvc.yaml", before: dict[str, Any] = STAGES) -> Change:
    return Change(f"ml/{name}", {"stages": before}, {"stages": value})


@pytest.mark.parametrize(
    "change",
    [
        Change("ml/src/toy/train.py"),
        Change("ml/src/toy/network/deep.py"),
        Change("ml/data/train.dvc"),
        parameters("train", "epochs", value=9),
        parameters("train", value={"optimizer": "sgd"}),
        parameters("prepare", "seed", value=21),
        parameters("prepare", "test_fraction", value=0.01),
        pipeline(changed(STAGES, "train", "cmd", value="python -O train.py")),
        pipeline(STAGES | {"pretrain": {"cmd": "x", "outs": ["pretrained"]}}),
        pipeline({}),
        Change("ml/dvc.yaml", None, {"stages": STAGES}),
        Change("ml/dvc.lock", None, {"stages": {}}),
        Change(
            "ml/dvc.lock",
            {"stages": LOCK},
            {"stages": {"train": {"outs": LOCK["train"]["outs"], "deps": LOCK["train"]["deps"]}}},
        ),
    ],
    ids=str,
)
def test_main_judges_what_only_changes_the_model(change: Change) -> None:
    assert of(change) == Scope(judged=(change.path,))


def ask(file: str, kind: Kind, reason: str) -> str:
    [one] = [entry for entry in of(*CHANGES[file]).owner if entry.file == file]
    assert one.kind is kind
    assert one.reason == reason
    return str(one)


EVALUATION = toy.declaration()
CHANGES: dict[str, list[Change | str]] = {
    "ml/service/service.py": ["ml/service/service.py"],
    "requirements/serve.txt": ["requirements/serve.txt"],
    "ml/src/toy/score.py": ["ml/src/toy/score.py"],
    "requirements/ml.txt": ["requirements/ml.txt"],
    "src/mlplatform/evaluation/predict.py": ["src/mlplatform/evaluation/predict.py"],
    "ml/data/test.safetensors": ["ml/data/test.safetensors"],
    "ml/data/test.safetensors.dvc": ["ml/data/test.safetensors.dvc"],
    "ml/notes.txt": ["ml/notes.txt"],
    "ml/.dvc/config": ["ml/.dvc/config"],
    "ml/params.yaml (gate)": [parameters("gate", "tolerance", value=0.5)],
    "ml/params.yaml (more)": [Change("ml/params.yaml", PARAMETERS, PARAMETERS | {"more": 1})],
    "ml/evaluation.yaml (metrics)": [
        Change("ml/evaluation.yaml", EVALUATION, changed(EVALUATION, "metrics", "accuracy", "tolerance", value=0.5))
    ],
    "ml/evaluation.yaml (paths)": [
        Change("ml/evaluation.yaml", EVALUATION, changed(EVALUATION, "paths", "judged", value=["*"]))
    ],
    "ml/evaluation.yaml (contract)": [
        Change("ml/evaluation.yaml", EVALUATION, changed(EVALUATION, "contract", "outputs", value=[]))
    ],
    "ml/evaluation.yaml (evaluator)": [
        Change("ml/evaluation.yaml", EVALUATION, changed(EVALUATION, "evaluator", "module", value="toy"))
    ],
    "ml/evaluation.yaml (test_set)": [
        Change("ml/evaluation.yaml", EVALUATION, changed(EVALUATION, "test_set", "share", value=0.01))
    ],
    "ml/evaluation.yaml (text)": [Change("ml/evaluation.yaml", EVALUATION, EVALUATION)],
}
REASONS = {
    "ml/service/service.py": (Kind.SERVICE, "it prepares data outside of the model"),
    "requirements/serve.txt": (Kind.SERVICE, "it prepares data outside of the model"),
    "ml/src/toy/score.py": (Kind.EVALUATOR, "it decides how models are measured"),
    "requirements/ml.txt": (Kind.EVALUATOR, "it decides how models are measured"),
    "src/mlplatform/evaluation/predict.py": (Kind.EVALUATOR, "it decides how models are measured"),
    "ml/data/test.safetensors": (Kind.TEST_SET, "models are measured on it"),
    "ml/data/test.safetensors.dvc": (Kind.TEST_SET, "models are measured on it"),
    "ml/notes.txt": (Kind.UNKNOWN, "main's evaluation.yaml does not say what it is"),
    "ml/.dvc/config": (Kind.UNKNOWN, "main's evaluation.yaml does not say what it is"),
    "ml/params.yaml (gate)": (Kind.GATE, "it decides what the gate allows"),
    "ml/params.yaml (more)": (Kind.UNKNOWN, "main's evaluation.yaml does not say what it is"),
    "ml/evaluation.yaml (metrics)": (Kind.GATE, "it decides what the gate allows"),
    "ml/evaluation.yaml (paths)": (Kind.GATE, "it decides what the gate allows"),
    "ml/evaluation.yaml (contract)": (Kind.CONTRACT, "it says what a model takes and gives"),
    "ml/evaluation.yaml (evaluator)": (Kind.EVALUATOR, "it decides how models are measured"),
    "ml/evaluation.yaml (test_set)": (Kind.TEST_SET, "models are measured on it"),
    "ml/evaluation.yaml (text)": (Kind.GATE, "it decides what the gate allows"),
}


@pytest.mark.parametrize("file", CHANGES)
def test_an_owner_is_asked_for_what_main_cannot_judge(file: str) -> None:
    sentence = ask(file, *REASONS[file])

    assert sentence == f"main cannot judge {file}: {REASONS[file][1]}: an owner's approval is asked"
    assert len(of(*CHANGES[file]).owner) == 1
    assert of(*CHANGES[file]).judged == ()


def test_one_change_for_an_owner_does_not_hide_the_others() -> None:
    found = of("ml/service/service.py", "ml/src/toy/train.py", "ml/src/toy/score.py", "README.md")

    assert found.judged == ("ml/src/toy/train.py",)
    assert [one.file for one in found.owner] == ["ml/service/service.py", "ml/src/toy/score.py"]


def test_paths_elsewhere_are_not_this_gates() -> None:
    assert of("README.md", "infra/stacks/core.py", "mlops/x") == Scope()


def test_a_test_set_that_only_grew_needs_no_owner() -> None:
    pointer = "ml/data/test.safetensors.dvc"
    grown = changed(
        LOCK, "train", "deps", value=[{"path": "data/test.safetensors", "md5": "9"}, LOCK["train"]["deps"][1]]
    )

    assert of(pointer, pipeline(grown, "dvc.lock", LOCK), faults=[]).owner == ()
    [one] = of(pointer, faults=["3 of main's 40 rows were dropped or changed"]).owner
    assert one.reason == "models are measured on it, and 3 of main's 40 rows were dropped or changed"
    assert [one.file for one in of("ml/src/toy/score.py", faults=[]).owner] == ["ml/src/toy/score.py"]


@pytest.mark.parametrize(
    ("change", "file"),
    [
        (
            pipeline(
                changed(LOCK, "train", "deps", value=[{"path": "data/test.safetensors", "md5": "9"}]), "dvc.lock", LOCK
            ),
            "ml/data/test.safetensors",
        ),
        (pipeline(STAGES | {"x": {"cmd": "x", "outs": ["data/test.safetensors"]}}), "ml/data/test.safetensors"),
        (pipeline(STAGES | {"x": {"cmd": "x", "outs": ["./x/..//data/test.safetensors"]}}), "ml/data/test.safetensors"),
        (pipeline(STAGES | {"x": {"cmd": "x", "outs": ["data"]}}), "ml/data/test.safetensors"),
        (pipeline(STAGES | {"x": {"cmd": "x", "outs": [{"service/x": {"cache": False}}]}}), "ml/service/x"),
        (pipeline(STAGES | {"x": {"cmd": "x", "metrics": [{"src/toy/score.py": {}}]}}), "ml/src/toy/score.py"),
    ],
)
def test_a_pipeline_cannot_write_what_an_owner_rules(change: Change, file: str) -> None:
    assert file in [one.file for one in of(change).owner]


@pytest.mark.parametrize(
    "change",
    [
        Change("ml/params.yaml", PARAMETERS, ["train"]),
        Change("ml/params.yaml", PARAMETERS, 7),
        Change("ml/dvc.yaml", None, {"stages": []}),
        Change("ml/dvc.yaml", None, {"stages": {"x": {"outs": "model"}}}),
        Change("ml/dvc.lock", None, {"stages": {"x": {"outs": ["model"]}}}),
        Change("ml/dvc.lock", None, "x"),
        Change("ml/evaluation.yaml", EVALUATION, "x"),
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused(change: Change) -> None:
    found = of(change)

    assert found.judged == ()
    assert found.owner == ()
    assert found.refused[0].startswith(f"{change.path}: ")


def test_keys_of_any_type_are_compared() -> None:
    assert of(Change("ml/params.yaml", {1: "a", "x": 1}, {1: "b", "x": 1})).owner[0].file == "ml/params.yaml (1)"
