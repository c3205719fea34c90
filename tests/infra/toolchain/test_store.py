import multiprocessing
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from toolchain import manifest
from toolchain.errors import ToolchainError
from toolchain.manifest import Tool
from toolchain.store import Store


@pytest.fixture
def hello(write_toolchain: Callable[..., Path]) -> Tool:
    return manifest.load(write_toolchain())["hello"]


@pytest.fixture
def store(tmp_path: Path, hello: Tool) -> Store:
    store = Store(tools=tmp_path / "tools", bin=tmp_path / "bin")
    (store.tools / hello.name).mkdir(parents=True)
    return store


def install(store: Store, tool: Tool, content: str = "new") -> None:
    with store.staging(tool, lambda: "build") as folder:
        (folder / "hello").write_text(content)


def never() -> None:
    raise AssertionError("nobody else has the lock")


def test_a_finished_copy_is_known_by_its_recipe(
    store: Store, hello: Tool, write_toolchain: Callable[..., Path]
) -> None:
    assert store.source(hello) is None
    install(store, hello)
    assert store.source(hello) == "build"
    [other] = manifest.load(write_toolchain(url="http://elsewhere")).values()
    assert store.source(other) is None


def test_an_interrupted_copy_leaves_the_old_one_alone(store: Store, hello: Tool) -> None:
    install(store, hello, "old")

    def interrupted() -> None:
        with store.staging(hello, lambda: "build") as folder:
            (folder / "hello").write_text("half")
            assert (store.folder(hello) / "hello").read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (store.folder(hello) / "hello").read_text() == "old"
    assert store.source(hello) == "build"
    assert [path.name for path in (store.tools / "hello").iterdir()] == ["v1.2.3"]


def test_what_a_killed_run_left_is_removed(store: Store, hello: Tool) -> None:
    for left in (".new-killed", ".old-killed"):
        (store.tools / "hello" / left).mkdir()
    install(store, hello)
    assert [path.name for path in (store.tools / "hello").iterdir()] == ["v1.2.3"]


@pytest.mark.parametrize("damage", ["no binary", "no stamp", "broken stamp"])
def test_a_damaged_copy_is_no_copy(store: Store, hello: Tool, damage: str) -> None:
    install(store, hello)
    if damage == "no binary":
        (store.folder(hello) / "hello").unlink()
    elif damage == "no stamp":
        (store.folder(hello) / ".installed.json").unlink()
    else:
        (store.folder(hello) / ".installed.json").write_text('{"recipe"')
    assert store.source(hello) is None
    install(store, hello)
    assert store.source(hello) == "build"


def test_a_new_copy_replaces_the_old_one_whole(store: Store, hello: Tool) -> None:
    install(store, hello, "old")
    (store.folder(hello) / "stale").touch()
    install(store, hello, "new")
    assert sorted(path.name for path in store.folder(hello).iterdir()) == [".installed.json", "hello"]
    assert (store.folder(hello) / "hello").read_text() == "new"


def test_the_lock_makes_a_second_one_wait(store: Store, hello: Tool) -> None:
    events: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        def pause() -> None:
            waiting.set()
            time.sleep(0.01)

        with store.locked(hello, pause):
            events.append("second")

    thread = threading.Thread(target=second)
    with store.locked(hello, never):
        thread.start()
        assert waiting.wait(10)
        events.append("first")
    thread.join(10)
    assert events == ["first", "second"]


def _take_and_hold(tools: Path, tool: Tool, taken: "multiprocessing.synchronize.Event") -> None:
    with Store(tools=tools, bin=tools / "bin").locked(tool, never):
        taken.set()
        time.sleep(60)


def test_a_killed_process_frees_the_lock(store: Store, hello: Tool) -> None:
    context = multiprocessing.get_context("fork")
    taken = context.Event()
    process = context.Process(target=_take_and_hold, args=(store.tools, hello, taken))
    process.start()
    assert taken.wait(10)
    process.kill()
    process.join(10)
    with store.locked(hello, never):
        pass


def test_a_cache_that_cannot_be_written_is_refused_with_the_fix(tmp_path: Path, hello: Tool) -> None:
    (tmp_path / "file").touch()
    store = Store(tools=tmp_path / "file", bin=tmp_path / "bin")
    message = r"cannot be written .*; run it as root, or set ML_PLATFORM_CACHE_DIR"
    with pytest.raises(ToolchainError, match=message), store.locked(hello, never):
        pass


def test_links_follow_their_tool(store: Store, tmp_path: Path) -> None:
    store.link({"hello": tmp_path / "one"})
    store.link({"hello": tmp_path / "two"})
    assert (store.bin / "hello").readlink() == tmp_path / "two"
    assert [path.name for path in store.bin.iterdir()] == ["hello"]
