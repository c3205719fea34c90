"""The platform on one Linux machine: what Ansible set up, put to use."""

import pulumi
import yaml

import argocd_install
import facts
import host
import kept_buckets
import providers
from aws import bucket_policies
from components import argocd as argocd_component
from components import network_policies
from components.argocd import NAMESPACE as ARGOCD
from components.argocd import ArgoCD, ArgoCDArgs
from components.bot import Bot, BotArgs
from components.default_deny import DefaultDeny
from components.gitops_bridge import GitOpsBridge, GitOpsBridgeArgs
from components.namespaces import Namespaces, NamespacesArgs
from components.network_policies import Endpoint
from components.object_store import BucketArgs, ObjectStore, ObjectStoreArgs
from components.runners import Reach, Runners, RunnersArgs
from resource_options import after
from settings import DOMAIN, ROOT, LocalCluster, Paths

BOT = "bot"
RUNNERS = "runner-controller"


def compose(cluster: LocalCluster, paths: Paths) -> None:
    """Register the stack's resources. Raises SettingsError before the first when something is missing."""
    kept_buckets.check(cluster, paths)
    images, secret = host.images(paths), paths.secret
    runner_secrets = {
        "bot": {"token": secret("forge-bot-token")},
        "dvc": {"AWS_ACCESS_KEY_ID": "dvc", "AWS_SECRET_ACCESS_KEY": secret("s3-dvc-secret-key")},
        "evaluate": {"AWS_ACCESS_KEY_ID": "evaluate", "AWS_SECRET_ACCESS_KEY": secret("s3-evaluate-secret-key")},
        "forge-runner": {"token": secret("forge-runner-registration-token")},
        "host-environment": host.variables(paths),
        "janitor": {"AWS_ACCESS_KEY_ID": "janitor", "AWS_SECRET_ACCESS_KEY": secret("s3-janitor-secret-key")},
        "judge": {"AWS_ACCESS_KEY_ID": "judge", "AWS_SECRET_ACCESS_KEY": secret("s3-judge-secret-key")},
        "proposer": {"token": secret("forge-proposer-token")},
        "runs": {"AWS_ACCESS_KEY_ID": "runs", "AWS_SECRET_ACCESS_KEY": secret("s3-runs-secret-key")},
        "release": {
            "AWS_ACCESS_KEY_ID": "release",
            "AWS_SECRET_ACCESS_KEY": secret("s3-release-secret-key"),
            "REGISTRY_PASSWORD": secret("registry-password"),
            "REGISTRY_USERNAME": "platform",
        },
    }
    argocd_args = ArgoCDArgs(
        documents=argocd_install.documents(paths),
        node_port=cluster.argocd.node_port,
        admin_password_hash=host.password_hash(paths, "argocd-admin-password"),
        # Gitea signs its webhooks the way Gogs did.
        webhook_secrets=argocd_component.webhook_secrets(
            "gogs", secret("forge-webhook-secret"), secret("argocd-other-webhooks-secret")
        ),
        reach=argocd_reach(cluster),
    )
    bridge_args = GitOpsBridgeArgs(
        cluster=cluster.name,
        stages=cluster.stages,
        first_stage=cluster.stages[0],
        repo_url=cluster.forge.clone_url,
        repo_user="argocd",
        repo_password=secret("forge-argocd-token"),
        registry=cluster.registry.host,
        images=images,
        pools=cluster.runners.pools,
        root=list(yaml.safe_load_all((ROOT / "argocd" / "root.yaml").read_text(encoding="utf-8"))),
    )
    runners_args = RunnersArgs(
        namespace=RUNNERS,
        secrets=runner_secrets,
        facts={**facts.variables(cluster), "PYTHON_IMAGE": f"library/python@{images['python']}"},
        certificates=host.certificates(paths),
        cache_path=str(paths.cache / "runner"),
        reach=runners_reach(cluster, paths),
    )

    bot_args = BotArgs(
        namespace=BOT,
        secret={"token": secret("forge-merge-token"), "webhook-secret": secret("forge-bot-webhook-secret")},
        people=cluster.people.document,
        facts=facts.forge(cluster),
        node_port=cluster.bot.node_port,
        service_cidr=cluster.kubernetes.service_cidr,
        forge=[endpoint(cluster.forge.url, cluster)],
    )

    store = cluster.object_store
    ObjectStore(
        "object-store",
        ObjectStoreArgs(
            buckets={
                "data": BucketArgs(
                    store.data_bucket,
                    bucket_policies.of_users(
                        store.data_bucket,
                        administrators=["pulumi"],
                        readers=["judge", "release"],
                        # Jobs of branches have `dvc`, which writes nothing; what a run makes goes where the controller
                        # lets it, by an address that `runs` signs, and the gate takes from there what it has hashed.
                        below={"dvc": ["dvc", "evaluate"], "runs": ["dvc", "evaluate"], "test": ["evaluate"]},
                        fills={"dvc": ["data", "judge"], "measurements": ["evaluate"], "test": ["test-set"]},
                        drops={"runs": ["runs"]},
                        lists=["dvc", "test"],
                        prunes={prefix: ["janitor"] for prefix in ("dvc", "previews", "runs", "test")},
                    ),
                ),
                "models": BucketArgs(
                    store.models_bucket,
                    bucket_policies.of_users(
                        store.models_bucket,
                        administrators=["pulumi"],
                        writers=["release"],
                        below={"releases": ["dvc", "judge"]},  # the gate looks up what was released
                    ),
                ),
            },
            # A machine's own store goes with all it holds, but only after `pulumi state unprotect`: no update does it.
            force_destroy=True,
            protect=True,
        ),
        pulumi.ResourceOptions(providers=[providers.object_store(cluster, paths)]),
    )
    here = pulumi.ResourceOptions(providers=[providers.objects(cluster, paths)])
    labels = {"app.kubernetes.io/managed-by": "pulumi", "app.kubernetes.io/part-of": DOMAIN}
    stages = Namespaces("stages", NamespacesArgs(cluster.stages, labels), here)
    platform = Namespaces("platform", NamespacesArgs([ARGOCD, BOT, RUNNERS], labels), here)
    runners = Runners("runners", runners_args, after(here, platform))
    bot = Bot("bot", bot_args, after(here, platform))
    # Before the stages on the way down: Argo CD would put back what goes.
    argocd = ArgoCD("argocd", argocd_args, after(here, platform, stages))
    GitOpsBridge("gitops", bridge_args, after(here, argocd))
    DefaultDeny("default-deny", [*cluster.stages, ARGOCD, BOT, RUNNERS], after(here, runners, bot, argocd))


def endpoint(address: str, cluster: LocalCluster) -> Endpoint:
    """Where a service of this machine answers: a name of it stands for the node address, on which all of them are."""
    try:
        return Endpoint.of(address)
    except ValueError:
        return Endpoint.of(address, host=cluster.kubernetes.node_address)


def api_server(cluster: LocalCluster) -> Endpoint:
    return Endpoint.of(cluster.kubernetes.api_url)


def argocd_reach(cluster: LocalCluster) -> argocd_component.Reach:
    return argocd_component.Reach(
        cluster.kubernetes.service_cidr,
        network_policies.to_endpoints([api_server(cluster)]),
        network_policies.to_endpoints([endpoint(cluster.forge.url, cluster)]),
    )


def runners_reach(cluster: LocalCluster, paths: Paths) -> Reach:
    """Raises SettingsError."""
    beyond, forge = host.egress(paths), endpoint(cluster.forge.url, cluster)
    store = endpoint(cluster.object_store.endpoint, cluster)
    services = [forge, store, endpoint(cluster.registry.host, cluster)]
    places = [Endpoint(f"{address}/32", port) for address, port in beyond.endpoints()]
    return Reach(
        cluster.kubernetes.service_cidr,
        [api_server(cluster), forge],
        [*services, *places],
        [forge, store],
        internet=beyond.internet,
    )
