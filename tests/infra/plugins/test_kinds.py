"""The table of kinds agrees with the API server's own."""

import pytest

from control_plane.stack import Stack
from emulator.api_servers import karpenter
from plugins.kubernetes.kinds import BY_TOKEN, KINDS, Kind

CUSTOM = ("argoproj.io/", "karpenter.sh/")
OURS = [kind for kind in KINDS if not kind.api_version.startswith(CUSTOM)]


def test_tokens_are_unique() -> None:
    assert len(BY_TOKEN) == len(KINDS)
    assert BY_TOKEN["kubernetes:core/v1:Secret"].root == "/api/v1"
    assert BY_TOKEN["kubernetes:apps/v1:Deployment"].root == "/apis/apps/v1"


@pytest.mark.tools
@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.name)
def test_the_server_serves_each_kind_as_the_table_says(kind: Kind, loopback: Stack) -> None:
    served = {item["name"]: item for item in loopback.plane.get(kind.root)["resources"]}
    assert served[kind.plural]["kind"] == kind.name
    assert served[kind.plural]["namespaced"] is kind.namespaced


@pytest.mark.tools
@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.name)
def test_the_fields_are_the_servers(kind: Kind, loopback: Stack) -> None:
    document = loopback.plane.get(f"/openapi/v3{'/apis' if '/' in kind.api_version else '/api'}/{kind.api_version}")
    group, _, version = kind.api_version.rpartition("/")

    def matches(schema: dict[str, object]) -> bool:
        wanted = {"group": group, "kind": kind.name, "version": version}
        return wanted in schema.get("x-kubernetes-group-version-kind", [])  # type: ignore[operator]

    (schema,) = (item for item in document["components"]["schemas"].values() if matches(item))
    assert kind.fields <= schema["properties"].keys()


@pytest.mark.tools
def test_karpenters_kinds_are_as_its_own_definitions_say() -> None:
    served = {item["spec"]["names"]["kind"]: item["spec"] for item in karpenter()}
    for kind in (kind for kind in KINDS if kind.api_version.startswith("karpenter.sh/")):
        spec = served[kind.name]
        versions = {version["name"]: version for version in spec["versions"]}
        group, _, version = kind.api_version.partition("/")
        assert (spec["group"], spec["names"]["plural"], spec["scope"]) == (group, kind.plural, "Cluster")
        assert not kind.namespaced
        assert kind.fields <= versions[version]["schema"]["openAPIV3Schema"]["properties"].keys()
