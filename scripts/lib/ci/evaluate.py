"""Job `evaluate`, second half: measure what `ci.fetch` left and hand the result over, by code of main and without any
credential but an address that takes this one result."""

import json
import subprocess
import sys
from pathlib import Path

from ci import environment, fetch, handover
from ci.evidence import FOLDER
from ci.failure import Failure, run
from mlplatform.evaluation import measure, result
from mlplatform.evaluation.declaration import DeclarationError

RESULT = "result.json"


def evaluate(root: Path, folder: Path) -> bytes:
    """Measure what lies in `folder`. Raises `Failure` where main's own files cannot be used."""
    baseline = folder / fetch.BASELINE
    try:
        found = measure.evaluate(
            root,
            root / FOLDER,
            folder / fetch.CANDIDATE,
            baseline if baseline.is_file() else None,
            folder / fetch.TEST_SET,
        )
    except (DeclarationError, measure.TestSetError) as error:
        raise Failure(str(error)) from None
    for side, name in ((found.candidate, "candidate"), (found.baseline, "baseline")):
        if side is not None:
            said = side.refused if isinstance(side, result.Refused) else json.dumps(side.metrics)
            print(f"{name} {side.model.md5}: {said}")
    return result.write(found)


def main() -> None:
    folder = fetch.folder()
    if not folder.is_dir():
        raise Failure("nothing was fetched: this runner knows no jobs that measure: run scripts/up")
    if (folder / fetch.LOOKS).is_file() and subprocess.run([sys.executable, "-m", "ci.compare"]).returncode:
        raise Failure("the data were not compared: the lines above say why")
    target = folder / fetch.TARGET
    if not target.is_file():
        print("nothing was fetched: nothing to measure")
        return
    result_file = folder / RESULT
    result_file.write_bytes(evaluate(environment.ROOT, folder))
    handover.put(json.loads(target.read_text(encoding="utf-8"))["url"], result_file)


if __name__ == "__main__":
    run(main)
