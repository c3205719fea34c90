"""All that a cluster's file decides: what its stack and its account's are made of, what its host and jobs are told."""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

import argocd_install
import environment
import facts
import program
from bootstrap import account
from recording import Recording, record
from settings import ROOT, AwsShared, LocalCluster, Paths, load_cluster

ANSIBLE = ROOT / "infra" / "ansible"


def composed(name: str, root: Path, state: Path) -> dict[str, Any]:
    """What is made of `clusters/<name>/cluster.yaml` under `root`, on a host with this state. Raises SettingsError.

    Equal for equal files, wherever they lie.
    """
    found: dict[str, Any] = _anywhere(_composed(name, root, state), root)
    return found


def _anywhere(found: Any, root: Path) -> Any:
    """Without the place of the checkout."""
    if isinstance(found, dict):
        return {_anywhere(key, root): _anywhere(value, root) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_anywhere(value, root) for value in found]
    return found.replace(str(root), "<checkout>") if isinstance(found, str) else found


def _composed(name: str, root: Path, state: Path) -> dict[str, Any]:
    cluster = load_cluster(name, root)
    paths = Paths(state, Path(os.environ.get("ML_PLATFORM_CACHE_DIR", "/var/cache/ml-platform")))
    with _clusters_of(root):
        found = {
            "stack": _resources(_stack(name, root)),
            "shell": environment.environment(cluster, paths, {}, root),
        }
        if isinstance(cluster, LocalCluster):
            return found | {"jobs": facts.variables(cluster), "host": host_variables(root, paths)}
        accounts = account.load(cluster.account, root)
        made = record(lambda: account.compose(accounts), stack=cluster.account, project="ml-platform-bootstrap")
        return found | {"account": _resources(made)}


def host_variables(root: Path, paths: Paths) -> dict[str, Any]:
    """The variables of every role as Ansible resolves them for the cluster `local` under `root`."""
    _plugins()
    loader = DataLoader()
    files = [*ANSIBLE.glob("inventories/local/group_vars/**/*.yml"), *ANSIBLE.glob("roles/*/defaults/main.yml")]
    variables: dict[str, Any] = {}
    for path in sorted(files):
        variables |= loader.load_from_file(str(path), trusted_as_template=True) or {}
    names = [name for name in variables if name != "platform"]  # the file itself, which nobody is to count as use
    variables |= {
        "state_dir": str(paths.state),
        "cache_dir": str(paths.cache),
        "playbook_dir": str(root / "infra" / "ansible"),
        # What the role `images` lists on the host.
        "images_listed": {"stdout": '{"kube-apiserver": "registry.k8s.io/kube-apiserver:v1.35.0"}'},
    }
    templar = Templar(loader=loader, variables=variables)
    # Secrets are the host's, not the cluster's.
    return {
        name: templar.template(variables[name]) for name in names if not name.endswith(("_login", "_key", "_password"))
    }


@functools.cache
def _plugins() -> None:
    init_plugin_loader()


def _stack(name: str, root: Path) -> Recording:
    shared = load_cluster("shared", root)
    assert isinstance(shared, AwsShared)
    # Argo CD's kinds are as large as all the rest, and nothing of a cluster is in them.
    documents = argocd_install.documents(Paths.from_environment())
    rest = [item for item in documents if item["kind"] != "CustomResourceDefinition"]
    with (
        mock.patch.object(program, "shared", return_value=shared),
        mock.patch.object(argocd_install, "documents", return_value=rest),
    ):
        return program.run(name)


def _resources(recorded: Recording) -> dict[str, Any]:
    resources = {item.urn: [item.inputs, item.protect, sorted(item.dependencies)] for item in recorded}
    return {"resources": resources, "outputs": recorded.outputs}


@contextlib.contextmanager
def _clusters_of(root: Path) -> Iterator[None]:
    """Whoever reads a cluster without saying where reads that of `root`, until the block ends."""
    with mock.patch.object(load_cluster, "__defaults__", (root,)):
        yield


def document(path: Path) -> dict[str, Any]:
    """A cluster's file, to be changed and written back."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found
