"""What of a pull request's data main's code compares, told from what git tracks."""

import pytest
from yaml import safe_load

from ci import looks
from ci.document import DocumentError
from ci.looks import Training
from ci.tree import Overlay, Tree
from measured_project import DECLARATION
from mlplatform.evaluation.declaration import Declaration, parse

A, B, C = "a" * 32, "b" * 32, "c" * 32
POINTER = "ml/data/test.safetensors.dvc"
CONFIG = "[core]\nremote = storage\n" + "".join(f"['remote \"{n}\"']\nurl = s3://b/{n}\n" for n in ("storage", "test"))
PIPELINE = (
    "stages:\n  prepare: {cmd: p, deps: [data/raw], outs: [prepared]}\n  train: {cmd: t, deps: [TRAIN], outs: [m]}\n"
)
LOCK = (
    "schema: '2.0'\nstages:\n"
    f"  prepare: {{cmd: p, outs: [{{path: prepared, hash: md5, md5: {A}.dir}}]}}\n"
    f"  train: {{cmd: t, outs: [{{path: m, hash: md5, md5: {B}}}]}}\n"
)


class Nothing:
    """A tree without files."""

    def read(self, path: str) -> bytes | None:
        return None

    def files(self, folder: str) -> list[str]:
        return []


def tree(files: dict[str, str], base: Tree | None = None) -> Overlay:
    return Overlay(base or Nothing(), frozenset(files), {name: text.encode() for name, text in files.items()})


def without(base: Tree, path: str) -> Overlay:
    return Overlay(base, frozenset({path}), {})


def pointer(md5: str, path: str = "test.safetensors", more: str = ", remote: test") -> str:
    return f"outs:\n- {{md5: {md5}, size: 7, hash: md5, path: {path}{more}}}\n"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


MAIN = tree(
    {
        "ml/.dvc/config": CONFIG,
        "ml/dvc.yaml": PIPELINE.replace("TRAIN", "prepared"),
        "ml/dvc.lock": LOCK,
        "ml/data/raw.dvc": pointer(C, "raw", ""),
        POINTER: pointer(A),
    }
)


def declared(*training: str) -> Declaration:
    return parse(safe_load(DECLARATION) | {"training_data": list(training)}, "evaluation.yaml")


def test_a_new_test_set_is_looked_for_where_main_has_its_own() -> None:
    evil = {"ml/.dvc/config": CONFIG.replace("s3://b/", "s3://evil/"), POINTER: pointer(B)}
    found = looks.test_set(MAIN, MAIN, tree(evil, MAIN), declared())

    assert found is not None
    assert found.located is not None
    assert (found.faults, found.located.md5) == ((), B)
    assert (found.located.reader.bucket, found.located.reader.prefix) == ("b", "/test")


def test_a_branch_that_changes_no_test_set_puts_none_in_the_place_of_one_that_main_has_got_since() -> None:
    newer = tree({POINTER: pointer(B)}, MAIN)

    assert looks.test_set(MAIN, MAIN, MAIN, declared()) is None
    assert looks.test_set(newer, MAIN, MAIN, declared()) is None
    # Nor one that brings what main has got by another way.
    assert looks.test_set(newer, MAIN, newer, declared()) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (pointer(B, more=", remote: storage"), "its file says more than another content"),
        (pointer(B, more=""), "its file says more than another content"),
        (pointer(B, more=", remote: test, cache: false"), "its file says more than another content"),
        ("frozen: true\n" + pointer(B), "its file says more than another content"),
        (pointer(B) + "- {md5: x, path: more}\n", f"{POINTER}: must name one file"),
        (pointer(B, path="../x"), f"{POINTER}: names no hash of test.safetensors"),
        ("outs: 7", f"{POINTER}: names no hash of test.safetensors"),
        ("{", f"{POINTER}: not readable as YAML"),
    ],
)
def test_a_pointer_that_says_anything_else_is_told_to_an_owner(text: str, fault: str) -> None:
    found = looks.test_set(MAIN, MAIN, tree({POINTER: text}, MAIN), declared())

    assert found is not None
    assert found.located is None
    assert found.faults[0].startswith(fault)


def test_a_test_set_that_is_gone_is_told_to_an_owner() -> None:
    found = looks.test_set(MAIN, MAIN, without(MAIN, POINTER), declared())

    assert found == looks.TestSet(None, (f"{POINTER} is gone",))


def test_what_training_reads_is_an_output_of_a_stage_or_tracked_by_a_dvc_file() -> None:
    assert looks.training(MAIN, declared("ml/prepared", "ml/data/raw")) == Training(
        {"ml/prepared": f"{A}.dir", "ml/data/raw": C}, {}
    )
    assert looks.training(MAIN, declared()) == Training({}, {})


def test_training_data_that_nothing_names_are_an_owners() -> None:
    assert looks.training(MAIN, declared("ml/other")).unknown["ml/dvc.lock"] == (
        "it names no ml/other, which training reads"
    )
    # Unless main's are alike.
    assert looks.new_training(MAIN, MAIN, declared("ml/other"), False) == Training({}, {})


@pytest.mark.parametrize("path", ["data/raw", "data", "data/raw/part"])
def test_raw_data_reach_training_only_through_what_main_looks_at(path: str) -> None:
    around = tree({"ml/dvc.yaml": PIPELINE.replace("TRAIN", f"prepared, {path}")}, MAIN)

    found = looks.new_training(MAIN, around, declared("ml/prepared"), False)

    assert found.unknown == {
        "ml/dvc.yaml (stage train)": f"it reads ml/{path}, in which main does not look for rows of the test set"
    }
    assert looks.new_training(around, around, declared("ml/prepared"), False).unknown == {}
    # Whoever reads all that lies beside it reads the test set too.
    allowed = looks.new_training(MAIN, around, declared("ml/prepared", "ml/data/raw"), False).unknown
    assert bool(allowed) is (path == "data")


def test_data_that_a_file_of_another_name_tracks_count_too() -> None:
    hidden = {"ml/x.dvc": pointer(B, "hidden", ""), "ml/dvc.yaml": PIPELINE.replace("TRAIN", "prepared, hidden")}

    assert looks.new_training(MAIN, tree(hidden, MAIN), declared("ml/prepared"), False).unknown


def test_data_are_looked_at_when_they_or_the_test_set_are_others() -> None:
    rules = declared("ml/prepared")
    other = tree({"ml/dvc.lock": LOCK.replace(A, C)}, MAIN)

    assert looks.new_training(MAIN, MAIN, rules, False).objects == {}
    assert looks.new_training(MAIN, MAIN, rules, True).objects == {"ml/prepared": f"{A}.dir"}
    assert looks.new_training(MAIN, other, rules, False).objects == {"ml/prepared": f"{C}.dir"}
    assert looks.new_training(without(MAIN, "ml/dvc.lock"), MAIN, rules, False).objects == {"ml/prepared": f"{A}.dir"}


def test_a_file_of_dvcs_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(DocumentError, match=r"ml/bad.dvc: outs"):
        looks.training(tree({"ml/bad.dvc": "outs: 7"}, MAIN), declared("ml/prepared"))


def test_a_file_is_told_with_what_names_it() -> None:
    objects = {"ml/prepared": A, "ml/data/raw": C}

    assert looks.source("ml/prepared/x", objects, MAIN) == "ml/prepared/x (of ml/dvc.lock)"
    assert looks.source("ml/data/raw/x", objects, MAIN) == "ml/data/raw/x (of ml/data/raw.dvc)"
