"""Workloads and tools are told the same facts, all of them from the cluster's file."""

import facts
from settings import load_local


def test_the_variables_are_the_clusters() -> None:
    cluster = load_local("local")
    variables = facts.variables(cluster)
    assert variables["OBJECT_STORE_ENDPOINT"] == cluster.object_store.endpoint
    assert variables["FORGE_REPOSITORY"] == cluster.forge.repository
    assert variables["REGISTRY_HOST"] == cluster.registry.host
    assert (variables["DATA_BUCKET"], variables["MODELS_BUCKET"]) == ("ml-data", "ml-models")
    assert all(name.isupper() and value for name, value in variables.items())


def test_a_stages_label_is_a_valid_one() -> None:
    assert facts.stage_label("dev") == "stage.ml-platform.dev/dev"
