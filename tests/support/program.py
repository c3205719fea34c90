"""The platform's program, recorded as one stack or another."""

import runpy
from collections.abc import Mapping
from pathlib import Path

from recording import Recording, record
from settings import ROOT

PROGRAM = ROOT / "infra" / "__main__.py"
GOLDEN = ROOT / "tests" / "infra" / "golden"
SHARED_STACK = "organization/ml-platform/shared"
# What stages read of the stack `shared`.
SHARED_OUTPUTS = {
    "registry_host": "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    "bucket_arns": {
        "data": "arn:aws:s3:::ml-platform-data-123456789012",
        "models": "arn:aws:s3:::ml-platform-models-123456789012",
    },
}
STAGES = ("dev", "staging", "prod")
AWS_STACKS = ("shared", *STAGES)


def run(stack: str, config: Mapping[str, str] | None = None) -> Recording:
    """What `infra/__main__.py` registers as `stack`, in this process."""
    return record(lambda: runpy.run_path(str(PROGRAM)), stack, {SHARED_STACK: SHARED_OUTPUTS}, config)


def urns(stack: str, recorded: Recording) -> list[str]:
    """The URNs that the stack's state would list."""
    return sorted([f"urn:pulumi:{stack}::ml-platform::pulumi:pulumi:Stack::ml-platform-{stack}", *recorded.urns()])


def golden(stack: str) -> Path:
    """The list of URNs that the stack is known to have."""
    return GOLDEN / f"{stack}.urns"
