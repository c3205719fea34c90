"""What stages read of the stack `shared`, and which accounts it lets in."""

import json
from pathlib import Path

import pytest

import aws_shared
from recording import Recording, record
from settings import AwsShared, Paths, SettingsError, load_cluster

NOWHERE = Paths(Path("/nowhere"), Path("/nowhere"))
OTHER = "210987654321"


def shared() -> AwsShared:
    found = load_cluster("shared")
    assert isinstance(found, AwsShared)
    return found


def compose(cluster: AwsShared) -> Recording:
    return record(lambda: aws_shared.compose(cluster, NOWHERE), "shared")


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return compose(shared())


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Recording:
    """The same where the stage prod has an account of its own."""
    load = aws_shared.load_cluster

    def moved(name: str) -> object:
        found = load(name)
        return found.model_copy(update={"account": OTHER}) if name == "prod" else found

    monkeypatch.setattr(aws_shared, "load_cluster", moved)
    return compose(shared())


def test_stages_are_told_where_things_are(recorded: Recording) -> None:
    assert recorded.outputs["registry_host"] == "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
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
