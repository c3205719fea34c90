"""Ask each part of the platform whether it works: quick, and without changing anything."""

import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import host
from cli import applications, kube, process
from cli.applications import Application
from cli.failure import Failure
from cli.kube import Kubectl
from mlplatform.host import certificates
from mlplatform.network import egress, enforcement
from settings import Cluster, Paths, SettingsError

# Applications that scripts/up itself brings up; those of the stages come with their first deployment.
PLATFORM_APPLICATIONS = ("root", "bot", "runner-controller")
# Namespaces of the platform's own, beside those of the stages.
PLATFORM_NAMESPACES = (applications.NAMESPACE, "bot", "runner-controller")
DEFAULT_DENY = "default-deny"
CERTIFICATES = "certificates"
_SECONDS = 5.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `detail` says what was found, `fix` what to do when it is not well.

    What is well and has a fix will not be well for long: a warning.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


Probe = Callable[[], Check]


def probes(cluster: Cluster, paths: Paths) -> list[Probe]:
    """A probe for each service of the host, for Kubernetes, Argo CD and the platform's own Applications."""
    kubectl = Kubectl(paths)
    shared = Shared(kubectl)
    argocd = f"https://{cluster.kubernetes.node_address}:{cluster.argocd.node_port}"
    return [
        lambda: answers("object store", cluster.object_store.endpoint, paths),
        lambda: answers("registry", f"http://{cluster.registry.host}/v2/", paths),
        lambda: answers("forge", f"{cluster.forge.url}/api/healthz", paths),
        lambda: kubernetes(kubectl, cluster, paths),
        lambda: node(kubectl, paths),
        lambda: certificates_end(paths),
        lambda: network_policy(kubectl, cluster, paths),
        lambda: jobs_egress(paths),
        lambda: answers("argo cd", f"{argocd}/healthz", paths),
        *(_application(shared, name) for name in PLATFORM_APPLICATIONS),
    ]


def all_of(cluster: Cluster, paths: Paths, *more: Probe) -> list[Check]:
    """Run every probe at once, and `more`; the order of the answers is that of `probes`."""
    return at_once([*probes(cluster, paths), *more])


def at_once(every: Iterable[Probe]) -> list[Check]:
    """Run probes side by side."""
    with ThreadPoolExecutor(max_workers=16, thread_name_prefix="probe") as pool:
        return [future.result() for future in [pool.submit(probe) for probe in every]]


def answers(name: str, url: str, paths: Paths) -> Check:
    """Whether `url` answers HTTP; being refused for want of a login is an answer too."""
    fix = f"scripts/up starts it; its log is under {paths.state / 'logs'}"
    try:
        with _OPENER.open(url, timeout=_SECONDS) as response:
            return Check(name, True, f"{url} answers {response.status}")
    except urllib.error.HTTPError as error:
        well = error.code in {401, 403}
        return Check(name, well, f"{url} answers {error.code}", "" if well else fix)
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return Check(name, False, f"{url} does not answer: {reason}", fix)


def content(url: str, login: str = "", limit: int = 1000) -> str:
    """The first `limit` bytes of a page, "" when there is none; `login` is sent as its Authorization."""
    request = urllib.request.Request(url, headers={"Authorization": login} if login else {})  # noqa: S310 - from settings
    try:
        with _OPENER.open(request, timeout=_SECONDS) as response:
            return bytes(response.read(limit)).decode(errors="replace")
    except OSError:
        return ""


def post(url: str, body: bytes, media_type: str, timeout: float = 30) -> bytes:
    """What `url` answers to a POST. Raises OSError (HTTPError for a refusal)."""
    request = urllib.request.Request(url, body, {"Content-Type": media_type})  # noqa: S310 - from settings
    with _OPENER.open(request, timeout=timeout) as response:
        return bytes(response.read())


def kubernetes(kubectl: Kubectl, cluster: Cluster, paths: Paths) -> Check:
    """Whether the API server is ready."""
    url = cluster.kubernetes.api_url
    if not paths.kubeconfig.is_file():
        return Check("kubernetes", False, f"{paths.kubeconfig} is missing", "scripts/up makes the cluster")
    if kubectl.ready():
        return Check("kubernetes", True, f"{url} is ready")
    return Check(
        "kubernetes", False, f"{url} is not ready", f"scripts/up starts it; see {paths.state / 'logs' / 'kubelet.log'}"
    )


def node(kubectl: Kubectl, paths: Paths) -> Check:
    """Whether every node is Ready."""
    fix = f"see {paths.state / 'logs' / 'kubelet.log'}, then run scripts/up"
    if not paths.kubeconfig.is_file():
        return Check("node", False, "no cluster", "scripts/up makes it")
    try:
        nodes = kubectl.items("nodes")
    except Failure as failure:
        return Check("node", False, failure.message, fix)
    unready = [one["metadata"]["name"] for one in nodes if not kube.condition(one, "Ready")]
    if unready or not nodes:
        return Check("node", False, f"not Ready: {', '.join(unready) or 'there is no node'}", fix)
    version = nodes[0]["status"]["nodeInfo"]["kubeletVersion"]
    return Check("node", True, f"{', '.join(one['metadata']['name'] for one in nodes)} Ready, {version}")


def certificates_end(paths: Paths) -> Check:
    """Whether the cluster's certificates last: a warning while `scripts/up` would renew them, later a failure."""
    name, folder = CERTIFICATES, paths.kubeconfig.parent
    try:
        end = certificates.first_end(folder)
    except (OSError, ValueError) as error:
        return Check(name, False, f"{folder}: cannot be read: {error}", "run it as root; restore a damaged file")
    if end is None:
        return Check(name, True, "no cluster")
    days = certificates.days_left(end)
    fix = "scripts/up renews them" if days < certificates.RENEW_DAYS else ""
    return Check(name, days >= certificates.ALARM_DAYS, f"the first ends in {days} days, on {end:%Y-%m-%d}", fix)


def network_policy(kubectl: Kubectl, cluster: Cluster, paths: Paths) -> Check:
    """Whether NetworkPolicies hold: the engine works, the kernel has its rules, each namespace denies by default."""
    name, log = "network policy", paths.state / "logs" / "kube-router.log"
    fix = f"scripts/up puts it right; see {log}"
    if not paths.kubeconfig.is_file():
        return Check(name, False, "no cluster", "scripts/up makes it")
    namespaces = [*cluster.stages, *PLATFORM_NAMESPACES]
    try:
        # The engine first: it may be working on what the others would then find missing.
        engine = enforcement.synced(content(enforcement.METRICS_URL, limit=1_000_000))
        saved = process.output(["iptables-save"], timeout=20)
        objects = kubectl.items("pods,networkpolicies", "--all-namespaces")
    except Failure as failure:
        return Check(name, False, failure.message, fix)
    found = [] if engine else ["the engine (kube-router) is not at work: new pods are cut off"]
    running = enforcement.pods((one for one in objects if one["kind"] == "Pod"), datetime.now(UTC))
    policies = [one for one in objects if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == DEFAULT_DENY]
    found += enforcement.problems(saved, running, [one["metadata"]["namespace"] for one in policies], namespaces)
    if found:
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""
        return Check(name, False, f"not enforced: {'; '.join(found[:3])}{more}", fix)
    return Check(name, True, f"enforced; {len(namespaces)} namespaces deny by default")


def jobs_egress(paths: Paths) -> Check:
    """What jobs reach beyond the platform, and whether the names in it still mean the same addresses."""
    name = "jobs' network"
    try:
        kept, now = host.egress(paths), egress.resolve(host.variables(paths))
    except SettingsError as error:
        return Check(name, False, str(error), "scripts/up writes it")
    if old := egress.stale(kept, now):
        return Check(name, False, f"{', '.join(old)}: other addresses than those admitted", "scripts/up admits them")
    return Check(name, True, kept.describe())


class Shared:
    """What several probes ask the cluster for, asked once: by the first of them, while the others wait."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl, self._lock = kubectl, threading.Lock()
        self._applications: list[Application] | Failure | None = None

    def application(self, name: str) -> Application | None:
        """One Application, or None where it does not exist. Raises Failure."""
        with self._lock:
            if self._applications is None:
                try:
                    self._applications = applications.all_of(self._kubectl)
                except Failure as failure:
                    self._applications = failure
        if isinstance(self._applications, Failure):
            raise self._applications
        return next((one for one in self._applications if one.name == name), None)


def _application(shared: Shared, name: str) -> Probe:
    def probe() -> Check:
        fix = f"scripts/status shows its message; kubectl -n {applications.NAMESPACE} describe application {name}"
        try:
            found = shared.application(name)
        except Failure as failure:
            return Check(name, False, failure.message, fix)
        if found is None:
            return Check(name, False, "the Application does not exist", "scripts/up creates it")
        detail = f"{found.sync}, {found.health}" + (f": {found.message}" if found.message else "")
        return Check(name, found.is_settled, detail, "" if found.is_settled else fix)

    return probe


def _opener() -> urllib.request.OpenerDirector:
    # Past any proxy: all that is asked here is on this host. Argo CD's certificate is its own; nothing is sent to it.
    context = ssl._create_unverified_context()  # noqa: S323 - see above
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


_OPENER = _opener()
