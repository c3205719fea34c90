"""Job `evaluate`, before its second half: compare the data that `ci.fetch` left, and hand the findings over.

A process of its own, which ends before a model is loaded: the addresses for the findings end with it, so a
model that takes over its own process cannot find them.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ci import environment, fetch, handover
from ci.evidence import FOLDER
from ci.failure import Failure, run
from mlplatform.evaluation import bounded, declaration, findings
from mlplatform.evaluation.declaration import Declaration, DeclarationError
from mlplatform.evaluation.findings import MOST_SENTENCE, MOST_UNREAD, Growth, Leaks

COMPARE = "mlplatform.evaluation.compare"


def growth(declared: Declaration, folder: Path, about: Mapping[str, str], given: Mapping[str, Any]) -> Growth:
    """What became of main's test set. A comparison that is stopped by its limits is a fault."""
    plan = {
        "old": str(folder / fetch.TEST_SET),
        "new": str(folder / fetch.NEW_TEST_SET),
        "inputs": sorted(declared.test_set.inputs),
        "share": declared.test_set.share,
    }
    try:
        faults, rows, added = _compared("growth", plan, declared)
    except bounded.Stopped as stopped:
        faults, rows, added = [f"main cannot compare it: {stopped}"], 0, 0
    told = [fault[:MOST_SENTENCE] for fault in faults]
    return Growth(**about, new=given["new"], rows=rows, added=added, faults=told)


def leaks(declared: Declaration, folder: Path, about: Mapping[str, str], given: Mapping[str, Any]) -> Leaks:
    """What of the test sets the training data show. A comparison that is stopped by its limits is told of each file."""
    tests = [fetch.TEST_SET, *([fetch.NEW_TEST_SET] if given["new"] else [])]
    plan = {
        "tests": [str(folder / name) for name in tests],
        "files": {path: str(folder / name) for path, name in given["files"].items()},
        "inputs": sorted(declared.test_set.inputs),
    }
    try:
        rows, unread = _compared("leaks", plan, declared)
    except bounded.Stopped as stopped:
        rows, unread = {}, dict.fromkeys(given["files"], f"cannot be compared: {stopped}")
    told = sorted({**unread, **given["unread"]}.items())[:MOST_UNREAD]
    return Leaks(
        **about, data=given["data"], rows=rows, unread={path: sentence[:MOST_SENTENCE] for path, sentence in told}
    )


def _compared(what: str, plan: Mapping[str, Any], declared: Declaration) -> Any:
    """Raises `bounded.Stopped`."""
    with TemporaryDirectory() as scratch:
        about, out = Path(scratch, "plan.json"), Path(scratch, "out.json")
        about.write_text(json.dumps(plan), encoding="utf-8")
        bounded.run(COMPARE, [what, str(about), str(out)], Path(scratch), declared.limits)
        return json.loads(out.read_text(encoding="utf-8"))


LOOKS: dict[str, Callable[..., Growth | Leaks]] = {"growth": growth, "leaks": leaks}


def main() -> None:
    folder = fetch.folder()
    source = folder / fetch.LOOKS
    given = json.loads(source.read_text(encoding="utf-8"))
    source.unlink()
    try:
        declared = declaration.load(environment.ROOT / FOLDER)
    except DeclarationError as error:
        raise Failure(str(error)) from None
    about = {name: given[name] for name in ("evaluator", "test_set")}
    for name, look in LOOKS.items():
        if name in given:
            finding = look(declared, folder, about, given[name])
            print(f"{name}: {finding.model_dump_json(exclude={'evaluator', 'test_set', 'new', 'data'})}")
            written = folder / f"{name}.json"
            written.write_bytes(findings.write(finding))
            handover.put(given[name]["url"], written)


if __name__ == "__main__":
    run(main)
