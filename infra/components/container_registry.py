"""ECR: repositories for the platform's own images, and caches of the registries that the others come from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ecr, iam

from aws import iam_documents
from aws.iam_documents import account_root, allow
from aws.owner import Owner
from aws.pull_through import cached_repositories
from components.role import role

COMPONENT = "container-registry"
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
# What the first pull of a cached image does. https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html
FILL = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
ENCRYPTION = [{"encryption_type": "AES256"}]


@dataclass(frozen=True)
class ContainerRegistryArgs:
    """`upstreams`: hosts of registries; `quay.io/a/b` is cached as `<this registry>/quay.io/a/b`.

    `other_accounts`: who besides the registry's own account may pull.
    """

    owner: Owner
    repositories: Sequence[str]
    upstreams: Sequence[str]
    other_accounts: Sequence[str]
    untagged_days: int
    protect: bool


class ContainerRegistry(pulumi.ComponentResource):
    """Repositories whose tags are never overwritten. `repository_urls` is by name."""

    repository_urls: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ContainerRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:ContainerRegistry", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        ecr.RegistryScanningConfiguration(
            name,
            scan_type="BASIC",
            rules=[
                {
                    "scan_frequency": "SCAN_ON_PUSH",
                    "repository_filters": [{"filter": "*", "filter_type": "WILDCARD"}],
                }
            ],
            opts=self._child,
        )
        self.repository_urls = {repository: self._repository(repository) for repository in args.repositories}
        if args.upstreams:
            creator = self._creator()
            for upstream in args.upstreams:
                self._cache(upstream, creator)
            if args.other_accounts:
                ecr.RegistryPolicy(name, policy=registry_policy(args), opts=self._child)
        self.register_outputs({"repository_urls": self.repository_urls})

    def _repository(self, repository: str) -> pulumi.Output[str]:
        name = f"{self._name}-{repository.replace('/', '-')}"
        made = ecr.Repository(
            name,
            name=repository,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=ENCRYPTION,
            force_delete=False,
            tags=self._args.owner.tags(COMPONENT),
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )
        ecr.LifecyclePolicy(
            name, repository=made.name, policy=lifecycle_policy(self._args.untagged_days), opts=self._child
        )
        if self._args.other_accounts:
            ecr.RepositoryPolicy(
                name, repository=made.name, policy=pull_policy(self._args.other_accounts), opts=self._child
            )
        url: pulumi.Output[str] = made.repository_url
        return url

    def _cache(self, upstream: str, creator: pulumi.Output[str]) -> None:
        name = f"{self._name}-{upstream}"
        template = ecr.RepositoryCreationTemplate(
            name,
            prefix=upstream,
            applied_fors=["PULL_THROUGH_CACHE"],
            description=f"Images of {upstream}",
            # A tag that moves upstream does not reach the clusters.
            image_tag_mutability="IMMUTABLE",
            encryption_configurations=ENCRYPTION,
            lifecycle_policy=lifecycle_policy(self._args.untagged_days),
            repository_policy=pull_policy(self._args.other_accounts) if self._args.other_accounts else None,
            custom_role_arn=creator,
            resource_tags=self._args.owner.tags(COMPONENT),
            opts=self._child,
        )
        ecr.PullThroughCacheRule(
            name,
            ecr_repository_prefix=upstream,
            upstream_registry_url=upstream,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[template]),
        )

    def _creator(self) -> pulumi.Output[str]:
        """The role by which ECR creates cached repositories: with tags they need one.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create-iam.html
        """
        name, owner = f"{self._name}-creator", self._args.owner
        made = role(
            name,
            owner,
            COMPONENT,
            trust=iam_documents.trust("ecr.amazonaws.com"),
            description="ECR creates the repositories of cached images",
            opts=self._child,
        )
        actions = ("ecr:CreateRepository", "ecr:ReplicateImage", "ecr:TagResource")
        cached = cached_repositories(owner.account, owner.region, self._args.upstreams)
        policy = iam_documents.document(allow("CreateCachedRepositories", actions, cached))
        allowed = iam.RolePolicy(name, role=made.name, policy=policy, opts=self._child)
        return pulumi.Output.all(made.arn, allowed.id).apply(lambda values: str(values[0]))


def lifecycle_policy(untagged_days: int) -> str:
    """Images without a tag go after some days; those with one stay, since a manifest may name their digest."""
    rule = {
        "rulePriority": 1,
        "description": "Untagged images",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": untagged_days,
        },
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]}, sort_keys=True)


def pull_policy(accounts: Sequence[str]) -> str:
    """The policy of a repository from which these accounts may pull."""
    # A repository's policy names no resource: it is the one it hangs on.
    return iam_documents.document(allow("Pull", PULL, principals=[account_root(account) for account in accounts]))


def registry_policy(args: ContainerRegistryArgs) -> str:
    """The policy of the registry whose caches the other accounts may fill."""
    principals = [account_root(account) for account in args.other_accounts]
    cached = cached_repositories(args.owner.account, args.owner.region, args.upstreams)
    return iam_documents.document(allow("FillCaches", FILL, cached, principals=principals))
