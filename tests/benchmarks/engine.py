"""How fast the real engine is on the stacks on AWS: previews without changes, and resources a second on `up`.

    PYTHONPATH=infra:tests/support $(scripts/lib/run --venv dev)/bin/python tests/benchmarks/engine.py [--stage dev]

Times of previews are medians, taken in turns with those of an empty program by the same engine, backend and policies,
so that their ratio holds on a slow or busy machine too. `up` is measured whole, and from its first step to its last
without the time in which all else waits for the cluster's API server, whose start is the emulator's.
"""

import argparse
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from emulator.stacks import Stack, aws_stacks

CLUSTER = re.compile(r"aws:eks:Cluster cluster created \((\d+(?:\.\d+)?)s\)")
STEP = re.compile(r" (creating|created) \(")
CREATED = re.compile(r"\+ (\d+) created")
EMPTY = "name: empty\nruntime:\n  name: python\n"


def seconds(stack: Stack, *arguments: str) -> float:
    started = time.monotonic()
    stack.pulumi(*arguments)
    return time.monotonic() - started


def empty(stack: Stack, folder: Path) -> Stack:
    """A stack without resources, by the same engine, backend and policies."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(EMPTY)
    (folder / "__main__.py").write_text("")
    variables = {key: value for key, value in stack.environment.items() if key != "PULUMI_OPTION_CONFIG_FILE"}
    command = ["pulumi", "stack", "init", "empty", "--secrets-provider=passphrase", "--no-select", "--non-interactive"]
    found = Stack("empty", folder, variables | {"PULUMI_STACK": "empty"}, ())
    subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True)
    found.pulumi("up", "--yes", "--skip-preview")
    return found


def without_policies(stack: Stack) -> Stack:
    variables = {key: value for key, value in stack.environment.items() if key != "PULUMI_OPTION_POLICY_PACK"}
    return Stack(stack.name, stack.root, variables, stack.lines)


def measure_up(stack: Stack) -> None:
    """Print how many resources a second the whole command creates, and its steps alone."""
    lines: list[tuple[float, str]] = []
    started = time.monotonic()
    command = stack.command("up", "--yes", "--skip-preview")
    with subprocess.Popen(command, cwd=stack.root, env=stack.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [(time.monotonic(), line) for line in process.stdout]
    took = time.monotonic() - started
    output = "".join(line for _, line in lines)
    assert process.returncode == 0, output
    made = CREATED.search(output)
    assert made, output
    # The stack itself is created when the program ends, its lines frame all others.
    steps = [moment for moment, line in lines if STEP.search(line) and "pulumi:pulumi:Stack" not in line]
    count, waited = int(made[1]), float(found[1]) if (found := CLUSTER.search(output)) else 0.0
    busy = steps[-1] - steps[0] - waited
    print(f"{stack.name}: {count} created in {took:.1f} s: {count / took:.1f} a second")
    print(f"  from the first step to the last{f', less {waited:.0f} s for the API server' if waited else ''}:", end=" ")
    print(f"{busy:.1f} s: {count / busy:.1f} a second")


def measure_preview(stack: Stack, nothing: Stack, times: int, label: str) -> None:
    pairs = [
        (seconds(stack, "preview", "--expect-no-changes"), seconds(nothing, "preview", "--expect-no-changes"))
        for _ in range(times)
    ]
    full, base = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"no-op preview of {stack.name}{label}: {full:.2f} s, an empty program {base:.2f} s: ratio {full / base:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", default="dev")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, aws_stacks(Path(folder) / "stacks", {}) as stacks:
        shared, stage = stacks.prepare("shared"), stacks.prepare(options.stage)
        measure_up(shared)
        measure_up(stage)
        nothing = empty(stage, Path(folder) / "empty")
        measure_preview(stage, nothing, options.times, "")
        measure_preview(without_policies(stage), without_policies(nothing), options.times, " without policies")


if __name__ == "__main__":
    main()
