"""What stages read of the stack `shared`, and which accounts it lets in."""

import json
from pathlib import Path

import pytest

import aws_shared
from example import ACCOUNT, REGION, shared, stage
from recording import Recording, record
from settings import AwsStage, Paths, SettingsError

NOWHERE = Paths(Path("/nowhere"), Path("/nowhere"))
OTHER = "210987654321"


def compose(accounts: dict[str, str]) -> Recording:
    """The stack as recorded, where these stages have accounts of their own."""

    def load(name: str) -> AwsStage:
        return stage(name).model_copy(update={"account": accounts.get(name, ACCOUNT)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws_shared, "load_cluster", load)
        return record(lambda: aws_shared.compose(shared(), NOWHERE), "shared")


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return compose({})


@pytest.fixture
def elsewhere() -> Recording:
    return compose({"prod": OTHER})


def test_stages_are_told_where_things_are(recorded: Recording) -> None:
    assert recorded.outputs["registry_host"] == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    assert set(recorded.outputs["repository_urls"]) == set(shared().repositories)
    assert recorded.outputs["bucket_names"] == {"data": shared().buckets.data, "models": shared().buckets.models}
    assert set(recorded.outputs["bucket_arns"]) == {"data", "models"}


def test_buckets_are_kept_even_from_a_destroy_that_was_meant(recorded: Recording) -> None:
    assert {item.inputs["forceDestroy"] for item in recorded.of("aws:s3/bucket:Bucket")} == {False}


def _bucket_statements(recorded: Recording, role: str) -> dict[str, dict[str, object]]:
    policy = recorded.one("aws:s3/bucketPolicy:BucketPolicy", f"object-store-{role}").inputs["policy"]
    return {item["Sid"]: item for item in json.loads(policy)["Statement"]}


def test_in_one_account_nobody_else_is_let_in(recorded: Recording) -> None:
    assert set(_bucket_statements(recorded, "data")) == set(_bucket_statements(recorded, "models")) == {"OnlyWithTls"}
    assert not recorded.of("aws:ecr/repositoryPolicy:RepositoryPolicy")


def test_a_stage_in_another_account_gets_what_it_needs(elsewhere: Recording) -> None:
    principal = {"AWS": [f"arn:aws:iam::{OTHER}:root"]}
    data, models = _bucket_statements(elsewhere, "data"), _bucket_statements(elsewhere, "models")
    assert data["Write"]["Principal"] == models["Read"]["Principal"] == principal
    assert "Write" not in models
    policies = elsewhere.of("aws:ecr/repositoryPolicy:RepositoryPolicy")
    assert len(policies) == len(shared().repositories)
    assert all(json.loads(item.inputs["policy"])["Statement"][0]["Principal"] == principal for item in policies)


def test_a_stage_that_is_not_on_aws_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"clusters/local/cluster\.yaml: provider: is 'local'"):
        aws_shared.stage_account("local")
