"""The environment variables that make plain `pulumi`, `kubectl`, `argocd` and S3 tools work on a cluster.

`scripts/env` prints them and `scripts/up` uses them. No secret is among them: each is named by its file.
"""

import os
import sys
from collections.abc import Mapping

import facts
from plugins import install
from settings import ROOT, Cluster, Paths


def environment(cluster: Cluster, paths: Paths, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables for `cluster`, to be added to `base`; changes nothing on this host."""
    return {
        **facts.variables(cluster),
        # Through the Kubernetes API, so there is no login to keep; its namespace is the current context's.
        "ARGOCD_OPTS": "--core",
        "AWS_CONFIG_FILE": str(paths.aws_config),
        "AWS_SHARED_CREDENTIALS_FILE": str(paths.aws_credentials),
        "KUBECONFIG": os.pathsep.join([str(paths.argocd_context), str(paths.kubeconfig)]),
        "ML_PLATFORM_CACHE_DIR": str(paths.cache),
        "ML_PLATFORM_PYTHON": sys.executable,
        "ML_PLATFORM_ROOT": str(ROOT),
        "ML_PLATFORM_STATE_DIR": str(paths.state),
        "PATH": _path(str(paths.bin), base.get("PATH", os.defpath)),
        "PULUMI_BACKEND_URL": f"file://{paths.pulumi}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(paths.secrets / "pulumi-passphrase"),
        # Diffs need no network here, so they need not wait for each other.
        "PULUMI_PARALLEL_DIFF": "true",
        "PULUMI_HOME": str(install.home(paths)),
        # For the official language host; the offline one is started with ML_PLATFORM_PYTHON.
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_STACK": cluster.name,
    }


def _path(first: str, rest: str) -> str:
    """`first` before `rest`, once, however often the result is used again."""
    return os.pathsep.join([first, *(item for item in rest.split(os.pathsep) if item and item != first)])
