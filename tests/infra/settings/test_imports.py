"""The package as others import it."""

import subprocess
import sys

import pytest

from settings import ROOT


@pytest.mark.parametrize("module", ["settings", "aws.cidr", "aws.naming", "aws.tags", "aws.trust"])
def test_reading_settings_loads_no_client_library(module: str) -> None:
    """Whichever is imported first: some of these import each other."""
    heavy = {"boto3", "grpc", "httpx", "pulumi"}
    program = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "infra", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
