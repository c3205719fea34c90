"""A stage's cluster on AWS: its network, the cluster, what pods may do, and Argo CD, which brings the rest."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import yaml

import argocd_install
import providers
from aws import cidr, gpu, grants, naming, pull_through
from aws.owner import Owner
from components import argocd as argocd_component
from components import auto_network_policy, cluster_autoscaler, device_plugin, network_policies
from components.argocd import NAMESPACE as ARGOCD
from components.argocd import ArgoCD, ArgoCDArgs
from components.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from components.default_deny import DefaultDeny
from components.eks_cluster import EksCluster, EksClusterArgs
from components.gitops_bridge import GitOpsBridge, GitOpsBridgeArgs
from components.gpu_node_pool import GpuNodePool, GroupArgs, KarpenterArgs
from components.managed_compute import ManagedCompute, ManagedComputeArgs
from components.manifest import Manifest
from components.namespaces import Namespaces, NamespacesArgs
from components.network import Network, NetworkArgs
from components.network_policies import HTTPS, Endpoint
from components.pod_access import PodAccess, PodAccessArgs, PodGrant
from resource_options import after, gone_with
from settings import DOMAIN, PROJECT, ROOT, AwsShared, AwsStage, Paths, SettingsError, load_cluster

RUNNERS = "runner-controller"
EXTERNAL_SECRETS = "external-secrets"
CLASSIFIER = "classifier"  # the app that serves models


@dataclass(frozen=True)
class Stage:
    """What every part of the stack is made from. `registry`, `buckets`: outputs of the stack `shared`."""

    cluster: AwsStage
    shared: AwsShared
    registry: pulumi.Output[str]
    buckets: pulumi.Output[dict[str, str]]

    @property
    def name(self) -> str:
        """The cluster's name at AWS."""
        return naming.cluster(self.cluster.name)

    @property
    def owner(self) -> Owner:
        return Owner(self.cluster.name, self.cluster.account, self.cluster.region)


def compose(cluster: AwsStage, paths: Paths) -> None:
    """Register the stack's resources. Raises SettingsError before the first when something is missing."""
    shared, gpu_nodes = load_shared(cluster), managed_gpu_nodes(cluster)
    manifests = argocd_install.documents(paths)
    root = list(yaml.safe_load_all((ROOT / "argocd" / "root.yaml").read_text(encoding="utf-8")))
    outputs = pulumi.StackReference(f"organization/{PROJECT}/{cluster.shared}")
    stage = Stage(cluster, shared, outputs.require_output("registry_host"), outputs.require_output("bucket_arns"))

    account = providers.aws_account(cluster)
    on_aws = pulumi.ResourceOptions(providers=[account])
    network = make_network(stage, on_aws)
    eks = make_cluster(stage, network, after(on_aws, network))
    access = PodAccess("access", PodAccessArgs(stage.owner, stage.name, pod_grants(stage)), after(on_aws, eks))

    objects = providers.eks(
        cluster, stage.name, eks.endpoint, eks.certificate_authority, pulumi.ResourceOptions(depends_on=eks.ready)
    )
    in_cluster = pulumi.ResourceOptions(providers=[account, objects], transformations=[gone_with(eks.cluster)])
    nodes = make_nodes(stage, network, eks, after(in_cluster, access))
    make_gpu_pool(stage, network, eks, gpu_nodes, after(in_cluster, *nodes))
    make_gitops(stage, manifests, root, after(in_cluster, *nodes))

    pulumi.export("cluster_name", eks.name)
    pulumi.export("cluster_endpoint", eks.endpoint)
    pulumi.export("vpc_id", network.vpc_id)


def make_network(stage: Stage, opts: pulumi.ResourceOptions) -> Network:
    settings = stage.cluster.network
    args = NetworkArgs(
        owner=stage.owner,
        cidr=settings.cidr,
        subnets=cidr.subnets(settings.cidr, settings.zones),
        nat=settings.nat,
        flow_log_days=settings.flow_log_days,
    )
    return Network("network", args, opts)


def make_cluster(stage: Stage, network: Network, opts: pulumi.ResourceOptions) -> EksCluster:
    cluster, shared = stage.cluster, stage.shared
    args = EksClusterArgs(
        owner=stage.owner,
        cluster=stage.name,
        version=cluster.kubernetes.version,
        compute=cluster.kubernetes.compute,
        subnet_ids=network.private_subnet_ids,
        public_cidrs=cluster.kubernetes.public_cidrs,
        log_days=cluster.kubernetes.log_days,
        administrators=administrators(cluster),
        cached_repositories=pull_through.cached_repositories(shared.account, shared.region, shared.pull_through),
        key_deletion_days=cluster.retention.key_deletion_days,
        protect=cluster.protect,
    )
    return EksCluster("cluster", args, opts)


def make_nodes(stage: Stage, network: Network, eks: EksCluster, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """Nodes that pods can run on, where Auto Mode does not make them; what pods must wait for."""
    settings = stage.cluster.kubernetes
    if not settings.system_nodes:
        return [eks]
    args = ManagedComputeArgs(
        owner=stage.owner,
        cluster=eks.name,
        version=settings.version,
        node_role_arn=eks.node_role.arn,
        subnet_ids=network.private_subnet_ids,
        instance_types=settings.system_nodes.instance_types,
        least=settings.system_nodes.min,
        most=settings.system_nodes.max,
    )
    compute = ManagedCompute("compute", args, opts)
    image = cluster_autoscaler.IMAGES[settings.version]
    autoscaler = ClusterAutoscalerArgs(
        cluster=stage.name,
        region=stage.cluster.region,
        image=pull_through.reference(image, stage.registry, stage.shared.pull_through),
        gpu_limit=stage.cluster.gpu.limit if stage.cluster.gpu else 0,
    )
    return [compute, ClusterAutoscaler("autoscaler", autoscaler, after(opts, compute))]


def make_gpu_pool(
    stage: Stage, network: Network, eks: EksCluster, nodes: gpu.Nodes | None, opts: pulumi.ResourceOptions
) -> None:
    settings = stage.cluster.gpu
    if not settings:
        return
    if not nodes:
        GpuNodePool("gpu", KarpenterArgs(settings.families, settings.capacity, settings.limit), opts)
        return
    args = GroupArgs(
        owner=stage.owner,
        cluster=eks.name,
        version=stage.cluster.kubernetes.version,
        node_role_arn=eks.node_role.arn,
        subnet_ids=network.private_subnet_ids,
        capacity=settings.capacity,
        nodes=nodes,
        plugin_image=device_plugin.IMAGE,
    )
    GpuNodePool("gpu", args, opts)


def make_gitops(
    stage: Stage, manifests: Sequence[dict[str, Any]], root: Sequence[dict[str, Any]], opts: pulumi.ResourceOptions
) -> None:
    cluster, secrets = stage.cluster, pulumi.Config()
    labels = {"app.kubernetes.io/managed-by": "pulumi", "app.kubernetes.io/part-of": DOMAIN}
    stages = Namespaces("stages", NamespacesArgs(cluster.stages, labels), opts)
    platform = Namespaces("platform", NamespacesArgs([ARGOCD, RUNNERS], labels), opts)
    webhook_secret = secrets.get_secret("webhookSecret")
    if cluster.kubernetes.compute == "auto":  # else it is a setting of the network's add-on
        Manifest("network-policy-engine", auto_network_policy.document(), opts)
    argocd_args = ArgoCDArgs(
        documents=[pull_through.document(found, stage.registry, stage.shared.pull_through) for found in manifests],
        webhook_secrets=(
            {} if webhook_secret is None else argocd_component.webhook_secrets("github", webhook_secret, webhook_secret)
        ),
        reach=argocd_reach(cluster),
    )
    # Before the stages on the way down: Argo CD would put back what goes.
    argocd = ArgoCD("argocd", argocd_args, after(opts, platform, stages))
    bridge_args = GitOpsBridgeArgs(
        cluster=cluster.name,
        stages=cluster.stages,
        first_stage=stage.shared.stages[0],
        repo_url=cluster.forge.clone_url,
        repo_password=secrets.get_secret("forgeToken"),
        registry=stage.registry,
        root=root,
    )
    GitOpsBridge("gitops", bridge_args, after(opts, argocd))
    DefaultDeny("default-deny", [*cluster.stages, ARGOCD, RUNNERS], after(opts, argocd))


def argocd_reach(cluster: AwsStage) -> argocd_component.Reach:
    """The API server, at its service's address and at the VPC's behind it; the forge, which is on the internet."""
    service = f"{ipaddress.IPv4Network(cidr.SERVICES)[1]}/32"
    api = [Endpoint(service, HTTPS), Endpoint(cluster.network.cidr, HTTPS)]
    return argocd_component.Reach(cidr.SERVICES, network_policies.to_endpoints(api), [network_policies.to_internet()])


def load_shared(cluster: AwsStage) -> AwsShared:
    """The file of the stack that the cluster reads. Raises SettingsError."""
    shared = load_cluster(cluster.shared)
    if not isinstance(shared, AwsShared):
        raise SettingsError(
            f"clusters/{cluster.name}/cluster.yaml: shared: {cluster.shared} has provider {shared.provider!r};"
            " name a cluster of provider aws-shared"
        )
    return shared


def administrators(cluster: AwsStage) -> list[str]:
    """Who may do everything in the cluster: those listed, and the role that applies this stack."""
    deploy = naming.role_arn(cluster.account, naming.deploy_role(cluster.name))
    return list(dict.fromkeys([deploy, *cluster.kubernetes.administrators]))


def managed_gpu_nodes(cluster: AwsStage) -> gpu.Nodes | None:
    """The GPU nodes of node groups, or None where there are no such groups. Raises SettingsError."""
    if not cluster.gpu or cluster.kubernetes.compute == "auto":
        return None
    file = f"clusters/{cluster.name}/cluster.yaml"
    if cluster.network.nat == "none":
        registry = device_plugin.IMAGE.partition("/")[0]
        raise SettingsError(
            f"{file}: network.nat: none cannot be used with gpu and compute: managed, whose device plugin comes from"
            f" {registry}; use one or per-zone, or compute: auto"
        )
    try:
        return gpu.nodes(cluster.gpu.families, cluster.gpu.limit)
    except ValueError as error:
        raise SettingsError(f"{file}: gpu: {error}") from None


def pod_grants(stage: Stage) -> dict[str, PodGrant]:
    """What pods may do at AWS, by purpose."""
    owner, name = stage.owner, stage.name

    def runner(pods: grants.Pods) -> PodGrant:
        statements = stage.buckets.apply(lambda arns: grants.runner(pods.jobs, arns["data"], arns["models"]))
        return PodGrant(RUNNERS, pods.service_account, statements)

    found = {
        **{purpose: runner(pods) for purpose, pods in grants.RUNNER_PODS.items()},
        "secrets": PodGrant(EXTERNAL_SECRETS, EXTERNAL_SECRETS, grants.external_secrets(owner, name)),
    }
    for one in stage.cluster.stages:
        models = stage.buckets.apply(lambda arns: grants.serving(arns["models"]))
        found[f"serving-{one}"] = PodGrant(one, CLASSIFIER, models)
    if stage.cluster.kubernetes.compute == "managed":
        found["autoscaler"] = PodGrant(
            cluster_autoscaler.NAMESPACE,
            cluster_autoscaler.SERVICE_ACCOUNT,
            cluster_autoscaler.statements(owner, name),
        )
    return found
