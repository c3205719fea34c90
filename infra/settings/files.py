"""Reads cluster files, each by itself and in the light of those it refers to."""

from pathlib import Path

from pydantic import ValidationError

from aws import cidr
from settings.aws import AwsStage
from settings.aws_shared import AwsShared
from settings.documents import read
from settings.errors import SettingsError
from settings.fields import DNS_LABEL
from settings.local import LocalCluster
from settings.messages import problems
from settings.paths import ROOT

AnyCluster = LocalCluster | AwsStage | AwsShared
# Each provider's model, and a cluster that shows its keys.
MODELS: dict[str, tuple[type[LocalCluster] | type[AwsStage] | type[AwsShared], str]] = {
    "local": (LocalCluster, "clusters/local/cluster.yaml"),
    "aws": (AwsStage, "clusters/dev/cluster.yaml"),
    "aws-shared": (AwsShared, "clusters/shared/cluster.yaml"),
}


def load_cluster(name: str, root: Path = ROOT) -> AnyCluster:
    """Read and check `clusters/<name>/cluster.yaml` under `root`, and that it agrees with the clusters beside it.

    Raises SettingsError.
    """
    cluster = _load_alone(name, root)
    match cluster:
        case AwsStage():
            _agrees_with_shared(cluster, root)
            _apart_from_others(cluster, root)
        case AwsShared():
            _agrees_with_stages(cluster, root)
    return cluster


def load_local(name: str, root: Path = ROOT) -> LocalCluster:
    """The same for a cluster on this machine. Raises SettingsError for one that is elsewhere."""
    cluster = _load_alone(name, root)
    if isinstance(cluster, LocalCluster):
        return cluster
    raise SettingsError(f"{_file(name)}: provider: is {cluster.provider!r}; this works on a cluster of provider local")


def cluster_names(root: Path = ROOT) -> list[str]:
    """Every cluster that has a file under `root`, in order."""
    return sorted(path.parent.name for path in (root / "clusters").glob("*/cluster.yaml"))


def read_cluster(path: Path, shown_as: str | None = None) -> AnyCluster:
    """Read and check one cluster file by itself; `shown_as` is its name in messages. Raises SettingsError."""
    shown = shown_as or path.name
    document = read(path, shown)
    if not isinstance(document, dict):
        raise SettingsError(f"{shown}: must be a mapping; start from clusters/local/cluster.yaml")
    provider = document.get("provider", "local")
    if provider not in tuple(MODELS):
        known = ", ".join(repr(one) for one in MODELS)
        raise SettingsError(f"{shown}: provider: {provider!r} is not supported; use one of {known}")
    model, example = MODELS[provider]
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise SettingsError("\n".join(f"{shown}: {problem}" for problem in problems(error, model, example))) from None


def _file(name: str) -> str:
    return f"clusters/{name}/cluster.yaml"


def _load_alone(name: str, root: Path) -> AnyCluster:
    path = root / "clusters" / name / "cluster.yaml"
    if not DNS_LABEL.fullmatch(name) or not path.is_file():
        known = ", ".join(cluster_names(root)) or "none"
        raise SettingsError(f"{_file(name)}: there is no cluster {name!r}; clusters here: {known}")
    cluster = read_cluster(path, shown_as=_file(name))
    if cluster.name != name:
        raise SettingsError(f"{_file(name)}: name: is {cluster.name!r}; write the folder's name, {name}")
    return cluster


def _agrees_with_shared(stage: AwsStage, root: Path) -> None:
    where = _file(stage.name)
    if stage.shared not in cluster_names(root):
        known = ", ".join(cluster_names(root))
        raise SettingsError(f"{where}: shared: there is no cluster {stage.shared!r}; clusters here: {known}")
    shared = _load_alone(stage.shared, root)
    if not isinstance(shared, AwsShared):
        raise SettingsError(
            f"{where}: shared: {stage.shared!r} has provider {shared.provider!r}; name one of provider 'aws-shared'"
        )
    if stage.name not in shared.stages:
        raise SettingsError(f"{where}: shared: {stage.shared!r} does not list it; add {stage.name} to its stages")
    if stage.region != shared.region:
        raise SettingsError(
            f"{where}: region: is {stage.region}, but {shared.name}'s images and buckets are in {shared.region};"
            f" write {shared.region}"
        )
    if stage.hosts_production and not shared.protect:
        raise SettingsError(
            f"{_file(shared.name)}: protect: is false, but {stage.name} hosts prod; write protect: true"
        )


def _apart_from_others(stage: AwsStage, root: Path) -> None:
    """Each stage once, and no address twice, or the networks could never be connected."""
    for name in cluster_names(root):
        try:
            other = _load_alone(name, root)
        except SettingsError:
            continue  # said where that cluster itself is read
        if not isinstance(other, AwsStage) or other.name == stage.name or other.shared != stage.shared:
            continue
        if cidr.overlaps(stage.network.cidr, other.network.cidr):
            raise SettingsError(
                f"{_file(stage.name)}: network.cidr: {stage.network.cidr} overlaps {other.network.cidr}"
                f" of {_file(name)}; choose a range apart"
            )
        if stage.forge != other.forge:
            raise SettingsError(
                f"{_file(stage.name)}: forge: differs from that of {_file(name)}; one platform follows one repository"
            )
        if twice := sorted(set(stage.stages) & set(other.stages)):
            raise SettingsError(
                f"{_file(stage.name)}: stages: {', '.join(twice)} is hosted by {name} too; keep it in one"
            )


def _agrees_with_stages(shared: AwsShared, root: Path) -> None:
    for name in shared.stages:
        if name not in cluster_names(root):
            known = ", ".join(cluster_names(root))
            raise SettingsError(f"{_file(shared.name)}: stages: there is no cluster {name!r}; clusters here: {known}")
        stage = _load_alone(name, root)
        if not isinstance(stage, AwsStage):
            raise SettingsError(
                f"{_file(shared.name)}: stages: {name!r} has provider {stage.provider!r}; list those of provider 'aws'"
            )
        if stage.shared != shared.name:
            raise SettingsError(
                f"{_file(shared.name)}: stages: {name} reads {stage.shared!r}; remove it,"
                f" or write shared: {shared.name} there"
            )
        _agrees_with_shared(stage, root)
