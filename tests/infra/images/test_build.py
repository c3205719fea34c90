"""What is read from an OCI layout, and whether a damaged one is noticed."""

import hashlib
import json
from pathlib import Path

import pytest

from images import build


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A layout of one small image."""
    blobs = tmp_path / "layout" / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes) -> dict[str, object]:
        name = hashlib.sha256(content).hexdigest()
        (blobs / name).write_bytes(content)
        return {"digest": f"sha256:{name}", "size": len(content)}

    config, layer = blob(b"{}"), blob(b"a layer")
    manifest = blob(json.dumps({"config": config, "layers": [layer]}).encode())
    (tmp_path / "layout" / "index.json").write_text(json.dumps({"manifests": [manifest]}))
    return tmp_path / "layout"


def test_digest_and_size(layout: Path) -> None:
    index = json.loads((layout / "index.json").read_text())
    assert build.digest(layout) == index["manifests"][0]["digest"]
    assert build.size(layout) == sum(path.stat().st_size for path in (layout / "blobs" / "sha256").iterdir())


def test_a_whole_layout_is_intact(layout: Path) -> None:
    assert build.intact(layout)


@pytest.mark.parametrize("content", [b"", b"a lay"])
def test_a_cut_layer_is_noticed(layout: Path, content: bytes) -> None:
    layer = layout / "blobs" / "sha256" / hashlib.sha256(b"a layer").hexdigest()
    layer.write_bytes(content)
    assert not build.intact(layout)


def test_a_missing_layer_is_noticed(layout: Path) -> None:
    (layout / "blobs" / "sha256" / hashlib.sha256(b"a layer").hexdigest()).unlink()
    assert not build.intact(layout)


@pytest.mark.parametrize("content", ["", "{", "{}"])
def test_a_broken_index_is_noticed(layout: Path, content: str) -> None:
    (layout / "index.json").write_text(content)
    assert not build.intact(layout)


def test_nothing_there_is_not_intact(tmp_path: Path) -> None:
    assert not build.intact(tmp_path / "absent")
