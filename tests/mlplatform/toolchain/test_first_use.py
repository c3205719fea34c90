"""The record of what a host trusts because it used it first: kept whole, by everybody at once, and never widened."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlplatform.toolchain.first_use import FirstUse, TrustError

ONE, OTHER = "1" * 64, "2" * 64
URL = "https://upstream.example/tool"


@pytest.fixture
def record(tmp_path: Path) -> FirstUse:
    return FirstUse(tmp_path / "state" / "trusted.json")


def test_what_was_trusted_is_kept_with_who_said_so(record: FirstUse) -> None:
    assert record.get(URL) is None
    record.record(URL, ONE, f"{URL}.sha256")
    trusted = FirstUse(record.path).get(URL)
    assert trusted is not None
    assert (trusted.name, trusted.sha256, trusted.source) == (URL, ONE, f"{URL}.sha256")
    assert len(trusted.since) == len("2026-01-01")
    assert record.all() == [trusted]


def test_everybody_may_read_it_and_nothing_lies_beside_it(record: FirstUse) -> None:
    record.record(URL, ONE, "upstream")
    assert record.path.stat().st_mode & 0o777 == 0o644
    assert list(record.path.parent.iterdir()) == [record.path]


def test_another_sum_is_refused_and_the_first_one_stays(record: FirstUse) -> None:
    record.record(URL, ONE, "upstream")
    record.record(URL, ONE, "somebody else")
    with pytest.raises(
        TrustError, match=rf"^{URL}: has sha256 2+\.\.\., not 1+\.\.\. as on .* remove its entry from /"
    ):
        record.record(URL, OTHER, "upstream")
    [trusted] = record.all()
    assert (trusted.sha256, trusted.source) == (ONE, "upstream")


def test_many_at_once_lose_nothing(record: FirstUse) -> None:
    names = [f"{URL}-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: FirstUse(record.path).record(name, ONE, "upstream"), names))
    assert [trusted.name for trusted in record.all()] == sorted(names)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"x": 1}', '{"x": {"sha256": "short", "source": "", "since": ""}}', '{"x": {"sha256": 1}}', "\0"],
)
def test_a_damaged_record_is_not_taken_for_an_empty_one(record: FirstUse, text: str) -> None:
    record.path.parent.mkdir()
    record.path.write_text(text)
    for look in (lambda: record.get(URL), record.all, record.check_writable, lambda: record.record(URL, ONE, "x")):
        with pytest.raises(TrustError, match=r"trusted\.json: is damaged; restore it, or remove it to trust"):
            look()
    assert record.path.read_text() == text


def test_a_write_that_fails_leaves_the_old_record(record: FirstUse, monkeypatch: pytest.MonkeyPatch) -> None:
    record.record(URL, ONE, "upstream")
    before = record.path.read_bytes()

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("json.dump", full)
        with pytest.raises(
            TrustError, match=r"cannot be written \(No space left on device\); run it as root, or set ML_"
        ):
            record.record(f"{URL}-2", ONE, "upstream")
    assert record.path.read_bytes() == before
    assert json.loads(before)[URL]["sha256"] == ONE
    assert list(record.path.parent.iterdir()) == [record.path]


def test_a_folder_that_cannot_be_made_is_said_before_a_download(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(TrustError, match=r"trusted\.json: cannot be \w+ \("):
        FirstUse(tmp_path / "state" / "trusted.json").check_writable()


def test_only_a_sum_can_be_recorded(record: FirstUse) -> None:
    with pytest.raises(ValueError, match="is no sha256"):
        record.record(URL, "sha256:" + ONE, "upstream")
