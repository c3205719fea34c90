"""Which images there are: the upstream name, the recipe, and what goes into each.

Versions come from the tools' `go.mod` files, so that an upgrade there is one line here too. The few that no tool of
ours carries (pause, Redis, Python) stand below; a test compares them with what kubeadm and Argo CD ask for.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from images.errors import ImageError
from settings import ROOT

HERE = Path(__file__).resolve().parent
DIGESTS = HERE / "digests.json"
PAUSE_VERSION = "3.10.1"
REDIS_TAG = "8.2.3-alpine"
PYTHON_TAG = "3.11-slim-bookworm"


@dataclass(frozen=True)
class Image:
    """One image. `tools` are programs of `<cache>/bin`, `beside` files that came with one (name in the build context:
    tool and path from its folder), `host` programs of Debian packages on this machine, `files` parts of the checkout
    (name in the build context: path), `requirements` a locked group installed as `packages/`.
    """

    name: str
    repository: str
    tag: str
    recipe: Path
    registry: str = ""  # the upstream host; empty for an image of our own
    base: str = ""  # another image's name; empty for FROM scratch
    tools: tuple[str, ...] = ()
    beside: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    host: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    requirements: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    bind_low_ports: tuple[str, ...] = ()  # tools that a non-root user starts on a port below 1024
    digest: str = ""  # of the upstream image, where it is pinned; otherwise trusted on first use
    pushed: bool = True

    @property
    def path(self) -> str:
        """Repository and tag: what the name is in the local registry, below its host."""
        return f"{self.repository}:{self.tag}"

    @property
    def upstream(self) -> str:
        return f"{self.registry}/{self.path}" if self.registry else self.path


def pinned_digests() -> dict[str, str]:
    """The digests of `digests.json` by upstream reference: a new version has none until someone pins it."""
    document: dict[str, str] = json.loads(DIGESTS.read_text(encoding="utf-8"))
    return document


@cache
def module_version(tool: str, module: str) -> str:
    """The version of `module` that `infra/toolchain/go/<tool>/go.mod` pins, with its `v`. Raises ImageError."""
    path = ROOT / "infra/toolchain/go" / tool / "go.mod"
    match = re.search(
        rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    if not match:
        raise ImageError(f"infra/toolchain/go/{tool}/go.mod: requires no {module}; add it at the version to build")
    return match[1]


def _control_plane(name: str, repository: str, tag: str, binary: str) -> Image:
    return Image(
        name, repository, tag, HERE / "kubernetes", "registry.k8s.io", tools=(binary,), arguments={"BINARY": binary}
    )


@cache
def images() -> Mapping[str, Image]:
    """Every image by name, each after the one that it is built upon."""
    kubernetes = module_version("kubernetes", "k8s.io/kubernetes")
    etcd = module_version("etcd", "go.etcd.io/etcd/server/v3").removeprefix("v")
    controller = ROOT / "apps/runner-controller"
    every = (
        Image("debian", "library/debian", "bookworm-slim", HERE / "debian", pushed=False),
        *(
            _control_plane(name, name, kubernetes, name)
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        ),
        # Upstream numbers its etcd image's own revisions; the first is 0.
        _control_plane("etcd", "etcd", f"{etcd}-0", "etcd"),
        Image("pause", "pause", PAUSE_VERSION, HERE / "pause", "registry.k8s.io", host=("catatonit",)),
        Image(
            "coredns",
            "coredns/coredns",
            module_version("coredns", "github.com/coredns/coredns"),
            HERE / "coredns",
            "registry.k8s.io",
            tools=("coredns",),
            bind_low_ports=("coredns",),
        ),
        Image(
            "kube-proxy",
            "kube-proxy",
            kubernetes,
            HERE / "kube-proxy",
            "registry.k8s.io",
            base="debian",
            tools=("kube-proxy",),
        ),
        Image(
            "argocd",
            "argoproj/argocd",
            module_version("argocd", "github.com/argoproj/argo-cd/v3"),
            HERE / "argocd",
            "quay.io",
            base="debian",
            tools=("argocd", "kustomize"),
        ),
        Image("redis", "docker/library/redis", REDIS_TAG, HERE / "redis", "public.ecr.aws", base="debian"),
        Image("python", "library/python", PYTHON_TAG, HERE / "python", "docker.io", base="debian"),
        Image(
            "runner-controller",
            "runner-controller",
            "latest",
            controller,
            base="python",
            files={"src": controller / "src"},
            requirements="runner",
        ),
        Image(
            "bot",
            "bot",
            "latest",
            ROOT / "apps/bot",
            base="python",
            # It judges by the platform's own rules, and carries nothing else of the platform's.
            files={"src": ROOT / "apps/bot/src", "pulls": ROOT / "src/mlplatform/pulls"},
            requirements="runner",
        ),
        Image(
            "runner-job",
            "runner-job",
            "latest",
            controller / "job",
            base="python",
            tools=("act", "crane", "kustomize", "pulumi", "uv"),
            # What the stacks on AWS install Argo CD from.
            beside={"argocd-install.yaml": ("argocd", "manifests/install.yaml")},
        ),
    )
    pinned = pinned_digests()
    return {image.name: replace(image, digest=pinned.get(image.upstream, "")) for image in every}


def reference(name: str) -> str:
    """The upstream reference of an image by its name here, such as `registry.k8s.io/pause:3.10.1`; for an image of
    our own, its path in the local registry. Raises ImageError.
    """
    if name not in images():
        raise ImageError(f"{name!r} is not an image of this platform; known: {', '.join(images())}")
    return images()[name].upstream
