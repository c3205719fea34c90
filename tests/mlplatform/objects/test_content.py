"""An object is used only when it is what its name says, whole and small enough."""

import hashlib
import io
from pathlib import Path

import pytest

from mlplatform.objects import content
from mlplatform.objects.content import ObjectFault
from mlplatform.objects.verify import FolderReader

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
