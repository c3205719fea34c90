"""`ci.lock` says the same as DVC itself, of a pipeline that DVC ran."""

import os
import subprocess
from pathlib import Path

import pytest

from ci import lock, pipeline

pytestmark = pytest.mark.tools

ROOT = Path(__file__).resolve().parents[3]
FILES = {
    "dvc.yaml": """
stages:
  prepare:
    cmd: cat data/raw/* lib/*.txt lib/deep/*.txt > prepared
    deps: [data/raw, lib]
    outs: [prepared]
  train:
    cmd:
      - mkdir -p model plots
      - cp prepared model/weights
      - cp prepared plots/curves.csv
      - cp params.yaml metrics.json
    deps: [prepared, ../shared.txt]
    params: [train.rate, train.layers, other.yaml: [name]]
    outs: [model]
    metrics:
      - metrics.json: {cache: false}
    plots:
      - plots: {cache: false}
""",
    "params.yaml": "train: {rate: 0.001, layers: [1, 2], unused: 1}\n",
    "other.yaml": "name: é\n",
    "lib/b.txt": "b\r\n",
    "lib/a.txt": "a\n",
    "lib/deep/ü.txt": "c\n",
    "data/raw/one": "1\n",
    "../shared.txt": "shared\n",
}
CHANGES = {
    "a file in a folder": ("lib/deep/ü.txt", "d\n"),
    "a parameter": ("params.yaml", "train: {rate: 0.002, layers: [1, 2], unused: 1}\n"),
    "a list": ("params.yaml", "train: {rate: 0.001, layers: [1, 3], unused: 1}\n"),
    "a plot": ("plots/curves.csv", "x\n"),
    "a file above": ("../shared.txt", "other\n"),
    "an unused parameter": ("params.yaml", "train: {rate: 1.0e-3, layers: [1, 2], unused: 2}\n"),
    "a file that no stage reads": ("README.md", "text\n"),
}


class Folder:
    """A working tree."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        file = self.root / path
        return file.read_bytes() if file.is_file() else None

    def files(self, folder: str) -> list[str]:
        found = (self.root / folder).rglob("*")
        return sorted(path.relative_to(self.root).as_posix() for path in found if path.is_file())


def test_ci_lock_and_dvc_status_agree(jobs_cache: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "CACHE_DIR": str(jobs_cache)}

    def dvc(*arguments: str) -> str:
        command = [ROOT / "scripts/ci/environment", "ml", "dvc", *arguments]
        done = subprocess.run(command, cwd=tmp_path / "ml", env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for name, text in FILES.items():
        path = tmp_path / "ml" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    dvc("init", "--quiet", "--subdir")
    dvc("add", "--quiet", "data/raw")
    dvc("repro", "--quiet")
    # In a commit there is neither data nor what DVC caches.
    tree = Folder(tmp_path)
    line = pipeline.load(tree, "ml")
    assert lock.problems(tree, line) == []

    found = {}
    for what, (name, text) in CHANGES.items():
        path = tmp_path / "ml" / name
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(text.encode())
        found[what] = (dvc("status", "--json").strip() == "{}", lock.problems(tree, line) == [])
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)

    assert all(says_dvc == we_say for says_dvc, we_say in found.values()), found
    assert [what for what, (fresh, _) in found.items() if fresh] == [
        "an unused parameter",
        "a file that no stage reads",
    ]
