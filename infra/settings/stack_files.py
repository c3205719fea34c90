"""Checks `clusters/Pulumi.<stack>.yaml` of the stacks on AWS: how secrets are encrypted, the secrets, and nothing else.

The facts of a cluster are in its cluster file, where every tool reads them. The file of stack `local` is made on each
machine and is none of this module's business.
"""

import base64
import binascii
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from aws import naming
from settings.aws import AwsStage
from settings.aws_shared import AwsShared
from settings.documents import read
from settings.errors import SettingsError
from settings.files import load_cluster
from settings.messages import problems
from settings.paths import PROJECT, ROOT
from settings.section import Section

# What a stage's program asks Pulumi's configuration for.
SECRETS = (f"{PROJECT}:forgeToken", f"{PROJECT}:webhookSecret")
# The form of Pulumi's symmetric encryption: version, nonce and text.
CIPHERTEXT = re.compile(r"v1:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+")


class StackFile(Section):
    secretsprovider: str
    encryptedkey: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)


def check_stack_file(name: str, root: Path = ROOT) -> None:
    """Check the stack file of cluster `name` under `root`. Raises SettingsError for the first mistake."""
    cluster = load_cluster(name, root)
    if isinstance(cluster, AwsStage):
        shared = load_cluster(cluster.shared, root)
        account = shared.account if isinstance(shared, AwsShared) else cluster.account
        provider = naming.secrets_provider(name, account, cluster.region)
        _check(name, provider, SECRETS, root)
    elif isinstance(cluster, AwsShared):
        _check(name, naming.secrets_provider(name, cluster.account, cluster.region), (), root)


def _check(name: str, provider: str, secrets: tuple[str, ...], root: Path) -> None:
    shown = f"clusters/Pulumi.{name}.yaml"
    path = root / shown
    if not path.is_file():
        raise SettingsError(f"{shown}: is missing; write into it  secretsprovider: {provider}")
    document = read(path, shown)
    if not isinstance(document, dict):
        raise SettingsError(f"{shown}: must be a mapping; write into it  secretsprovider: {provider}")
    for problem in (
        _passphrase(document, provider)
        or _cloud(document)
        or _form(document)
        or _encryption(document, provider)
        or _config(name, document, secrets)
    ):
        raise SettingsError(f"{shown}: {problem}")


Problems = list[str]


def _passphrase(document: dict[str, Any], provider: str) -> Problems:
    if document.get("secretsprovider") == "passphrase":
        return [f"secretsprovider: a passphrase would be one more secret to keep; write {provider}"]
    if "encryptionsalt" in document:
        return [f"encryptionsalt: is a passphrase's; remove it, and write  secretsprovider: {provider}"]
    return []


def _cloud(document: dict[str, Any]) -> Problems:
    if "environment" in document:
        return ["environment: needs Pulumi Cloud, and the state is in a bucket; remove it"]
    return []


def _form(document: dict[str, Any]) -> Problems:
    try:
        StackFile.model_validate(document)
    except ValidationError as error:
        return problems(error, StackFile, "clusters/Pulumi.dev.yaml")
    return []


def _encryption(document: dict[str, Any], provider: str) -> Problems:
    if document["secretsprovider"] != provider:
        return [f"secretsprovider: {document['secretsprovider']!r} is not this stack's key; write {provider}"]
    if "encryptedkey" not in document:
        return []
    try:
        whole = bool(base64.b64decode(document["encryptedkey"] or "", validate=True))
    except binascii.Error:
        whole = False
    return [] if whole else ["encryptedkey: is not what Pulumi wrote; restore it with git, or no secret can be read"]


def _config(name: str, document: dict[str, Any], secrets: tuple[str, ...]) -> Problems:
    for key, value in document.get("config", {}).items():
        where = f"config.{key}"
        if key not in secrets:
            known = f"; only {', '.join(secrets)} belong here" if secrets else ""
            return [f"{where}: facts live in clusters/{name}/cluster.yaml; remove it{known}"]
        if _kind(value) == "plain":
            # Not the value: it is a secret.
            return [f"{where}: is plain text; revoke it, and set a new one with  pulumi config set --secret {key}"]
        if _kind(value) == "unknown":
            return [f"{where}: is not what Pulumi wrote; set it with  pulumi config set --secret {key}"]
        if "encryptedkey" not in document:
            return [f"encryptedkey: is missing, and {key} cannot be read without it; restore it with git"]
    return []


def _kind(value: Any) -> Literal["secret", "plain", "unknown"]:
    if not isinstance(value, dict):
        return "plain"
    text = value.get("secure")
    return "secret" if set(value) == {"secure"} and isinstance(text, str) and CIPHERTEXT.fullmatch(text) else "unknown"
