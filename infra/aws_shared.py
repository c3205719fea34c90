"""What the clusters on AWS share: image repositories, caches of other registries, and the data and model buckets."""

import pulumi

import providers
from aws import bucket_policies, naming
from aws.owner import Owner
from components.container_registry import ContainerRegistry, ContainerRegistryArgs
from components.object_store import BucketArgs, ObjectStore, ObjectStoreArgs, RetentionArgs
from settings import AwsShared, AwsStage, Paths, SettingsError, load_cluster


def compose(cluster: AwsShared, paths: Paths) -> None:
    """Register the stack's resources. Raises SettingsError before the first when a stage's file is wrong."""
    owner = Owner(cluster.name, cluster.account, cluster.region)
    others = other_accounts(cluster)
    on_aws = pulumi.ResourceOptions(providers=[providers.aws_account(cluster)])
    registry = ContainerRegistry(
        "registry",
        ContainerRegistryArgs(
            owner=owner,
            repositories=cluster.repositories,
            upstreams=cluster.pull_through,
            other_accounts=others,
            untagged_days=cluster.retention.untagged_image_days,
            protect=cluster.protect,
        ),
        on_aws,
    )
    data, models = cluster.buckets.data, cluster.buckets.models
    store = ObjectStore(
        "object-store",
        ObjectStoreArgs(
            buckets={
                # Runners write what they trained from and with; clusters only read what was released.
                "data": BucketArgs(data, bucket_policies.of_accounts(data, writers=others)),
                "models": BucketArgs(models, bucket_policies.of_accounts(models, readers=others)),
            },
            protect=cluster.protect,
            retention=RetentionArgs(cluster.retention.old_version_days, cluster.retention.unfinished_upload_days),
            tags=owner.tags("object-store"),
        ),
        on_aws,
    )
    pulumi.export("registry_host", naming.registry_host(cluster.account, cluster.region))
    pulumi.export("repository_urls", registry.repository_urls)
    pulumi.export("bucket_names", store.bucket_names)
    pulumi.export("bucket_arns", store.bucket_arns)


def other_accounts(cluster: AwsShared) -> list[str]:
    """The accounts of the stages' clusters that are not the stack's own. Raises SettingsError."""
    return sorted({stage_account(name) for name in cluster.stages} - {cluster.account})


def stage_account(name: str) -> str:
    """The account of one stage's cluster. Raises SettingsError."""
    stage = load_cluster(name)
    if not isinstance(stage, AwsStage):
        raise SettingsError(f"clusters/{name}/cluster.yaml: provider: is {stage.provider!r}; a stage on AWS has aws")
    return stage.account
