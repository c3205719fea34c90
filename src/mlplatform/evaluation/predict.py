"""The process that loads a model: it gets the file and the inputs of the test set, and leaves the model's answers.

It is not given the targets: a model would have to take over the process, and find them on the disk, to write the right
answers.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from safetensors.numpy import load_file, save_file

from mlplatform.evaluation import bounded
from mlplatform.evaluation.admission import NotAdmitted, admit
from mlplatform.evaluation.declaration import Contract, Value

BATCH = 256
MEMORY = ("bad_alloc", "Failed to allocate", "allocate memory", "MemoryError")


class BadAnswers(Exception):
    """A model that does not do what its contract says; the message is one sentence."""


def answers(path: Path, contract: Contract, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Run a model on arrays by the names of its inputs; returns its outputs by name, one entry a row.

    Raises:
        NotAdmitted: the runtime refuses the model.
        BadAnswers: it fails on the inputs, or gives other outputs than the contract says.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has one class for each of its status codes
        raise _out_of_memory(error) or NotAdmitted(f"the runtime cannot load it: {_short(error)}") from None
    names = [value.name for value in contract.outputs]
    rows = len(next(iter(inputs.values())))
    parts: list[list[Any]] = []
    for start in range(0, rows, BATCH):
        batch = {name: array[start : start + BATCH] for name, array in inputs.items()}
        count = min(BATCH, rows - start)
        try:
            outputs = session.run(names, batch)
        except Exception as error:  # as above
            raise _out_of_memory(error) or BadAnswers(f"it fails on the test set: {_short(error)}") from None
        for value, array in zip(contract.outputs, outputs, strict=True):
            check(value, array, count)
        parts.append(outputs)
    return {name: np.concatenate([part[index] for part in parts]) for index, name in enumerate(names)}


def check(value: Value, array: Any, rows: int) -> None:
    """Refuse an output other than the contract's. Raises `BadAnswers`."""
    wanted = (rows, *value.shape[1:])
    if not isinstance(array, np.ndarray):
        raise BadAnswers(f"its output {value.name} is no tensor")
    fits = array.ndim == len(wanted) and all(b in (None, a) for a, b in zip(array.shape, wanted, strict=True))
    if not fits or str(array.dtype) != value.type:
        found = f"{array.dtype}{list(array.shape)}"
        raise BadAnswers(f"its output {value.name} is {found} for {rows} rows, not {value}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadAnswers(f"its output {value.name} has values that are not finite numbers")


def _out_of_memory(error: Exception) -> Exception | None:
    return MemoryError() if any(word in str(error) for word in MEMORY) else None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def main() -> None:
    limits = bounded.limits_of_this_process()
    model, contract, inputs, out = sys.argv[1:]
    agreed = Contract.model_validate_json(contract)
    try:
        admit(Path(model), agreed, limits.model_bytes)
        save_file(answers(Path(model), agreed, load_file(inputs)), out)
    except NotAdmitted as error:
        bounded.refuse(error.cause, str(error))
    except BadAnswers as error:
        bounded.refuse("answers", str(error))
    except MemoryError:
        bounded.refuse("limits", f"it needs more than {limits.memory_bytes} bytes of memory")


if __name__ == "__main__":
    main()
