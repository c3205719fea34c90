"""One document, one resource."""

import pulumi
import pytest

from components.manifest import Manifest, resource_type
from recording import record


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("v1", "Secret", "kubernetes:core/v1:Secret"),
        ("apps/v1", "Deployment", "kubernetes:apps/v1:Deployment"),
        ("argoproj.io/v1alpha1", "AppProject", "kubernetes:argoproj.io/v1alpha1:AppProject"),
    ],
)
def test_the_type_is_the_one_that_the_official_provider_gives(api_version: str, kind: str, expected: str) -> None:
    assert resource_type({"apiVersion": api_version, "kind": kind}) == expected


def test_a_document_arrives_whole_with_its_names_as_they_are() -> None:
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x", "labels": {"a.b/c_d": "e"}},
        "data": {"snake_case": "kept", "camelCase": pulumi.Output.from_input("known")},
    }
    recorded = record(lambda: Manifest("x", document))
    (found,) = recorded
    assert found.inputs == {**document, "data": {"snake_case": "kept", "camelCase": "known"}}
    assert found.secrets == frozenset()
