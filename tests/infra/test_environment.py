"""What a shell is told: where things are, and no secret."""

import os
from pathlib import Path

import facts
from environment import environment
from example import ACCOUNT, EXAMPLE, REGION, shared, stage
from settings import Paths, cluster_names, load_cluster, load_local

CLUSTER = load_local("local")
PATHS = Paths(Path("/state"), Path("/cache"))


def test_the_facts_of_the_cluster_are_in_it() -> None:
    assert facts.variables(CLUSTER).items() <= environment(CLUSTER, PATHS).items()


def test_it_leads_to_the_state_and_the_cache() -> None:
    variables = environment(CLUSTER, PATHS)
    assert variables["PULUMI_BACKEND_URL"] == "file:///state/pulumi?metadata=skip"
    assert variables["PULUMI_STACK"] == "local"
    assert variables["KUBECONFIG"].split(os.pathsep)[-1] == "/state/kubernetes/admin.conf"
    assert variables["PATH"].split(os.pathsep)[0] == "/cache/bin"


def test_using_it_twice_changes_nothing() -> None:
    once = environment(CLUSTER, PATHS, {"PATH": "/usr/bin:/bin"})
    assert environment(CLUSTER, PATHS, once) == once
    assert once["PATH"] == "/cache/bin:/usr/bin:/bin"


def test_secrets_are_named_by_file_only(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name in ("pulumi-passphrase", "s3-dvc-secret-key"):
        (tmp_path / "secrets" / name).write_text("very-secret")
    variables = environment(CLUSTER, Paths(tmp_path, tmp_path))
    assert "very-secret" not in "".join(variables.values())
    assert variables["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(tmp_path / "secrets" / "pulumi-passphrase")


def test_every_preview_runs_the_policy_pack() -> None:
    for name in cluster_names():
        pack = Path(environment(load_cluster(name), PATHS)["PULUMI_OPTION_POLICY_PACK"])
        assert (pack / "PulumiPolicy.yaml").is_file(), name


class TestAws:
    """An environment on AWS: whose credentials to use stays the caller's choice."""

    def test_state_and_cluster_are_found_without_any_credential(self) -> None:
        variables = environment(stage("dev"), PATHS, {}, EXAMPLE)
        assert variables["PULUMI_BACKEND_URL"] == f"s3://ml-platform-state-{ACCOUNT}?region={REGION}"
        assert variables["PULUMI_STACK"] == "dev"
        assert variables["PULUMI_OPTION_POLICY_PACK"].endswith("infra/policy")
        assert variables["KUBECONFIG"] == "/state/aws/dev/kubeconfig"
        assert not {name for name in variables if "KEY" in name or "PASSPHRASE" in name or "ENDPOINT" in name}

    def test_what_a_local_cluster_left_in_the_shell_is_put_right(self) -> None:
        left = environment(CLUSTER, PATHS, {})
        found = {**left, **environment(stage("dev"), PATHS, left, EXAMPLE)}
        assert not found["AWS_CONFIG_FILE"].startswith("/state")
        assert not found["AWS_SHARED_CREDENTIALS_FILE"].startswith("/state")
        assert "AWS_CONFIG_FILE" not in environment(stage("dev"), PATHS, {"AWS_CONFIG_FILE": "/my/own"}, EXAMPLE)

    def test_an_emulator_brings_its_credentials_and_settings_out_of_the_checkout(self) -> None:
        base = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5001/", "AWS_ENDPOINT_URL_S3": "http://10.0.0.1:7070"}
        variables = environment(shared(), PATHS, base, EXAMPLE)
        assert variables["AWS_ENDPOINT_URL"] == variables["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:5001"
        assert variables["AWS_ACCESS_KEY_ID"] == f"EMULATOR{ACCOUNT}"
        assert variables["PULUMI_OPTION_CONFIG_FILE"] == "/state/aws/emulator/Pulumi.shared.yaml"
