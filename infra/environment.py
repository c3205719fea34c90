"""The environment variables that make plain `pulumi`, `kubectl`, `argocd` and S3 tools work on a cluster.

`scripts/env` prints them and `scripts/up` uses them. No secret is among them: each is named by its file.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import facts
from aws import emulation, naming
from plugins import install
from settings import ROOT, AnyCluster, AwsShared, AwsStage, LocalCluster, Paths, SettingsError, load_cluster

TEST_SET_PROFILE = "test-set"
"""Of AWS's tools on this machine: the account that may write what models are measured on."""


def environment(
    cluster: AnyCluster, paths: Paths, base: Mapping[str, str] = os.environ, root: Path = ROOT
) -> dict[str, str]:
    """The variables for `cluster`, to be added to `base`; changes nothing on this host. Raises SettingsError."""
    own = _local(cluster, paths) if isinstance(cluster, LocalCluster) else _aws(cluster, paths, base, root)
    return {
        **own,
        # Through the Kubernetes API, so there is no login to keep; its namespace is the current context's.
        "ARGOCD_OPTS": "--core",
        "ML_PLATFORM_CACHE_DIR": str(paths.cache),
        "ML_PLATFORM_PYTHON": sys.executable,
        "ML_PLATFORM_ROOT": str(root),
        "ML_PLATFORM_STATE_DIR": str(paths.state),
        "PATH": _path(str(paths.bin), base.get("PATH", os.defpath)),
        # Diffs need no network here, so they need not wait for each other.
        "PULUMI_PARALLEL_DIFF": "true",
        "PULUMI_HOME": str(install.home(paths)),
        # The command line's --policy-pack, for every preview and update.
        "PULUMI_OPTION_POLICY_PACK": str(root / "infra" / "policy"),
        # For the official language host; the offline one is started with ML_PLATFORM_PYTHON.
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_STACK": cluster.name,
    }


def _local(cluster: LocalCluster, paths: Paths) -> dict[str, str]:
    return {
        **facts.variables(cluster),
        "AWS_CONFIG_FILE": str(paths.aws_config),
        "AWS_SHARED_CREDENTIALS_FILE": str(paths.aws_credentials),
        "KUBECONFIG": os.pathsep.join([str(paths.argocd_context), str(paths.kubeconfig)]),
        # Without files of attributes beside the state's: one that a kill left half-written makes the state unreadable.
        "PULUMI_BACKEND_URL": f"file://{paths.pulumi}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(paths.secrets / "pulumi-passphrase"),
    }


def _aws(cluster: AwsStage | AwsShared, paths: Paths, base: Mapping[str, str], root: Path) -> dict[str, str]:
    """Whose credentials to use is the caller's business, except where AWS is emulated."""
    account = state_account(cluster, root)
    variables = {
        "AWS_DEFAULT_REGION": cluster.region,
        "AWS_REGION": cluster.region,
        "KUBECONFIG": str(kubeconfig(cluster.name, paths)),
        "PULUMI_BACKEND_URL": f"s3://{naming.state_bucket(account)}?region={cluster.region}",
        # The whole state, 4 MB with Argo CD's kinds in it, is sent twice a resource.
        "PULUMI_DIY_BACKEND_ZSTD": "true",
    }
    # What a shell may still have from a local cluster would send every request to that one's object store.
    for variable, local, usual in (
        ("AWS_CONFIG_FILE", paths.aws_config, "config"),
        ("AWS_SHARED_CREDENTIALS_FILE", paths.aws_credentials, "credentials"),
    ):
        if base.get(variable) == str(local):
            variables[variable] = str(Path.home() / ".aws" / usual)
    if endpoint := emulation.endpoint(base):
        variables |= emulation.credentials(cluster.account)
        variables |= {
            # For single services too, which a shell may have set for another store.
            **{name: endpoint for name in base if name.startswith(emulation.VARIABLE)},
            "PULUMI_CONFIG_PASSPHRASE": emulation.PASSPHRASE,
            # The command line's --config-file, for every command that has it.
            "PULUMI_OPTION_CONFIG_FILE": str(emulated_stack_file(cluster.name, paths)),
        }
    return variables


def state_account(cluster: AwsStage | AwsShared, root: Path = ROOT) -> str:
    """The account whose bucket holds a stack's state: one for all, because stages read the shared stack's outputs from
    it. Raises SettingsError.
    """
    if isinstance(cluster, AwsShared):
        return cluster.account
    shared = load_cluster(cluster.shared, root)
    if not isinstance(shared, AwsShared):  # which load_cluster has refused for a stage
        raise SettingsError(f"clusters/{cluster.name}/cluster.yaml: shared: {cluster.shared!r} is no shared stack")
    return shared.account


def kubeconfig(stack: str, paths: Paths) -> Path:
    """Where the kubeconfig of a cluster on AWS lies; it holds no credential."""
    return paths.state / "aws" / stack / "kubeconfig"


def emulated_stack_file(stack: str, paths: Paths) -> Path:
    """Where an emulated stack's settings lie: never in the checkout."""
    return paths.state / "aws" / "emulator" / f"Pulumi.{stack}.yaml"


def _path(first: str, rest: str) -> str:
    """`first` before `rest`, once, however often the result is used again."""
    return os.pathsep.join([first, *(item for item in rest.split(os.pathsep) if item and item != first)])
