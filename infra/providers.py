"""The providers that a cluster's components use. Default ones are disabled, so each component is handed its own."""

import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from settings import AwsShared, AwsStage, LocalCluster, Paths

# The official provider would delete a ConfigMap or Secret whose data changes, and make another: what Argo CD keeps in
# its own would be lost, and jobs that start meanwhile would find none.
CHANGED_IN_PLACE = {"enable_config_map_mutable": True, "enable_secret_mutable": True}


def object_store(cluster: LocalCluster, paths: Paths) -> aws.Provider:
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


def objects(cluster: LocalCluster, paths: Paths) -> kubernetes.Provider:
    """The objects of the cluster itself."""
    return kubernetes.Provider(
        "cluster",
        kubeconfig=str(paths.kubeconfig),
        # Or a renewed client certificate would replace the provider, and with it every object.
        cluster_identifier=cluster.name,
        **CHANGED_IN_PLACE,
    )


def aws_account(cluster: AwsStage | AwsShared) -> aws.Provider:
    """The cluster's account, with whatever credentials the environment has; those of another account are refused."""
    return aws.Provider("aws", region=cluster.region, allowed_account_ids=[cluster.account])


def eks(
    cluster: AwsStage,
    name: str,
    endpoint: pulumi.Input[str],
    certificate_authority: pulumi.Input[str],
    opts: pulumi.ResourceOptions | None = None,
) -> kubernetes.Provider:
    """The objects of an EKS cluster: `name` is its name at AWS, `certificate_authority` PEM in base64."""
    return kubernetes.Provider(
        "cluster",
        kubeconfig=pulumi.Output.all(endpoint, certificate_authority).apply(
            lambda known: eks_kubeconfig(name, cluster.region, *known)
        ),
        cluster_identifier=name,
        opts=opts,
        **CHANGED_IN_PLACE,
    )


def eks_kubeconfig(name: str, region: str, endpoint: str, certificate_authority: str) -> str:
    """A kubeconfig without a credential in it: the AWS CLI makes a token of who asks."""
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"],
        "interactiveMode": "Never",
        "installHint": "install the AWS CLI, version 2",
    }
    context = {"name": name, "context": {"cluster": name, "user": name}}
    server = {"server": endpoint, "certificate-authority-data": certificate_authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "users": [{"name": name, "user": {"exec": command}}],
        "contexts": [context],
        "current-context": name,
    }
    return json.dumps(document, sort_keys=True)
