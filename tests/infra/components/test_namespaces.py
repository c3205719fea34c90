"""Namespaces admit restricted pods only."""

from components.namespaces import Namespaces, NamespacesArgs
from recording import record


def test_each_name_is_a_namespace_under_the_restricted_standard() -> None:
    recorded = record(lambda: Namespaces("stages", NamespacesArgs(["dev", "prod"], {"a": "b"})))
    for name in ("dev", "prod"):
        metadata = recorded.one("kubernetes:core/v1:Namespace", f"stages-{name}").inputs["metadata"]
        assert metadata["name"] == name
        assert metadata["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert metadata["labels"]["a"] == "b"


def test_two_instances_share_no_name() -> None:
    def build() -> None:
        for name in ("one", "two"):
            Namespaces(name, NamespacesArgs(["dev"], {}))

    urns = [item.urn for item in record(build)]
    assert len(set(urns)) == len(urns) == 4
