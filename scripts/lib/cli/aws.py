"""An environment on AWS as the verbs see it: whose credentials there are, its stack, and the way into its cluster."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

import aws_state
from aws import eks_access, emulation, naming
from cli import pulumi
from cli.failure import BadInput, Failure
from cli.kube import Kubectl
from cli.steps import Context
from environment import environment, kubeconfig
from settings import ROOT, AwsShared, AwsStage, Paths, load_cluster

# What finds AWS, and is no credential.
ADDRESS = (emulation.VARIABLE, "AWS_PROFILE")
AGAIN = "run it again: it goes on from where it stopped"


def load(name: str, root: Path = ROOT) -> AwsStage | AwsShared:
    """The facts of an environment on AWS. Raises BadInput for one that is not there, SettingsError."""
    cluster = load_cluster(name, root)
    if isinstance(cluster, AwsStage | AwsShared):
        return cluster
    raise BadInput(
        f"clusters/{name}/cluster.yaml: provider: is {cluster.provider!r}, which is not on AWS",
        f"leave out --environment {name}: scripts/up sets up this machine",
    )


@dataclass(frozen=True)
class Environment:
    """One stack on AWS. `base` is the caller's environment, with the credentials that he chose; `plugins` is `official`
    or `offline` where he asked for these."""

    cluster: AwsStage | AwsShared
    paths: Paths
    base: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    root: Path = ROOT
    plugins: str | None = None

    def beside(self, name: str) -> "Environment":
        """Another environment of the same checkout, seen by the same caller. Raises SettingsError."""
        return replace(self, cluster=load(name, self.root))

    @cached_property
    def variables(self) -> dict[str, str]:
        """A whole environment for plain `pulumi`; nothing is made for it yet. Raises SettingsError."""
        return {**self.base, **environment(self.cluster, self.paths, self.base, self.root)}

    def client(self, service: str) -> Any:
        """A client of an AWS service."""
        return aws_state.client(service, self.variables)

    def check_credentials(self) -> str:
        """Who is asking, as an ARN. Raises BadInput unless it is somebody of the environment's own account."""
        login = f"log in to account {self.cluster.account}, for example with aws sso login and AWS_PROFILE"
        try:
            caller = self.client("sts").get_caller_identity()
        except NoCredentialsError:
            raise BadInput("there are no AWS credentials here", login) from None
        except (ClientError, BotoCoreError) as error:
            raise BadInput(f"the AWS credentials here do not work: {error}", login) from None
        if caller["Account"] != self.cluster.account:
            raise BadInput(
                f"the AWS credentials here are of account {caller['Account']}, and {self.cluster.name} is in"
                f" {self.cluster.account}",
                login,
            )
        return str(caller["Arn"])

    def prepare(self, say: Callable[[str], None], create: bool) -> dict[str, str]:
        """Make `pulumi` work on the stack, which is made where there is none and `create`; returns the environment
        that pulumi needs. Raises SettingsError.
        """
        return aws_state.prepare(
            self.cluster, self.paths, say, self.root, base=self.base, create=create, plugins=self.plugins
        )

    def exists(self) -> bool:
        """Whether the stack has a state. Raises SettingsError."""
        return aws_state.exists(self.cluster, self.variables, self.root)

    def pulumi(self, context: Context, command: tuple[str, ...], variables: Mapping[str, str]) -> str:
        """Run a long pulumi command with its progress; returns what it says of resources. Raises Failure."""
        return pulumi.run(context, command, variables, self.root, AGAIN)

    def eks(self) -> dict[str, Any] | None:
        """What EKS says of the cluster, None where there is none. Raises Failure."""
        client = self.client("eks")
        try:
            found: dict[str, Any] = client.describe_cluster(name=naming.cluster(self.cluster.name))["cluster"]
        except client.exceptions.ResourceNotFoundException:
            return None
        except (ClientError, BotoCoreError) as error:
            raise Failure(f"EKS cannot be asked for the cluster: {error}", "check your credentials") from None
        return found if found.get("endpoint") else None

    def kubectl(self, found: Mapping[str, Any]) -> Kubectl:
        """kubectl for the cluster that EKS describes, with the caller's credentials."""
        return Kubectl(self.paths, self.write_kubeconfig(found), self.variables)

    def write_kubeconfig(self, found: Mapping[str, Any]) -> Path:
        """Write the cluster's kubeconfig, which holds no credential; returns where it lies."""
        address = {name: self.variables[name] for name in ADDRESS if self.variables.get(name)}
        document = eks_access.kubeconfig(self.cluster.name, found, self.cluster.region, address)
        path = kubeconfig(self.cluster.name, self.paths)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        return path
