"""How long importing the program takes for a stack, against importing the SDK modules that the stack uses.

Run it with the Python of the development environment:

    $(scripts/lib/run --venv dev)/bin/python tests/benchmarks/import_time.py [rounds]

It prints, for each kind of stack, the processor time of the quickest of the rounds, and the ratio. The goal is 1.2.
Both sides import without the garbage collector, as `infra/__main__.py` does.
What the program adds is mostly pydantic, which takes as long for a stack with few services as for one with many.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

INFRA = Path(__file__).resolve().parents[2] / "infra"
ROUNDS = 7
TIMED = """
import gc, sys, time
gc.disable()
sys.path.insert(0, {infra!r})
start = time.process_time()
{work}
print(time.process_time() - start)
"""


@dataclass(frozen=True)
class Stack:
    """A composer, and one class of each service that it uses: reading the class is what loads a service."""

    composer: str
    services: tuple[str, ...]

    @property
    def sdk(self) -> str:
        touched = "".join(f"\npulumi_aws.{service}" for service in self.services)
        return f"import pulumi, pulumi_kubernetes, pulumi_aws, yaml{touched}"

    @property
    def program(self) -> str:
        return f"import pulumi, settings, {self.composer}\n{self.sdk}"


STACKS = {
    "local": Stack("local", ("s3.Bucket",)),
    "shared": Stack("aws_shared", ("ecr.Repository", "iam.Role", "s3.Bucket")),
    "dev": Stack(
        "aws_stage",
        (
            "cloudwatch.LogGroup",
            "ec2.Vpc",
            "eks.Cluster",
            "iam.Role",
            "kms.Key",
            "vpc.SecurityGroupIngressRule",
        ),
    ),
}


def seconds(work: str) -> float:
    """What one import takes in a process of its own, without the time that other processes take."""
    code = TIMED.format(infra=str(INFRA), work=work)
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main(rounds: int) -> None:
    for name, stack in STACKS.items():
        # By turns, so that a busy moment of the machine hits both.
        pairs = [(seconds(stack.program), seconds(stack.sdk)) for _ in range(rounds)]
        program, sdk = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
        print(f"{name:8} program {program:.2f} s, SDK {sdk:.2f} s, ratio {program / sdk:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
