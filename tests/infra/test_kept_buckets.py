"""An update never deletes a bucket because its name in the cluster's file changed."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import kept_buckets
from cli import steps, up
from settings import LocalCluster, Paths, SettingsError, load_local

CLUSTER = load_local("local")


def renamed(**names: str) -> LocalCluster:
    return CLUSTER.model_copy(update={"object_store": CLUSTER.object_store.model_copy(update=names)})


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A state with the two buckets of the example."""
    paths = Paths(tmp_path / "state", tmp_path / "cache")
    folder = paths.pulumi / ".pulumi" / "stacks" / "ml-platform"
    folder.mkdir(parents=True)
    resources: list[dict[str, Any]] = [
        {
            "urn": f"urn:pulumi:local::ml-platform::ml-platform:index:ObjectStore${token}::object-store-{role}",
            "type": token,
            "inputs": {"bucket": name},
        }
        for role, name in (("data", "ml-data"), ("models", "ml-models"))
        for token in ("aws:s3/bucket:Bucket", "aws:s3/bucketVersioning:BucketVersioning")
    ]
    resources.append({"urn": "urn:pulumi:local::ml-platform::pulumi:pulumi:Stack::s", "type": "pulumi:pulumi:Stack"})
    (folder / "local.json").write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    return paths


def test_unchanged_names_pass(paths: Paths) -> None:
    kept_buckets.check(CLUSTER, paths)


@pytest.mark.parametrize(
    ("names", "key", "old"),
    [({"data_bucket": "ml-data2"}, "dataBucket", "ml-data"), ({"models_bucket": "m2"}, "modelsBucket", "ml-models")],
)
def test_s10_another_name_is_refused_with_the_way_to_move(
    paths: Paths, names: dict[str, str], key: str, old: str
) -> None:
    (new,) = names.values()
    with pytest.raises(SettingsError) as refused:
        kept_buckets.check(renamed(**names), paths)
    said = str(refused.value)
    assert said.startswith(f"clusters/local/cluster.yaml: objectStore.{key}: is '{new}'")
    assert f"bucket '{old}'" in said
    assert "docs/runbooks/rename-a-bucket.md" in said


def test_s10_up_refuses_before_its_first_step(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = up.Setup(renamed(data_bucket="ml-data2"), paths)
    monkeypatch.setattr(up.os, "geteuid", lambda: 0)
    runner = SimpleNamespace(console=steps.Console(quiet=True), run=lambda steps: pytest.fail("a step was started"))
    with pytest.raises(SettingsError, match=r"objectStore\.dataBucket"):
        setup.run(runner)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [None, "", '{"checkpoint": {"latest": null}}', '{"checkpoint"'])
def test_a_stack_without_a_readable_state_has_nothing_to_lose(paths: Paths, text: str | None) -> None:
    (state,) = paths.pulumi.rglob("local.json")
    state.unlink() if text is None else state.write_text(text)
    kept_buckets.check(renamed(data_bucket="ml-data2"), paths)
