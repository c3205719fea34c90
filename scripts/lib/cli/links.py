"""Where a person goes with a browser, and how to log in; never a secret itself."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from cli import health, people
from cli.applications import Application
from cli.failure import Failure
from cli.kube import Kubectl
from settings import Cluster, Paths


@dataclass(frozen=True)
class Link:
    """A page, and what to log in with: an account and the command that prints its password."""

    name: str
    url: str
    login: str = ""


def forge(cluster: Cluster, paths: Paths) -> Link:
    """The repository on the forge."""
    file = paths.secrets / people.password("NAME")
    login = f"{' or '.join(cluster.people.all)}, password: cat {file}"
    return Link("forge", f"{cluster.forge.url}/{cluster.forge.repository}", login)


def argocd(cluster: Cluster, paths: Paths) -> Link | None:
    """Argo CD, or None where its image carries no web UI: built from its module it has API and command line only."""
    url = f"https://{cluster.kubernetes.node_address}:{cluster.argocd.node_port}/"
    # Without pages it shows the listing of an empty folder.
    if "<title>Argo CD" not in health.content(url):
        return None
    return Link("argocd", url, f"admin, password: cat {paths.secrets / 'argocd-admin-password'}")


def service_address(kubectl: Kubectl, application: Application, stages: list[str]) -> str | None:
    """The address of a stage's service inside the cluster, which this host reaches too; None where it has none."""
    suffix = f"-{application.namespace}"
    if application.namespace not in stages or not application.name.endswith(suffix):
        return None
    try:
        service = kubectl.find("service", application.name.removesuffix(suffix), "-n", application.namespace)
    except Failure:
        return None
    if service is None or service["spec"].get("clusterIP") in (None, "", "None"):
        return None
    port = service["spec"]["ports"][0]["port"]
    return f"http://{service['spec']['clusterIP']}" + ("" if port == 80 else f":{port}")


def tunnel(urls: list[str], host: str = "<this machine>") -> str:
    """The ssh command that makes `urls` work where a person's browser runs, and what to open there.

    A port below 1024, which only root may open there, becomes one from 8080 on.
    """
    forwards: dict[tuple[str, int], int] = {}
    opened = []
    for url in urls:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        target = (str(parts.hostname), port)
        if target not in forwards:
            forwards[target] = _free(port, set(forwards.values()))
        opened.append(f"{parts.scheme}://localhost:{forwards[target]}{parts.path}")
    lines = " ".join(f"-L {local}:{name}:{port}" for (name, port), local in forwards.items())
    return f"ssh {lines} root@{host}\nthen open {' '.join(opened)}"


def _free(port: int, taken: set[int]) -> int:
    candidate = port if port >= 1024 else 8080
    while candidate in taken:
        candidate += 1
    return candidate
