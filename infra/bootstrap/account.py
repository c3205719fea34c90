"""One AWS account: which clusters are in it, where their state lies, and what must be there before them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

from aws import grants, iam_documents, naming, trust
from aws.iam_documents import Statement
from aws.owner import Owner
from bootstrap import boundary, deploy, preview
from bootstrap.state import State
from components.ci_trust import Boundary, CiRole, CiTrust, CiTrustArgs
from components.state_store import StateStore, StateStoreArgs
from settings import ROOT, AwsShared, AwsStage, SettingsError, cluster_names, load_cluster

AwsCluster = AwsShared | AwsStage
# The environment of the release's job (`.github/workflows/release.yml`).
RELEASE = "release"
# The name by which what is made here is tagged.
NAME = "bootstrap"


@dataclass(frozen=True)
class Account:
    """`clusters`: those in the account. `shared`: the stack that they share, wherever it is. `visitors`: those of other
    accounts whose state it keeps.
    """

    number: str
    shared: AwsShared
    region: str
    repository: str
    clusters: Sequence[AwsCluster]
    visitors: Sequence[AwsStage]
    state: State

    @property
    def keeps_state(self) -> bool:
        return self.state.account == self.number


def load(number: str, root: Path = ROOT) -> Account:
    """What the cluster files under `root` say of an account. Raises SettingsError."""
    every = [cluster for name in cluster_names(root) if (cluster := load_cluster(name, root)).provider != "local"]
    clusters = [one for one in every if isinstance(one, AwsShared | AwsStage) and one.account == number]
    if not clusters:
        known = ", ".join(sorted({one.account for one in every if isinstance(one, AwsShared | AwsStage)})) or "none"
        raise SettingsError(
            f"{number}: no cluster file under clusters/ names this account; name the stack after one of: {known}"
        )
    shared = _shared(clusters[0], root)
    if strangers := [one.name for one in clusters if _shared(one, root) != shared]:
        raise SettingsError(
            f"clusters/{strangers[0]}/cluster.yaml: account: {number} already has the clusters of {shared.name};"
            " give each platform an account of its own"
        )
    stages = [one for one in every if isinstance(one, AwsStage) and one.shared == shared.name]
    return Account(
        number=number,
        shared=shared,
        region=shared.region,
        repository=stages[0].forge.claim,
        clusters=clusters,
        visitors=[one for one in stages if one.account != shared.account] if shared.account == number else [],
        state=State(shared.account, shared.region, shared.name),
    )


def _shared(cluster: AwsCluster, root: Path) -> AwsShared:
    found = cluster if isinstance(cluster, AwsShared) else load_cluster(cluster.shared, root)
    assert isinstance(found, AwsShared)  # load_cluster has refused any other
    return found


def compose(account: Account) -> None:
    """Register the account's resources, and export what Pulumi is to be told."""
    owner = Owner(NAME, account.number, account.region)
    provider = aws.Provider("aws", region=account.region, allowed_account_ids=[account.number])
    options = pulumi.ResourceOptions(providers=[provider])
    if account.keeps_state:
        visitors = {one.name: one.account for one in account.visitors}
        StateStore(
            "state",
            StateStoreArgs(
                owner=owner,
                bucket=account.state.bucket,
                alias=naming.state_key_alias(),
                bucket_policy=account.state.bucket_policy(visitors),
                key_policy=account.state.key_policy(visitors),
            ),
            options,
        )
    CiTrust(
        "ci",
        CiTrustArgs(
            owner=owner,
            boundaries=boundaries(account),
            roles=roles(account),
        ),
        options,
    )
    pulumi.export("backend", f"s3://{account.state.bucket}?region={account.state.region}")
    pulumi.export(
        "roles", {key: naming.role_arn(account.number, role.name) for key, role in sorted(roles(account).items())}
    )


def boundaries(account: Account) -> dict[str, Boundary]:
    """The boundaries of the roles that stacks make: one for each of the account's clusters, and the one from before."""
    old = boundary.account_policy(account.clusters, account.shared, account.state)
    # IAM changes no description: with another one the policy would be made anew, while roles still have it.
    found = {"": Boundary(naming.account_boundary(), "The most that any role of the platform's stacks may do", old)}
    for cluster in account.clusters:
        found[cluster.name] = Boundary(
            name=naming.boundary(cluster.name),
            description=f"The most that any role of the stack {cluster.name} may do",
            policy=boundary.policy(cluster, account.shared, account.state),
        )
    return found


def roles(account: Account) -> dict[str, CiRole]:
    """The roles of CI in the account, by `preview` or the environment that they are for: one for each of its clusters,
    and beside what all share the one that releases.
    """
    stacks = [one.name for one in account.clusters]
    found = {
        "preview": CiRole(
            name=naming.preview_role(),
            description="Previews infrastructure for pull requests; changes nothing",
            trust=trust.policy(account.number, trust.pull_requests(account.repository)),
            policies={"describe": preview.policy(), "state": account.state.reader(stacks)},
        )
    }
    if account.shared in account.clusters:
        found[RELEASE] = CiRole(
            name=naming.release_role(),
            description="Publishes models and their images",
            trust=trust.policy(account.number, trust.environment(account.repository, RELEASE)),
            policies={"publish": iam_documents.document(*_publish(account.shared))},
        )
    for cluster in account.clusters:
        found[cluster.name] = CiRole(
            name=naming.deploy_role(cluster.name),
            description=f"Applies the stack {cluster.name}",
            trust=trust.policy(account.number, trust.environment(account.repository, cluster.name)),
            policies={**deploy.policies(cluster), "state": account.state.writer(cluster.name)},
        )
    return found


def _publish(shared: AwsShared) -> list[Statement]:
    data, models = (f"arn:aws:s3:::{name}" for name in (shared.buckets.data, shared.buckets.models))
    return grants.release(data, models, Owner(shared.name, shared.account, shared.region))
