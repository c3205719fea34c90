"""A model becomes a Bento and layers with the same bytes each time, and what is missing is named."""

import gzip
import importlib.util
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from digits import bento
from digits.errors import UserError
from mlplatform.evaluation import declaration
from mlplatform.evaluation.scope import Change, scope

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements" / "serve.txt"


@pytest.fixture(scope="module")
def packaged(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bento.package(model_dir, REQUIREMENTS, tmp_path_factory.mktemp("first") / "bento")


@pytest.fixture
def one_package(tmp_path: Path) -> Path:
    """A lock of one small package, with its hashes."""
    text = REQUIREMENTS.read_text()
    block = re.search(r"^click==.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
    assert block
    path = tmp_path / "one.txt"
    path.write_text(block[0])
    return path


def test_c10_an_owner_is_asked_for_whatever_the_image_has_besides_the_model(packaged: Path) -> None:
    """Main measures the model's file alone: what the service does to a picture before is for a person to judge."""
    code = packaged / "src"
    shipped = {f"ml/src/digits/{name}" for name in bento.PACKAGE_MODULES}
    assert shipped == {f"ml/src/digits/{path.relative_to(code / 'digits')}" for path in code.glob("digits/**/*.py")}
    shipped |= {f"ml/service/{path.name}" for path in code.iterdir() if path.suffix == ".py"}
    shipped |= {str(REQUIREMENTS.relative_to(ROOT)), f"ml/src/digits/{Path(bento.__file__).name}"}

    found = scope([Change(path) for path in shipped], declaration.load(ROOT / "ml"), "ml")

    assert {ask.file for ask in found.owner} == shipped


def entries(layer: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(layer) as archive:
        return archive.getmembers()


def test_the_bento_holds_model_and_code_and_no_torch(packaged: Path, model_dir: Path) -> None:
    information = yaml.safe_load((packaged / "bento.yaml").read_text())
    assert information["name"] == "classifier"
    (model,) = information["services"][0]["models"]
    name, version = model["tag"].split(":")
    assert version == information["version"]
    stored = packaged / "models" / name / version
    assert (stored / "model.onnx").read_bytes() == (model_dir / "model.onnx").read_bytes()
    assert {path.name for path in stored.iterdir()} == {"model.onnx", "model.yaml"}
    assert {path.name for path in (packaged / "src").iterdir()} >= {"service.py", "run.py", "digits"}
    assert not re.search(r"^(torch|dvc)==", (packaged / "env/python/requirements.txt").read_text(), re.MULTILINE)


def test_no_index_and_no_path_of_this_machine_is_in_the_bento(packaged: Path) -> None:
    for path in packaged.rglob("*"):
        if path.suffix in {".yaml", ".txt", ".in", ".py", ".json"}:
            text = path.read_text()
            assert str(ROOT) not in text, path
            assert "index-url" not in text, path


def test_the_same_input_gives_the_same_layer(packaged: Path, model_dir: Path, tmp_path: Path) -> None:
    again = bento.package(model_dir, REQUIREMENTS, tmp_path / "again")
    first = bento.bento_layer(packaged, tmp_path / "first.tar.gz")
    second = bento.bento_layer(again, tmp_path / "second.tar.gz")
    assert bento.digest(first) == bento.digest(second)


def test_another_model_gives_another_version(packaged: Path, model_dir: Path, tmp_path: Path) -> None:
    other = tmp_path / "model"
    other.mkdir()
    (other / "model.onnx").write_bytes((model_dir / "model.onnx").read_bytes() + b"\0")
    changed = bento.package(other, REQUIREMENTS, tmp_path / "bento")
    versions = [yaml.safe_load((path / "bento.yaml").read_text())["version"] for path in (packaged, changed)]
    assert versions[0] != versions[1]


def test_the_layer_can_be_read_by_any_user_and_written_by_root_only(packaged: Path, tmp_path: Path) -> None:
    layer = bento.bento_layer(packaged, tmp_path / "bento.tar.gz")
    members = entries(layer)
    names = [member.name for member in members]
    assert names[:3] == ["opt", "opt/classifier", "opt/classifier/bento"]
    assert names[3:] == sorted(names[3:], key=lambda name: name.split("/"))
    assert bento.ENTRYPOINT[1].lstrip("/") in names
    for member in members:
        assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
        assert member.mode & 0o444 == 0o444
        assert not member.mode & 0o022


def test_the_layer_of_dependencies_is_the_same_each_time(one_package: Path, tmp_path: Path) -> None:
    layers = [bento.dependencies_layer(one_package, tmp_path / name) for name in ("first", "second")]
    assert layers[0].name == layers[1].name
    assert bento.digest(layers[0]) == bento.digest(layers[1])
    names = {member.name for member in entries(layers[0])}
    assert "opt/classifier/site-packages/click/core.py" in names
    assert "opt/classifier/site-packages/click/__pycache__/core.cpython-311.pyc" in names
    assert {path.name for path in (tmp_path / "first").iterdir()} == {layers[0].name}


def test_bytecode_is_valid_without_a_look_at_the_source(one_package: Path, tmp_path: Path) -> None:
    layer = bento.dependencies_layer(one_package, tmp_path / "cache")
    with tarfile.open(layer) as archive:
        code = archive.extractfile("opt/classifier/site-packages/click/__pycache__/core.cpython-311.pyc")
        assert code is not None
        content = code.read()
    assert content[:4] == importlib.util.MAGIC_NUMBER
    assert content[4:8] == b"\x01\0\0\0"  # by hash, unchecked
    assert b"/opt/classifier/site-packages/click/core.py" in content
    assert str(tmp_path).encode() not in content


def test_a_layer_that_was_made_is_taken(one_package: Path, tmp_path: Path) -> None:
    layer = bento.dependencies_layer(one_package, tmp_path)
    layer.write_bytes(gzip.compress(b"kept"))
    assert bento.dependencies_layer(one_package, tmp_path).read_bytes() == layer.read_bytes()


def test_a_package_without_its_hash_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "open.txt"
    path.write_text("click==8.1.7\n")
    with pytest.raises(UserError, match=r"open.txt: uv cannot install it"):
        bento.dependencies_layer(path, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_another_python_is_refused(one_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bento, "PYTHON", (3, 99))
    with pytest.raises(UserError, match="cannot compile for the image"):
        bento.dependencies_layer(one_package, tmp_path)


def test_a_model_that_was_not_pulled_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model.onnx: missing; fetch it with `dvc pull`"):
        bento.package(tmp_path, REQUIREMENTS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_exists_is_not_overwritten(model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        bento.package(model_dir, REQUIREMENTS, tmp_path)


def test_the_command_reports_a_missing_model_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "digits.bento", tmp_path, REQUIREMENTS, tmp_path / "out"]
    done = subprocess.run(command, cwd=ROOT / "ml" / "src", capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}/model.onnx: missing")
    assert len(done.stderr.splitlines()) == 1
