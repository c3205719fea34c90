"""An object is used only when it is what its name says, whole and small enough."""

import hashlib
import io
from pathlib import Path

import pytest

from mlplatform.objects import content
from mlplatform.objects.content import ObjectFault
from mlplatform.objects.verify import Entry, FolderReader

CONTENT = b"a model"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> FolderReader:
    place = tmp_path / "files" / "md5" / MD5[:2] / MD5[2:]
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    return FolderReader(tmp_path)


def test_what_it_holds_comes_with_a_hash_that_stands_against_a_forger(store: FolderReader) -> None:
    sink = io.BytesIO()
    assert content.read(store, MD5, 7, sink) == content.Content(hashlib.sha256(CONTENT).hexdigest(), 7)
    assert sink.getvalue() == CONTENT


@pytest.mark.parametrize(
    ("md5", "most", "kind", "message"),
    [
        (MD5, 6, "too large", "is larger than 6 bytes"),
        ("0" * 32, 100, "missing", "is missing"),
        (f"{MD5}.dir", 100, "corrupt", "is not the MD5 of a file"),
        ("../../etc/passwd", 100, "corrupt", "is not the MD5 of a file"),
    ],
)
def test_it_is_refused_by_name(store: FolderReader, md5: str, most: int, kind: str, message: str) -> None:
    with pytest.raises(ObjectFault, match=message) as caught:
        content.read(store, md5, most)
    assert caught.value.kind == kind


def test_s16_other_content_under_the_right_name_is_refused(store: FolderReader) -> None:
    (store.root / "files" / "md5" / MD5[:2] / MD5[2:]).write_bytes(b"b model")
    with pytest.raises(ObjectFault, match="holds other content: 7 bytes") as caught:
        content.read(store, MD5, 100)
    assert caught.value.kind == "corrupt"


def put(store: FolderReader, content: bytes) -> str:
    name = hashlib.md5(content, usedforsecurity=False).hexdigest()
    place = store.root / "files" / "md5" / name[:2] / f"{name[2:]}.dir"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return f"{name}.dir"


def test_a_path_has_one_file_or_those_that_its_listing_names(store: FolderReader) -> None:
    listing = put(store, f'[{{"md5": "{MD5}", "relpath": "a/b"}}]'.encode())

    assert content.files(store, "ml/x", MD5, 100) == [Entry("ml/x", MD5)]
    assert content.files(store, "ml/x", listing, 100) == [Entry("ml/x/a/b", MD5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "is no listing of a folder"),
        (b'[{"md5": "1", "relpath": "a"}]', "lists 'ml/x/a' without an MD5"),
        (f'[{{"md5": "{MD5}", "relpath": "../a"}}]'.encode(), "which leads out of the folder"),
        (b"[" + b" " * 100 + b"]", "is larger than 100 bytes"),
    ],
)
def test_a_listing_that_is_none_is_refused(store: FolderReader, text: bytes, message: str) -> None:
    with pytest.raises(ObjectFault, match=message):
        content.files(store, "ml/x", put(store, text), 100)


def test_a_listing_under_anothers_name_is_refused(store: FolderReader) -> None:
    place = put(store, b"[]")
    (store.root / "files" / "md5" / place[:2] / place[2:]).write_bytes(b"[ ]")
    with pytest.raises(ObjectFault, match="holds other content"):
        content.files(store, "ml/x", place, 100)
    with pytest.raises(ObjectFault, match="is no MD5"):
        content.files(store, "ml/x", "../x.dir", 100)
