"""No key of a cluster's file is there for nothing: each is needed, or decides something that is made."""

import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache, reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

import host_state
from composed import composed, document
from example import EXAMPLE
from settings import ROOT, SettingsError, cluster_names

pytestmark = pytest.mark.tools

Key = tuple[str, ...]
Unchanged = Callable[[str, Path], dict[str, Any]]
# Another value that a cluster may have for each key of the example, with what must then change beside it.
OTHER_ACCOUNT, OTHER_REGION = "210987654321", "eu-west-1"
STAGES = ("dev", "staging", "prod")
CHANGES: dict[str, dict[str, Any]] = {
    "local": {
        "stages": ["dev"],
        "kubernetes.nodeAddress": "10.254.254.9",
        "kubernetes.apiPort": 7443,
        "kubernetes.podCidr": "10.211.0.0/16",
        "kubernetes.serviceCidr": "10.212.0.0/16",
        "objectStore.endpoint": "http://10.254.254.1:7171",
        "objectStore.region": "us-west-2",
        "objectStore.dataBucket": "other-data",
        "objectStore.modelsBucket": "other-models",
        "registry.host": "10.254.254.1:5001",
        "forge.url": "http://10.254.254.1:3001",
        "forge.repository": "team/repository",
        "argocd.nodePort": 30446,
        "runners.pools": ["ml-cpu", "ml-gpu"],
        "bot.nodePort": 30447,
        "people.owners": ["ada", "barbara"],
        "people.members": ["alan"],
        "people.approvals": 1,
    },
    "dev": {
        "account": OTHER_ACCOUNT,
        "region": OTHER_REGION,
        "stages": ["dev", "preview"],
        "network.cidr": "10.30.0.0/16",
        "network.zones": ["eu-central-1b", "eu-central-1c"],
        "network.nat": "per-zone",
        "network.flowLogDays": 30,
        "kubernetes.version": "1.35",
        "kubernetes.compute": "managed",
        "kubernetes.publicCidrs": ["203.0.113.0/24"],
        "kubernetes.logDays": 60,
        "kubernetes.administrators": ["arn:aws:iam::123456789012:role/another"],
        "gpu.families": ["g6"],
        "gpu.capacity": ["on-demand"],
        "gpu.limit": 8,
        "forge.repository": "team/repository",
        "forge.ownerId": 1,
        "forge.repositoryId": 2,
        "retention.keyDeletionDays": 8,
        "protect": True,
    },
    "shared": {
        "account": OTHER_ACCOUNT,
        "region": OTHER_REGION,
        "repositories": ["classifier"],
        "pullThrough": ["quay.io"],
        "buckets.data": "other-data-123456789012",
        "buckets.models": "other-models-123456789012",
        "retention.oldVersionDays": 91,
        "retention.unfinishedUploadDays": 8,
        "retention.untaggedImageDays": 15,
        "protect": False,
    },
}
# What names a file's kind, or what other files must say too: another value is refused.
FIXED = {
    "local": {"name", "provider", "forge.kind"},
    "dev": {"name", "provider", "forge.kind", "forge.url", "shared"},
    "shared": {"name", "provider", "stages"},
}


def keys(value: Any, before: Key = ()) -> Iterator[Key]:
    """Every key of a document, of sections and of what is in them."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*before, key)
            yield from keys(item, (*before, key))


def keys_of(root: Path, name: str) -> set[Key]:
    path = root / "clusters" / name / "cluster.yaml"
    return set(keys(document(path))) if path.is_file() else set()


def places() -> list[Any]:
    """Every key of the example, which says what no default does; of a team's own files those that the example lacks."""
    found = [(EXAMPLE, name, key) for name in cluster_names(EXAMPLE) for key in sorted(keys_of(EXAMPLE, name))]
    for name in cluster_names(ROOT):
        found += [(ROOT, name, key) for key in sorted(keys_of(ROOT, name) - keys_of(EXAMPLE, name))]
    return [pytest.param(place, id=f"{place[1]}-{'.'.join(place[2])}") for place in found]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state")
    host_state.write(path)
    return path


@pytest.fixture(scope="module")
def unchanged(state: Path) -> Unchanged:
    """What is made of a cluster as it is in the repository."""
    return cache(lambda name, root: composed(name, root, state))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return tmp_path / "checkout"


@pytest.fixture(autouse=True)
def _state(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(state))


def write(root: Path, name: str, key: Key, *value: Any) -> None:
    """Set a key of a cluster's file to a value, or remove it without one."""
    path = root / "clusters" / name / "cluster.yaml"
    content = document(path)
    section = reduce(lambda found, part: found[part], key[:-1], content)
    if value:
        (section[key[-1]],) = value
    else:
        del section[key[-1]]
    path.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.mark.parametrize("place", places())
def test_a_key_that_is_missing_is_named_or_changes_what_is_made(
    place: tuple[Path, str, Key], checkout: Path, state: Path, unchanged: Unchanged
) -> None:
    root, name, key = place
    shutil.copytree(root / "clusters", checkout / "clusters", ignore=shutil.ignore_patterns("Pulumi.*"))
    write(checkout, name, key)
    said, without = "", None
    try:
        without = composed(name, checkout, state)
    except SettingsError as error:
        said = str(error)
    if said:
        assert re.search(rf"^clusters/{name}/cluster.yaml: (?=[^;]*\b{key[-1]}\b)", said, re.MULTILINE), said
    else:
        assert without != unchanged(name, root)


def test_every_key_of_the_example_has_another_value_here() -> None:
    for name, changes in CHANGES.items():
        content = document(EXAMPLE / "clusters" / name / "cluster.yaml")
        leaves = {".".join(key) for key in keys(content) if not any(keys(reduce(lambda at, k: at[k], key, content)))}
        assert leaves == changes.keys() | FIXED[name]


@pytest.mark.parametrize(
    ("name", "key"), [pytest.param(name, key, id=f"{name}-{key}") for name in CHANGES for key in CHANGES[name]]
)
def test_another_value_of_a_key_changes_what_is_made(
    name: str, key: str, checkout: Path, state: Path, unchanged: Unchanged
) -> None:
    shutil.copytree(EXAMPLE / "clusters", checkout / "clusters", ignore=shutil.ignore_patterns("Pulumi.*"))
    everywhere = STAGES if name == "dev" and key.startswith("forge.") else (name,)
    for one in everywhere:
        write(checkout, one, tuple(key.split(".")), CHANGES[name][key])
    match key:
        case "account":
            role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/platform-engineer"
            for one in STAGES if name == "shared" else (name,):
                write(checkout, one, ("account",), OTHER_ACCOUNT)
                write(checkout, one, ("kubernetes", "administrators"), [role])
        case "region":
            for path in checkout.glob("clusters/*/cluster.yaml"):
                path.write_text(path.read_text().replace("eu-central-1", OTHER_REGION))
        case "kubernetes.compute":
            nodes = {"instanceTypes": ["m7i.large"], "min": 1, "max": 3}
            write(checkout, name, ("kubernetes", "systemNodes"), nodes)
        case "protect" if name == "shared":
            write(checkout, "prod", ("stages",), ["production"])
            write(checkout, "prod", ("protect",), False)
        case _:
            pass
    assert composed(name, checkout, state) != unchanged(name, EXAMPLE)


def test_the_stages_that_share_decide_who_reads_what_they_share(checkout: Path, state: Path) -> None:
    """One that has an account of its own is let in; one that is not listed is refused."""
    shutil.copytree(EXAMPLE / "clusters", checkout / "clusters", ignore=shutil.ignore_patterns("Pulumi.*"))
    write(checkout, "prod", ("account",), OTHER_ACCOUNT)
    write(checkout, "prod", ("kubernetes", "administrators"), [f"arn:aws:iam::{OTHER_ACCOUNT}:role/platform-engineer"])
    listed = composed("shared", checkout, state)["stack"]
    write(checkout, "shared", ("stages",), ["dev", "staging"])
    with pytest.raises(SettingsError, match=r"clusters/prod/cluster\.yaml: shared: 'shared' does not list it"):
        composed("prod", checkout, state)
    (checkout / "clusters" / "prod" / "cluster.yaml").unlink()
    assert composed("shared", checkout, state)["stack"] != listed
