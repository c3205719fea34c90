"""`scripts/ci/login STACK preview|deploy COMMAND ...`: run a command with credentials for one stack's account.

On GitHub the job's own identity (OIDC) is exchanged for an hour of the role that the stack's account keeps for it;
there is no key to store. On a forge that has an emulator in place of AWS (`AWS_ENDPOINT_URL`, a variable of the
repository), the emulator's are used. Credentials exist in the command's environment only: in no file, never printed.

https://docs.github.com/en/actions/reference/security/oidc
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

import os
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Literal

import boto3
import httpx
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from aws import emulation, naming
from ci.failure import Failure, run
from settings import AwsShared, AwsStage, SettingsError, load_cluster

Purpose = Literal["preview", "deploy"]
AwsCluster = AwsShared | AwsStage
AUDIENCE = "sts.amazonaws.com"
SECONDS = 3600
REQUEST_URL, REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"


class Source(Enum):
    """Where a job's AWS credentials come from."""

    OIDC = "GitHub's OIDC"
    EMULATOR = "an emulator"
    NONE = "nowhere"


def source(variables: Mapping[str, str] = os.environ) -> Source:
    """Where credentials come from here. Raises `Failure` for an emulator's address that can be none."""
    try:
        if emulation.endpoint(variables):
            return Source.EMULATOR
    except SettingsError as error:
        raise Failure(str(error)) from None
    return Source.OIDC if variables.get(REQUEST_URL) and variables.get(REQUEST_TOKEN) else Source.NONE


def environment(
    cluster: AwsCluster, purpose: Purpose, variables: Mapping[str, str] = os.environ, sts: str | None = None
) -> dict[str, str]:
    """A whole environment for one stack: `variables` with its credentials in place of any others.

    Args:
        cluster: the stack's facts, which name account and region.
        purpose: `preview` reads; `deploy` changes, and only a job of the stack's protected environment gets it.
        variables: the job's own environment.
        sts: the address of the token service, where it is not AWS's own.

    Raises:
        Failure: there is nowhere to get credentials from, or they were refused.
    """
    match source(variables):
        case Source.EMULATOR:
            found = {**emulation.credentials(cluster.account), emulation.VARIABLE: variables[emulation.VARIABLE]}
        case Source.OIDC:
            name = naming.preview_role() if purpose == "preview" else naming.deploy_role(cluster.name)
            found = _assume(naming.role_arn(cluster.account, name), cluster.region, _identity(variables), sts)
        case Source.NONE:
            raise Failure(
                f"no AWS credentials for {cluster.name}: on GitHub give the job `id-token: write`; elsewhere set the"
                f" repository's Actions variable {emulation.VARIABLE} to an emulator"
            )
    # A runner's own credentials are for its object store, and what runs next has no use for the job's identity.
    kept = {
        name: value
        for name, value in variables.items()
        if not name.startswith("AWS_") and name not in (REQUEST_URL, REQUEST_TOKEN)
    }
    return {**kept, **found, "AWS_REGION": cluster.region, "AWS_DEFAULT_REGION": cluster.region}


def _identity(variables: Mapping[str, str]) -> str:
    """The job's signed identity. Raises `Failure`."""
    headers = {"Authorization": f"bearer {variables[REQUEST_TOKEN]}", "Accept": "application/json"}
    try:
        transport = httpx.HTTPTransport(retries=3)
        with httpx.Client(transport=transport, timeout=30) as client:
            answer = client.get(variables[REQUEST_URL], params=_audience(variables[REQUEST_URL]), headers=headers)
            answer.raise_for_status()
            return str(answer.json()["value"])
    except httpx.HTTPStatusError as error:
        raise Failure(f"GitHub refused the job's identity token: status {error.response.status_code}") from None
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"GitHub's identity token could not be had: {type(error).__name__}: {error}") from None


def _audience(url: str) -> dict[str, str]:
    """The address's own parameters and the audience; httpx would replace the first by the second."""
    return {**httpx.URL(url).params, "audience": AUDIENCE}


def _assume(role: str, region: str, identity: str, sts: str | None) -> dict[str, str]:
    config = Config(signature_version=UNSIGNED, retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10)
    client = boto3.Session().client("sts", region_name=region, endpoint_url=sts, config=config)
    try:
        answer = client.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="ml-platform", WebIdentityToken=identity, DurationSeconds=SECONDS
        )
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise Failure(
            f"AWS refused role {role} ({code}): run infra/bootstrap in that account, and check that the role trusts"
            " this repository and environment"
        ) from None
    except BotoCoreError as error:
        raise Failure(f"AWS's token service could not be asked for role {role}: {error}") from None
    found = answer["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
    }


def aws_cluster(name: str) -> AwsCluster:
    """The facts of a stack on AWS. Raises `Failure`."""
    try:
        cluster = load_cluster(name)
    except SettingsError as error:
        raise Failure(str(error)) from None
    if not isinstance(cluster, AwsShared | AwsStage):
        raise Failure(f"clusters/{name}/cluster.yaml: provider: is {cluster.provider!r}; there is nothing to log in to")
    return cluster


def main() -> None:
    match sys.argv[1:]:
        case [stack, ("preview" | "deploy") as purpose, command, *arguments]:
            variables = environment(aws_cluster(stack), "deploy" if purpose == "deploy" else "preview")
            sys.stdout.flush()
            try:
                os.execvpe(command, [command, *arguments], variables)  # noqa: S606 - no shell is wanted
            except OSError as error:
                raise Failure(f"{command} cannot be started: {error.strerror}") from None
        case _:
            raise Failure("usage: scripts/ci/login STACK preview|deploy COMMAND [ARGUMENT ...]")


if __name__ == "__main__":
    run(main)
