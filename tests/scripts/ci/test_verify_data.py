"""The nightly look at every object that main names, on a folder in place of the object store."""

import hashlib
from pathlib import Path

import pytest

from ci import remote, verify_data
from mlplatform.objects.verify import FolderReader


class Tree:
    """Files by their path."""

    def __init__(self, files: dict[str, str]) -> None:
        self.content = files

    def read(self, path: str) -> bytes | None:
        return self.content[path].encode() if path in self.content else None

    def files(self, folder: str) -> list[str]:
        return sorted(path for path in self.content if path.startswith(f"{folder}/"))


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


TREE = Tree(
    {
        "ml/dvc.yaml": "stages: {train: {cmd: python train.py, deps: [data/raw], outs: [model.onnx]}}",
        "ml/data/raw.dvc": f"outs: [{{md5: {md5(b'raw')}, path: raw}}]",
        "ml/dvc.lock": "schema: '2.0'\nstages: {train: {cmd: python train.py, deps: [], outs: "
        f"[{{path: model.onnx, hash: md5, md5: {md5(b'model')}}}]}}}}",
    }
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for content in (b"raw", b"model"):
        path = tmp_path / "files" / "md5" / md5(content)[:2] / md5(content)[2:]
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    monkeypatch.setattr(remote, "reader", lambda tree, folder: FolderReader(tmp_path))
    return tmp_path


def test_s16_what_is_whole_is_no_problem(store: Path) -> None:
    assert verify_data.problems(TREE) == []


@pytest.mark.parametrize(("content", "path"), [(b"raw", "ml/data/raw"), (b"model", "ml/model.onnx")])
@pytest.mark.parametrize("damage", [b"7 bytes", None])
def test_s16_each_object_that_main_names_is_read(store: Path, content: bytes, path: str, damage: bytes | None) -> None:
    target = store / "files" / "md5" / md5(content)[:2] / md5(content)[2:]
    target.unlink()
    if damage is not None:
        target.write_bytes(damage)
    [found] = verify_data.problems(TREE)
    assert (found.path, found.kind) == (path, "missing" if damage is None else "corrupt")
