"""The small documents that components share."""

from components import objects
from components.manifest import Manifest
from recording import record


def test_every_value_of_a_secret_is_secret_and_nothing_else_is() -> None:
    document = objects.secret("s", "ns", {"token": "t", "user": "u"}, labels={"l": "1"}, annotations={"a": "2"})
    (found,) = record(lambda: Manifest("s", document))
    assert found.secrets == {"stringData.token", "stringData.user"}
    assert found.inputs["metadata"] == {"name": "s", "namespace": "ns", "labels": {"l": "1"}, "annotations": {"a": "2"}}
    assert found.inputs["stringData"] == {"token": "t", "user": "u"}


def test_metadata_has_no_empty_fields() -> None:
    assert objects.config_map("c", "ns", {"k": "v"})["metadata"] == {"name": "c", "namespace": "ns"}
    assert objects.namespace("n", {})["metadata"] == {"name": "n"}
