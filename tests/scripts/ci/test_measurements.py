"""Main's declaration and pointers, read from a tree."""

import pytest

from ci import measurements
from ci.document import DocumentError
from ci.measurements import Unmeasurable
from ci.tree import Overlay
from measured_project import DECLARATION


class Nothing:
    """A tree without files."""

    def read(self, path: str) -> bytes | None:
        return None

    def files(self, folder: str) -> list[str]:
        return []


def tree(**files: str) -> Overlay:
    content = {name.replace("__", "/").replace("_dot_", "."): text.encode() for name, text in files.items()}
    return Overlay(Nothing(), frozenset(content), content)


def test_a_project_without_a_declaration_measures_nothing() -> None:
    assert measurements.rules(tree()) is None


def test_a_wrong_declaration_is_named_with_its_key() -> None:
    text = DECLARATION.replace("share: 0.3", "share: 3")
    with pytest.raises(Unmeasurable, match=r"main's ml/evaluation.yaml: test_set.share: "):
        measurements.rules(tree(ml__evaluation_dot_yaml=text))


def test_s5_the_test_set_lies_in_the_remote_that_its_pointer_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    declared = measurements.rules(tree(ml__evaluation_dot_yaml=DECLARATION))
    assert declared
    remotes = "".join(f"['remote \"{name}\"']\nurl = s3://b/{name}\n" for name in ("storage", "test"))
    main = {
        "ml__dot_dvc__config": "",
        "ml__data__test_dot_safetensors_dot_dvc": f"outs: [{{md5: {'a' * 32}, path: test.safetensors, remote: test}}]",
    }
    found = measurements.test_set(
        Overlay(
            tree(**main),
            frozenset({"ml/.dvc/config"}),
            {"ml/.dvc/config": f"[core]\nremote = storage\n{remotes}".encode()},
        ),
        declared,
    )
    assert (found.md5, found.reader.bucket, found.reader.prefix) == ("a" * 32, "b", "/test")
    with pytest.raises(DocumentError, match=r"main has no ml/data/test.safetensors.dvc"):
        measurements.test_set(tree(), declared)
