"""The providers that a cluster's components use. Default ones are disabled, so each component is handed its own."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from settings import Cluster, Paths


def object_store(cluster: Cluster, paths: Paths) -> aws.Provider:
    """S3 on the cluster's own store, with the access key that may administer its buckets."""
    store = cluster.object_store
    return aws.Provider(
        "object-store",
        region=store.region,
        access_key="pulumi",
        secret_key=pulumi.Output.secret(paths.secret("s3-pulumi-secret-key")),
        endpoints=[aws.ProviderEndpointArgs(s3=store.endpoint)],
        s3_use_path_style=True,
        # There is no AWS behind this endpoint to ask who we are.
        skip_credentials_validation=True,
        skip_metadata_api_check=True,
        skip_requesting_account_id=True,
    )


def objects(cluster: Cluster, paths: Paths) -> kubernetes.Provider:
    """The objects of the cluster itself."""
    return kubernetes.Provider(
        "cluster",
        kubeconfig=str(paths.kubeconfig),
        # Or a renewed client certificate would replace the provider, and with it every object.
        cluster_identifier=cluster.name,
    )
