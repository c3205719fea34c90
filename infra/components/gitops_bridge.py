"""What Argo CD is told about a cluster, and the root Application from which it takes everything else.

The facts travel as labels and annotations of the cluster's Secret, where ApplicationSets find them: no manifest in the
repository names a registry or a forge.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pulumi

import facts
from components import objects
from components.argocd import NAMESPACE
from components.manifest import Manifest

IN_CLUSTER = "https://kubernetes.default.svc"
SECRET_TYPE = "argocd.argoproj.io/secret-type"  # noqa: S105 - the name of a label


@dataclass(frozen=True)
class GitOpsBridgeArgs:
    """`root`: the documents of `argocd/root.yaml`. `images`: digests of the platform's own services by name; a cluster
    without any runs none of them, apps all the same. `pools`: the runner pools that it has, where it runs the runner
    controller. `first_stage`: the environment that follows main, on whichever cluster; others are pinned to releases.
    `repo_password`: none where anybody may read the repository."""

    cluster: str
    stages: Sequence[str]
    first_stage: str
    repo_url: str
    registry: pulumi.Input[str]
    root: Sequence[dict[str, Any]]
    images: Mapping[str, str] = field(default_factory=dict)
    pools: Sequence[str] = ()
    repo_user: str = "argocd"
    repo_password: pulumi.Input[str] | None = None


class GitOpsBridge(pulumi.ComponentResource):
    """The cluster's and the repository's Secrets, and the root Application with its project."""

    def __init__(self, name: str, args: GitOpsBridgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:GitOpsBridge", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        secrets: list[pulumi.Resource] = [
            Manifest(f"{name}-cluster", cluster_secret(args), child),
            Manifest(f"{name}-repository", repository_secret(args), child),
        ]
        project, application = (document for document in root_documents(args.root, args.repo_url))
        made = Manifest(f"{name}-project", project, pulumi.ResourceOptions(parent=self, depends_on=secrets))
        Manifest(f"{name}-root", application, pulumi.ResourceOptions(parent=self, depends_on=[made]))
        self.register_outputs({})


def cluster_secret(args: GitOpsBridgeArgs) -> objects.Document:
    """The Secret that registers the cluster with Argo CD and carries its facts."""
    labels, annotations = cluster_metadata(args)
    return objects.secret(
        f"cluster-{args.cluster}",
        NAMESPACE,
        {
            "name": args.cluster,
            "server": IN_CLUSTER,
            "config": json.dumps({"tlsClientConfig": {"insecure": False}}),
        },
        labels,
        annotations,
    )


def cluster_metadata(args: GitOpsBridgeArgs) -> tuple[dict[str, str], dict[str, pulumi.Input[str]]]:
    """The labels that ApplicationSets select clusters by, and the annotations that they fill their templates from."""
    labels = {
        SECRET_TYPE: "cluster",
        **({facts.CLUSTER_ROLE: args.cluster} if args.images else {}),
        **{facts.stage_label(stage): "true" for stage in args.stages},
    }
    annotations: dict[str, pulumi.Input[str]] = {
        facts.REPO_URL: args.repo_url,
        facts.REGISTRY: args.registry,
        facts.FOLLOWS_MAIN: args.first_stage,
        facts.IMAGES: json.dumps(dict(args.images), sort_keys=True),
        **({facts.POOLS: json.dumps(list(args.pools))} if args.pools else {}),
    }
    return labels, annotations


def repository_secret(args: GitOpsBridgeArgs) -> objects.Document:
    """The Secret with which Argo CD reads the repository."""
    credential: dict[str, pulumi.Input[str]] = {}
    if args.repo_password is not None:
        credential = {"username": args.repo_user, "password": args.repo_password}
    return objects.secret(
        "repository",
        NAMESPACE,
        {"type": "git", "url": args.repo_url, **credential},
        labels={SECRET_TYPE: "repository"},
    )


def root_documents(documents: Sequence[dict[str, Any]], repo_url: str) -> list[dict[str, Any]]:
    """`argocd/root.yaml` with the repository filled in: its AppProject, then its Application."""
    by_kind = {document["kind"]: deepcopy(document) for document in documents}
    project, application = by_kind["AppProject"], by_kind["Application"]
    project["spec"]["sourceRepos"] = [repo_url]
    source = application["spec"]["source"]
    source["repoURL"] = repo_url
    (patch,) = source["kustomize"]["patches"]
    patch["patch"] = json.dumps([{"op": "replace", "path": "/spec/sourceRepos", "value": [repo_url]}])
    return [project, application]
