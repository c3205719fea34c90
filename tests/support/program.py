"""The platform's program, recorded as one stack or another."""

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws import naming
from recording import Recording, record
from settings import PROJECT, ROOT, AwsShared, load_cluster

PROGRAM = ROOT / "infra" / "__main__.py"
GOLDEN = ROOT / "tests" / "infra" / "golden"
STAGES = ("dev", "staging", "prod")
AWS_STACKS = ("shared", *STAGES)


def run(stack: str, config: Mapping[str, str] | None = None) -> Recording:
    """What `infra/__main__.py` registers as `stack` of this checkout's clusters, in this process."""
    return record(lambda: runpy.run_path(str(PROGRAM)), stack, shared_outputs(shared()), config)


def shared() -> AwsShared:
    """The settings of what the stages of this checkout share."""
    found = load_cluster("shared")
    assert isinstance(found, AwsShared)
    return found


def shared_outputs(cluster: AwsShared) -> dict[str, dict[str, Any]]:
    """What stages read of the stack that this cluster is, as `recording.record` takes it."""
    arns = {purpose: f"arn:aws:s3:::{name}" for purpose, name in cluster.buckets.model_dump().items()}
    host = naming.registry_host(cluster.account, cluster.region)
    return {f"organization/{PROJECT}/{cluster.name}": {"registry_host": host, "bucket_arns": arns}}


def urns(stack: str, recorded: Recording) -> list[str]:
    """The URNs that the stack's state would list."""
    return sorted([f"urn:pulumi:{stack}::ml-platform::pulumi:pulumi:Stack::ml-platform-{stack}", *recorded.urns()])


def golden(stack: str) -> Path:
    """The list of URNs that the stack is known to have."""
    return GOLDEN / f"{stack}.urns"
