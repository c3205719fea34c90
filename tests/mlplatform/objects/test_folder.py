"""DVC's objects on their way between stores: what arrives is what its name says."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from mlplatform.objects.folder import check, copy, forget
from mlplatform.objects.verify import Entry, FolderReader


def md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def put(root: Path, content: bytes, suffix: str = "", name: str = "") -> str:
    """An object in a remote that is a folder; its name is its MD5 unless another one is given."""
    md5 = name or md5_of(content) + suffix
    path = root / "files" / "md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5


def put_folder(root: Path, *md5s: str) -> str:
    listing = [{"md5": md5, "relpath": str(number)} for number, md5 in enumerate(md5s)]
    return put(root, json.dumps(listing).encode(), ".dir")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def kept(root: Path) -> set[str]:
    return {path.parent.name + path.name for path in root.glob("files/md5/*/*")}


def test_files_and_folders_are_copied_once_as_dvc_keeps_them(store: Path, cache: Path) -> None:
    one, two = put(store, b"one"), put(store, b"two")
    put(store, b"nobody asked for this")
    folder = put_folder(store, one, two)
    found = copy([Entry("data", folder), Entry("model", one)], FolderReader(store), cache)
    assert (found.new, found.present, found.missing, found.corrupt) == (3, 0, [], [])
    assert kept(cache) == {one, two, folder}
    modes = {path.stat().st_mode & 0o777 for path in cache.glob("files/md5/*/*")}
    assert modes == {0o444}
    again = copy([Entry("data", folder)], FolderReader(store), cache)
    assert (again.new, again.present) == (0, 3)


def test_s3_an_object_with_other_content_is_not_taken_whatever_its_mode(store: Path, cache: Path) -> None:
    good = put(store, b"good")
    bad = put(store, b"poison", name=md5_of(b"data"))
    (store / "files" / "md5" / bad[:2] / bad[2:]).chmod(0o444)
    found = copy([Entry("data", put_folder(store, good, bad))], FolderReader(store), cache)
    assert found.corrupt == [bad]
    assert bad not in kept(cache)
    assert good in kept(cache)
    assert not list(cache.rglob(".partial*"))


def test_s3_a_listing_with_other_content_leads_nowhere(store: Path, cache: Path) -> None:
    file = put(store, b"poison")
    listing = json.dumps([{"md5": file, "relpath": "0"}]).encode()
    folder = put(store, listing, name=md5_of(b"[]") + ".dir")
    found = copy([Entry("data", folder)], FolderReader(store), cache)
    assert found.corrupt == [folder]
    assert kept(cache) == set()


@pytest.mark.parametrize("listing", ["{", "{}", "[1]", "[{}]", '[{"md5": "../../x", "relpath": "a"}]'])
def test_a_listing_that_is_none_is_no_traceback(store: Path, cache: Path, listing: str) -> None:
    folder = put(store, listing.encode(), ".dir")
    copy([Entry("data", folder)], FolderReader(store), cache)
    assert kept(cache) <= {folder}


def test_what_the_store_lacks_is_named(store: Path, cache: Path) -> None:
    md5 = md5_of(b"gone")
    assert copy([Entry("data", md5)], FolderReader(store), cache).missing == [md5]
    assert copy([Entry("data", "no-md5")], FolderReader(store), cache).new == 0


def test_s3_a_check_removes_what_is_not_what_its_name_says(store: Path, tmp_path: Path) -> None:
    good = put(store, b"good")
    folder = put_folder(store, good)
    bad = put(store, b"poison", name=md5_of(b"data"))
    (tmp_path / "target").write_bytes(b"linked")
    linked = md5_of(b"linked")
    path = store / "files" / "md5" / linked[:2] / linked[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path / "target")
    assert sorted(check(store)) == sorted([bad, linked])
    assert kept(store) == {good, folder}
    assert (tmp_path / "target").read_bytes() == b"linked"


def test_a_check_leaves_a_copy_that_is_under_way_and_removes_what_a_killed_one_left(store: Path) -> None:
    put(store, b"good")
    [folder] = (store / "files" / "md5").iterdir()
    fresh, old = folder / ".partial-1-a", folder / ".partial-2-b"
    for path in (fresh, old):
        path.touch()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    assert check(store) == []
    assert fresh.exists()
    assert not old.exists()


def test_an_empty_layer_has_nothing_wrong(store: Path) -> None:
    assert check(store) == []


def test_d7_an_object_that_nobody_names_goes_after_its_time(store: Path, cache: Path) -> None:
    one, two, old, young = (put(store, content) for content in (b"one", b"two", b"old", b"young"))
    folder = put_folder(store, one, two)
    found = copy([Entry("data", folder), Entry("a", old), Entry("b", young)], FolderReader(store), cache)
    assert found.named == {folder, one, two, old, young}
    for path in cache.glob("files/md5/*/*"):
        if not path.match(f"*/{young[:2]}/{young[2:]}"):
            os.utime(path, (time.time() - 100,) * 2)
    assert forget(cache, {folder, one, two}, 50) == 1
    assert kept(cache) == {folder, one, two, young}
    # What was named has its time from then on.
    assert forget(cache, set(), 50) == 0
