"""The process that runs main's own measuring code on a model's answers; it has the targets, and no model."""

import importlib
import json
import sys
from pathlib import Path

from safetensors.numpy import load_file


def main() -> None:
    module, answers, targets, out = sys.argv[1:]
    numbers = importlib.import_module(module).score(load_file(answers), load_file(targets))
    plain = {str(name): float(value) for name, value in numbers.items()}
    Path(out).write_text(json.dumps(plain), encoding="utf-8")


if __name__ == "__main__":
    main()
