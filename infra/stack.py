"""Makes a stack ready for the command line: plugins, backend, stack file, and what a killed run left behind."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

import aws_state
import host
import locks
from environment import TEST_SET_PROFILE, environment
from mlplatform.plugins.record import Record
from plugins import install
from settings import PROJECT, ROOT, AnyCluster, Cluster, LocalCluster, Paths, SettingsError

ARGOCD = "argocd"


def prepare(
    cluster: AnyCluster,
    paths: Paths,
    report: Callable[[str], None],
    root: Path = ROOT,
    plugins: str | None = None,
) -> dict[str, str]:
    """Make plain `pulumi` commands work for `cluster` from `root`; instant when they do already.

    `plugins` is `official` or `offline` where somebody asked for these. Returns the variables that those commands need,
    added to this process's own. Raises SettingsError.
    """
    if not isinstance(cluster, LocalCluster):
        return aws_state.prepare(cluster, paths, report, root, plugins=plugins)
    variables = {**os.environ, **environment(cluster, paths)}
    paths.secret("pulumi-passphrase")
    record = Record(variables, root)
    install.install(paths, variables, report, asked=plugins, remembered=record.read)
    paths.pulumi.mkdir(mode=0o700, parents=True, exist_ok=True)
    _link_stack_file(cluster, paths, root)
    _write_aws_files(cluster, paths)
    _write_argocd_context(cluster, paths)
    host.keep_egress(paths)
    checkpoint = paths.pulumi / ".pulumi" / "stacks" / PROJECT / f"{cluster.name}.json"
    _restore(checkpoint, report)
    if not checkpoint.is_file():
        _run(["stack", "init", cluster.name, "--secrets-provider", "passphrase", "--no-select"], variables, root)
        record.write(install.plugins(paths))
    if _abandoned(paths.pulumi / ".pulumi" / "locks" / "organization" / PROJECT / cluster.name):
        report(f"Releasing the lock on stack {cluster.name} that a killed run left")
        _run(["cancel", "--yes"], variables, root)
    return variables


def _link_stack_file(cluster: Cluster, paths: Paths, root: Path) -> None:
    """Keep the stack file, which holds the passphrase's salt, with the state it belongs to and out of the checkout."""
    link, target = root / "clusters" / f"Pulumi.{cluster.name}.yaml", paths.pulumi / f"Pulumi.{cluster.name}.yaml"
    if link.is_symlink() and link.readlink() == target:
        return
    if link.exists() and not link.is_symlink():
        raise SettingsError(f"clusters/{link.name}: must be a link to {target}; move the file there or remove it")
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)


def _write_aws_files(cluster: Cluster, paths: Paths) -> None:
    """Where S3 tools find the store, and the credentials: `default` reads and writes data sets, `TEST_SET_PROFILE` what
    models are measured on."""
    store, config, credentials = cluster.object_store, "", ""
    # The two files name all profiles but the first in ways of their own.
    for head, profile, account in (
        ("default", "default", "data"),
        (f"profile {TEST_SET_PROFILE}", TEST_SET_PROFILE, "test-set"),
    ):
        config += f"[{head}]\nregion = {store.region}\nendpoint_url = {store.endpoint}\n"
        key = paths.secret(f"s3-{account}-secret-key")
        credentials += f"[{profile}]\naws_access_key_id = {account}\naws_secret_access_key = {key}\n"
    _write(paths.aws_config, config)
    _write(paths.aws_credentials, credentials)


def _write_argocd_context(cluster: Cluster, paths: Paths) -> None:
    """The current context of a shell: Argo CD's namespace, because `argocd --core` looks nowhere else."""
    try:
        admin = yaml.safe_load(paths.kubeconfig.read_text(encoding="utf-8"))
        context = {"cluster": admin["clusters"][0]["name"], "user": admin["users"][0]["name"], "namespace": ARGOCD}
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError):
        return  # there is no cluster yet; what needs one says so
    contexts = [{"name": cluster.name, "context": context}]
    document = {"apiVersion": "v1", "kind": "Config", "contexts": contexts, "current-context": cluster.name}
    _write(paths.argocd_context, json.dumps(document) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file for this user only, when it differs."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _restore(checkpoint: Path, report: Callable[[str], None]) -> None:
    """Put the last whole checkpoint back where a power cut left half of one."""
    if not checkpoint.is_file() or _is_json(checkpoint):
        return
    backup = checkpoint.with_name(f"{checkpoint.name}.bak")
    if not _is_json(backup):
        raise SettingsError(
            f"{checkpoint}: is damaged and has no whole backup; restore it, or run scripts/down --purge"
        )
    report(f"Restoring {checkpoint.name} from its backup: a power cut or a full disk left half of it")
    partial = checkpoint.with_name(f".{checkpoint.name}.{os.getpid()}")
    shutil.copyfile(backup, partial)
    partial.replace(checkpoint)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _abandoned(folder: Path) -> bool:
    """Whether the stack is locked, and every process that locked it is gone."""
    held = locks.in_folder(folder)
    return bool(held) and all(lock.abandoned for lock in held)


def _run(arguments: list[str], variables: dict[str, str], root: Path) -> None:
    command = ["pulumi", *arguments, "--non-interactive", "--stack", variables["PULUMI_STACK"]]
    if arguments[:2] == ["stack", "init"]:
        command = command[:-2]  # names the stack itself
    done = subprocess.run(command, env=variables, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise SettingsError(f"pulumi {' '.join(arguments)} failed:\n{(done.stderr or done.stdout).strip()}")
