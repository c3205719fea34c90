"""Makes a stack on AWS ready for the command line.

Its state lies in S3, its secrets under KMS, its settings in the checkout. Where AWS is emulated, secrets are under a
passphrase and the settings are a copy under the state directory, so that the checkout stays as it is.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from aws import emulation, naming
from environment import emulated_stack_file, environment, state_account
from mlplatform.plugins.record import Record
from plugins import install
from settings import PROJECT, ROOT, AwsShared, AwsStage, Paths, SettingsError

AwsCluster = AwsStage | AwsShared


class NoStack(SettingsError):
    """The stack has no state: nobody has made it yet."""


# Settings that say how secrets are encrypted; an emulated stack has its own.
ENCRYPTION = ("secretsprovider", "encryptedkey", "encryptionsalt")
SECONDS = 120


def prepare(
    cluster: AwsCluster,
    paths: Paths,
    report: Callable[[str], None],
    root: Path = ROOT,
    *,
    base: Mapping[str, str] = os.environ,
    create: bool = True,
    plugins: str | None = None,
) -> dict[str, str]:
    """Make plain `pulumi` commands work for `cluster` from `root`; the stack is made where there is none and `create`.

    `plugins` is `official` or `offline` where somebody asked for these. Returns the whole environment that those
    commands need: `base` and the stack's variables. Raises SettingsError.
    """
    variables = {**base, **environment(cluster, paths, base, root)}
    record = Record(variables, root)
    install.install(paths, variables, report, asked=plugins, remembered=record.read)
    if emulation.endpoint(base):
        _copy_stack_file(cluster.name, paths, root)
    if not exists(cluster, variables, root):
        if not create:
            raise NoStack(f"stack {cluster.name} does not exist yet: scripts/up --environment {cluster.name} makes it")
        report(f"Making the stack {cluster.name}")
        _init(cluster, paths, variables, root)
        record.write(install.plugins(paths))
    elif not emulation.endpoint(base):
        _require_stack_file(cluster.name, root)
    return variables


def exists(cluster: AwsCluster, variables: Mapping[str, str], root: Path = ROOT) -> bool:
    """Whether the backend has the stack. Raises SettingsError when it cannot be asked."""
    account = state_account(cluster, root)
    bucket, key = naming.state_bucket(account), f".pulumi/stacks/{PROJECT}/{cluster.name}.json"
    try:
        # One page is enough: beside the state, in whatever compression, there is only its backup.
        found = client("s3", variables).list_objects_v2(Bucket=bucket, Prefix=key)
    except NoCredentialsError:
        raise SettingsError(
            f"there are no AWS credentials here; log in to account {cluster.account}, for example with aws sso login"
        ) from None
    except ClientError as error:
        match error.response.get("ResponseMetadata", {}).get("HTTPStatusCode"):
            case 404:
                raise SettingsError(
                    f"s3://{bucket}: there is no such bucket; it is made once an account, as infra/bootstrap describes"
                    f" (account {account})"
                ) from None
            case 403:
                raise SettingsError(
                    f"s3://{bucket}: access is denied; log in to a role of account {account} that may read the state"
                ) from None
            case status:
                raise SettingsError(f"s3://{bucket}: cannot be read (status {status}); try again") from None
    except BotoCoreError as error:
        raise SettingsError(f"s3://{bucket}: cannot be read ({error}); check the network and the credentials") from None
    states = {f"{key}{compression}" for compression in ("", ".zst", ".gz")}
    return any(one["Key"] in states for one in found.get("Contents", []))


def client(service: str, variables: Mapping[str, str]) -> Any:
    """A client of one AWS service with the credentials and the endpoint that `variables` name."""
    session = boto3.Session(
        aws_access_key_id=variables.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=variables.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=variables.get("AWS_SESSION_TOKEN"),
        region_name=variables.get("AWS_REGION"),
    )
    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=60)
    return session.client(service, endpoint_url=variables.get(emulation.VARIABLE) or None, config=config)


def _require_stack_file(stack: str, root: Path) -> None:
    """A stack whose settings are lost would be given another key, and its secrets with it."""
    path = root / "clusters" / f"Pulumi.{stack}.yaml"
    if not (_read(path).get("secretsprovider")):
        raise SettingsError(f"clusters/{path.name}: has no secretsprovider; restore it with git")


def _init(cluster: AwsCluster, paths: Paths, variables: Mapping[str, str], root: Path) -> None:
    folder, provider = root, naming.secrets_provider(cluster.name, state_account(cluster, root), cluster.region)
    if emulation.endpoint(variables):
        # `stack init` writes the settings beside the project that it finds, so it is shown another one.
        folder, provider = emulated_stack_file(cluster.name, paths).parent, "passphrase"
        project = {"name": PROJECT, "runtime": "python"}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
    command = ["pulumi", "stack", "init", cluster.name, "--secrets-provider", provider, "--no-select"]
    try:
        done = subprocess.run(
            [*command, "--non-interactive"],
            env=dict(variables),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise SettingsError(f"pulumi stack init took longer than {SECONDS} s; check the network") from None
    if done.returncode:
        raise SettingsError(f"pulumi stack init {cluster.name} failed: {(done.stderr or done.stdout).strip()}")


def _copy_stack_file(stack: str, paths: Paths, root: Path) -> None:
    """The settings of an emulated stack: the checkout's, with its own encryption and without others' secrets."""
    path = emulated_stack_file(stack, paths)
    original, copy = _read(root / "clusters" / f"Pulumi.{stack}.yaml"), _read(path)
    settings = {key: value for key, value in original.items() if key not in ENCRYPTION}
    if config := settings.pop("config", None):
        settings["config"] = {key: value for key, value in config.items() if not _is_secret(value)}
    if salt := copy.get("encryptionsalt"):
        settings["encryptionsalt"] = salt
    if settings != copy or not path.is_file():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and "secure" in value


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{path.name}: cannot be read ({error}); restore it with git") from None
    if found is not None and not isinstance(found, dict):
        raise SettingsError(f"{path.name}: is not a mapping; restore it with git")
    return found or {}
