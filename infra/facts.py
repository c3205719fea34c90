"""What a cluster's workloads and tools are told about it, as environment variables and as object metadata.

Runner pods get these variables from a ConfigMap and a person's shell from `scripts/env`, so a script finds the same
names in both.
"""

from settings import DOMAIN, LocalCluster

# On clusters that run the platform's own services; apps go by the stages' labels.
CLUSTER_ROLE = f"{DOMAIN}/cluster"
REPO_URL = f"{DOMAIN}/repo-url"
REGISTRY = f"{DOMAIN}/registry"
IMAGES = f"{DOMAIN}/images"
FOLLOWS_MAIN = f"{DOMAIN}/follows-main"
POOLS = f"{DOMAIN}/pools"


def stage_label(stage: str) -> str:
    """The cluster Secret's label that says it hosts `stage`."""
    return f"stage.{DOMAIN}/{stage}"


def variables(cluster: LocalCluster) -> dict[str, str]:
    """The facts that jobs and tools need, by environment variable."""
    return {
        # Stores other than AWS do not know the checksums that AWS's SDKs send by default.
        "AWS_REQUEST_CHECKSUM_CALCULATION": "WHEN_REQUIRED",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "WHEN_REQUIRED",
        "AWS_REGION": cluster.object_store.region,
        "DATA_BUCKET": cluster.object_store.data_bucket,
        **forge(cluster),
        "MODELS_BUCKET": cluster.object_store.models_bucket,
        "OBJECT_STORE_ENDPOINT": cluster.object_store.endpoint,
        "REGISTRY_HOST": cluster.registry.host,
    }


def forge(cluster: LocalCluster) -> dict[str, str]:
    """Which repository on which forge: all that the bot is told."""
    return {
        "FORGE_KIND": cluster.forge.kind,
        "FORGE_REPOSITORY": cluster.forge.repository,
        "FORGE_URL": cluster.forge.url,
    }
