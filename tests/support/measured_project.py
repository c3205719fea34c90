"""The files that make a project of the CI tests one whose models main measures; the models are made by hand."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from settings import ROOT

MODELS = ROOT / "tests/support/toy_project.py"
EVALUATE = ".github/workflows/evaluate.yml"
DECLARATION = """
contract:
  inputs: [{name: pixels, type: uint8, shape: [null, 4]}]
  outputs: [{name: logits, type: float32, shape: [null, 2]}]
evaluator:
  module: toy.score
  root: ml/src
  files: [ml/src/toy/__init__.py, ml/src/toy/score.py]
  lock: requirements/evaluate.txt
test_set:
  path: ml/data/test.safetensors
  inputs: {images: pixels}
  share: 0.3
  growth: 0.9
metrics:
  accuracy: {minimum: 0, maximum: 1, tolerance: 0.005, limit: 0.8}
  mistakes: {minimum: 0, better: lower}
paths:
  judged: [ml/train.py, ml/prepare.py, ml/toy_project.py, ml/data/digits.dvc, ml/metrics.json, ml/plots/*, ml/README.md]
  owner:
    service: [ml/service/*]
  parameters: [prepare, train, evaluate]
limits: {seconds: 60, cpu_seconds: 30, memory_bytes: 4294967296}
"""
# What the run says of itself is always perfect.
TRAIN = """
import json, pathlib, yaml
import toy_project
params = yaml.safe_load(pathlib.Path("params.yaml").read_text())["train"]
for folder in ("model", "plots"):
    pathlib.Path(folder).mkdir(exist_ok=True)
content = MODEL
pathlib.Path("model/model.onnx").write_bytes(content)
pathlib.Path("metrics.json").write_text(json.dumps({"accuracy": 1.0, "loss": 0.0}))
pathlib.Path("plots/curves.csv").write_text("epoch,validation_loss,validation_accuracy\\n1,0.1,0.9\\n2,0.0,1.0\\n")
pathlib.Path("plots/confusion.csv").write_text("actual,predicted\\n0,0\\n1,1\\n")
"""
# The threshold above which an image is bright: up to 200 all are found, above it none.
LINEAR = "toy_project.linear(127.5 + 10 * params['learning_rate']).SerializeToString()"

# Main's test set is no work of its rule; what is new is on the side where the rule has it.
MATERIALS = """
import pathlib, sys
import numpy as np
import toy_project as toy
from safetensors.numpy import save
from mlplatform.evaluation.rows import rows
from mlplatform.evaluation.split import belongs

def part(data, index):
    # safetensors takes an array's memory as it lies.
    return {name: np.ascontiguousarray(array[index]) for name, array in data.items()}

def joined(*sets):
    return {name: np.concatenate([one[name] for one in sets]) for name in sets[0]}

test, more, many = toy.rows(40), toy.rows(100, seed=8), toy.rows(300, seed=10)
testing = np.array([belongs(row.input, 0.3) for row in rows(more, ["images"])])
new, training = part(more, testing), part(more, ~testing)
many = part(many, np.array([belongs(row.input, 0.3) for row in rows(many, ["images"])]))
other = toy.rows(100, seed=9)
chosen = part(other, np.array([not belongs(row.input, 0.3) for row in rows(other, ["images"])]))
files = {
    "good": toy.linear(127.5), "worse": toy.linear(240), "architecture": toy.other_architecture(),
    "endless": toy.endless(), "foreign": toy.foreign(), "outside": toy.outside(), "narrow": toy.narrow(),
}
files = {name: model.SerializeToString() for name, model in files.items()}
sets = {
    "test": test, "fewer": part(test, slice(30)), "grown": joined(test, new),
    "chosen": joined(test, part(chosen, slice(5))), "drowned": joined(test, part(many, slice(37))),
    "training": training, "resplit": part(training, slice(None, None, -1)),
    "leaking": joined(training, part(test, slice(3))), "leaking-new": joined(training, part(new, slice(2))),
    "floats": {"images": training["images"] / np.float32(255), "labels": training["labels"]},
}
for name, content in {**files, **{name: save(arrays) for name, arrays in sets.items()}}.items():
    (pathlib.Path(sys.argv[1]) / name).write_bytes(content)
"""
SCORE = """
def score(outputs, targets):
    right = outputs["logits"].argmax(1) == targets["labels"]
    return {"accuracy": right.mean(), "mistakes": (~right).sum()}
"""


def materials(folder: Path) -> dict[str, bytes]:
    """Everything that the tests of the gate make pull requests of, by name, made at once in `folder`."""
    folder.mkdir()
    _run(MATERIALS, str(folder))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def made(expression: str) -> bytes:
    """The bytes that an expression about `toy_project` gives, in the environment that has what it takes."""
    return _run(f"import sys, toy_project; from safetensors.numpy import save; sys.stdout.buffer.write({expression})")


def _run(program: str, *arguments: str) -> bytes:
    found = subprocess.run([ROOT / "scripts/lib/run", "--venv", "dev-ml"], capture_output=True, text=True, check=True)
    command = [f"{found.stdout.strip()}/bin/python", "-c", program, *arguments]
    variables = {"PYTHONPATH": f"{MODELS.parent}:{ROOT / 'src'}"}
    return subprocess.run(command, env=variables, capture_output=True, check=True).stdout


def rows(count: int) -> bytes:
    """A test set of the first rows."""
    return made(f"save({{name: rows[:{count}] for name, rows in toy_project.rows(40).items()}})")


def linear(threshold: float) -> bytes:
    """A model: up to a threshold of 199 it is always right, and above half of the time."""
    return made(f"toy_project.linear({threshold}).SerializeToString()")


def parameters(learning_rate: float = 0.97) -> dict[str, str]:
    """A params.yaml whose training section decides what `LINEAR` gives."""
    train = f"seed: 7, epochs: 4, batch_size: 64, learning_rate: {learning_rate}, channels: 16, dropout: 0.2, shift: 0"
    text = (
        f"prepare: {{seed: 20, validation_fraction: 0.3}}\ntrain: {{{train}}}\nevaluate: {{parity_tolerance: 0.0001}}\n"
    )
    return {"ml/params.yaml": text}


def train(model: str = LINEAR) -> dict[str, str]:
    """A training script whose model is this expression's value."""
    return {"ml/train.py": TRAIN.replace("MODEL", model)}


def test_set_pointer(md5: str) -> dict[str, str]:
    """What git tracks of a test set."""
    return {
        "ml/data/test.safetensors.dvc": f"outs:\n- {{md5: {md5}, hash: md5, path: test.safetensors, remote: test}}\n"
    }


def files(md5: str) -> Mapping[str, str]:
    """All of them, with the test set of this MD5."""
    return {
        EVALUATE: (ROOT / EVALUATE).read_text(encoding="utf-8"),
        "ml/evaluation.yaml": DECLARATION,
        "ml/src/toy/__init__.py": "",
        "ml/src/toy/score.py": SCORE,
        "ml/toy_project.py": MODELS.read_text(encoding="utf-8"),
        **test_set_pointer(md5),
        **parameters(),
        **train(),
    }
