"""A stack file as Pulumi leaves it passes; tests/clusters refuses the others."""

import shutil
from pathlib import Path

import pytest

from aws import naming
from example import ACCOUNT, EXAMPLE, REGION
from settings import check_stack_file
from settings.stack_files import CIPHERTEXT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE / "clusters", tmp_path / "clusters")
    return tmp_path / "clusters" / "Pulumi.dev.yaml"


def test_with_its_key_and_both_secrets(file: Path) -> None:
    provider = naming.secrets_provider("dev", ACCOUNT, REGION)
    secret = "v1:nHZaqFTzdpAVvhmq:cmVhbGx5IHNlY3JldA=="
    file.write_text(
        f"secretsprovider: {provider}\nencryptedkey: QVFJQ0FIaA==\nconfig:\n"
        f"  ml-platform:forgeToken:\n    secure: {secret}\n  ml-platform:webhookSecret:\n    secure: {secret}\n"
    )
    check_stack_file("dev", file.parents[1])


def test_where_the_stage_has_an_account_of_its_own_the_key_is_that_of_the_state(file: Path) -> None:
    cluster = file.with_name("dev") / "cluster.yaml"
    cluster.write_text(cluster.read_text().replace(ACCOUNT, "210987654321"))
    file.write_text(f"secretsprovider: {naming.secrets_provider('dev', ACCOUNT, REGION)}\n")
    check_stack_file("dev", file.parents[1])


def test_the_stack_of_this_machine_has_none_to_check(file: Path) -> None:
    check_stack_file("local", file.parents[1])


@pytest.mark.parametrize("text", ["hunter2", "v1:hunter2", "v1::", "v2:YQ==:YQ=="])
def test_what_is_no_ciphertext_is_told_apart(text: str) -> None:
    assert not CIPHERTEXT.fullmatch(text)
