"""Images come into a real registry: built, taken from the cache, pulled by digest; and each only when need be."""

import fcntl
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from images import build, inputs, store, upstream
from images.catalog import Image, images
from images.errors import ImageError
from images.registry import Registry
from images.store import Outcome, Store
from mlplatform.toolchain.first_use import FILE
from settings import Paths


def bring(paths: Paths, registry: Registry | None, *names: str, refresh: bool = False) -> tuple[list[Outcome], str]:
    said: list[str] = []
    with Store.opened(paths, said.append, refresh) as opened:
        outcomes = opened.bring(names, registry)
    return outcomes, "\n".join(said)


@pytest.fixture
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, without_upstream())


def without_upstream() -> dict[str, Image]:
    """The catalogue without digests and registries, so that images are built."""
    return {name: replace(image, digest="", registry="") for name, image in images().items()}


def use(monkeypatch: pytest.MonkeyPatch, catalogue: dict[str, Image]) -> None:
    for module in (inputs, store):
        monkeypatch.setattr(module, "images", lambda: catalogue)


@pytest.mark.tools
@pytest.mark.usefixtures("unpinned")
def test_an_image_is_built_and_pushed_once(paths: Paths, registry: Registry) -> None:
    (first,), said = bring(paths, registry, "pause")
    assert "built, pushed" in said
    assert first.changed
    assert registry.digest("pause", images()["pause"].tag) == first.digest
    (second,), said = bring(paths, registry, "pause")
    assert said.endswith(": present")
    assert second == Outcome("pause", first.digest, changed=False)
    assert not (paths.cache / "images" / "work").exists()


@pytest.mark.tools
@pytest.mark.usefixtures("unpinned")
def test_a_new_registry_is_filled_from_the_cache(paths: Paths, registry: Registry, serve: Callable[..., str]) -> None:
    (first,), _ = bring(paths, registry, "pause")
    (second,), said = bring(paths, replace(registry, host=serve("another")), "pause")
    assert "cached, pushed" in said
    assert second == first


@pytest.mark.tools
@pytest.mark.usefixtures("unpinned")
def test_a_lost_cache_does_not_change_what_the_registry_holds(paths: Paths, registry: Registry) -> None:
    (first,), _ = bring(paths, registry, "pause")
    shutil.rmtree(paths.cache / "images")
    (second,), said = bring(paths, registry, "pause")
    assert said.endswith(": present")
    assert second.digest == first.digest


@pytest.mark.tools
@pytest.mark.usefixtures("unpinned")
def test_a_tag_that_someone_moved_is_set_back(paths: Paths, registry: Registry) -> None:
    (pause, etcd), _ = bring(paths, registry, "pause", "etcd")
    (layout,) = (paths.cache / "images" / "etcd").iterdir()
    registry.push(layout, "pause", [images()["pause"].tag], paths.cache)
    (again,), _ = bring(paths, registry, "pause")
    assert again.changed
    assert registry.digest("pause", images()["pause"].tag) == pause.digest != etcd.digest


@pytest.mark.tools
@pytest.mark.usefixtures("unpinned")
def test_equal_inputs_give_equal_digests_in_another_cache(paths: Paths, tmp_path: Path) -> None:
    other = Paths(state=paths.state, cache=tmp_path / "elsewhere" / "cache")
    other.cache.mkdir(parents=True)
    other.bin.symlink_to(paths.bin)
    assert bring(paths, None, "pause")[0] == bring(other, None, "pause")[0]


@pytest.mark.tools
@pytest.mark.usefixtures("unpinned")
def test_coredns_may_listen_on_port_53_as_an_ordinary_user(paths: Paths) -> None:
    bring(paths, None, "coredns")
    (layout,) = (paths.cache / "images" / "coredns").iterdir()
    blobs = layout / "blobs" / "sha256"
    manifest = json.loads((blobs / build.digest(layout).removeprefix("sha256:")).read_text())
    config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    assert config["config"]["User"] == "65532:65532"
    with tarfile.open(blobs / manifest["layers"][0]["digest"].removeprefix("sha256:")) as layer:
        headers = layer.getmember("coredns").pax_headers
    assert "SCHILY.xattr.security.capability" in headers


@pytest.mark.tools
@pytest.mark.usefixtures("unpinned")
def test_a_damaged_layout_is_made_again(paths: Paths, registry: Registry) -> None:
    (first,), _ = bring(paths, None, "pause")
    (layout,) = (paths.cache / "images" / "pause").iterdir()
    for blob in (layout / "blobs" / "sha256").iterdir():
        blob.write_bytes(b"")
    (second,), said = bring(paths, registry, "pause")
    assert "built, pushed" in said
    assert second.digest == first.digest


@pytest.mark.tools
@pytest.mark.usefixtures("unpinned")
def test_what_a_killed_run_left_is_cleared(paths: Paths) -> None:
    left = paths.cache / "images" / "work" / "pause" / "layout"
    left.mkdir(parents=True)
    outcomes, _ = bring(paths, None, "pause")
    assert len(outcomes) == 1
    assert not left.exists()


@pytest.mark.tools
def test_a_pinned_image_is_pulled_by_its_digest(
    paths: Paths, registry: Registry, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second registry plays upstream; its tag has moved on since the digest was pinned."""
    host = serve("upstream", login=False)
    playing_upstream = replace(registry, host=host)
    use(monkeypatch, without_upstream())
    (pause, _), _ = bring(paths, None, "pause", "etcd")
    (pause_layout,) = (paths.cache / "images" / "pause").iterdir()
    (newer_layout,) = (paths.cache / "images" / "etcd").iterdir()
    tag = images()["pause"].tag
    playing_upstream.push(pause_layout, "pause", [tag], paths.cache)
    playing_upstream.push(newer_layout, "pause", [tag], paths.cache)

    pinned = replace(images()["pause"], registry=host, digest=pause.digest)
    use(monkeypatch, {"pause": pinned})
    assert upstream.current_digest(pinned, registry.crane) == build.digest(newer_layout) != pause.digest
    shutil.rmtree(paths.cache / "images")
    (pulled,), said = bring(paths, registry, "pause")
    assert "pulled, pushed" in said
    assert pulled.digest == pause.digest == registry.digest("pause", tag)


@pytest.mark.tools
def test_an_unpinned_image_is_pulled_and_its_digest_stays_that_of_the_first_use(
    paths: Paths, registry: Registry, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same second registry: no digest is pinned, and its tag moves on after the first use."""
    host = serve("upstream", login=False)
    playing_upstream = replace(registry, host=host)
    use(monkeypatch, without_upstream())
    (pause, etcd), _ = bring(paths, None, "pause", "etcd")
    ((pause_layout,), (etcd_layout,)) = ((paths.cache / "images" / name).iterdir() for name in ("pause", "etcd"))
    kept = [shutil.copytree(layout, paths.state / layout.parent.name) for layout in (pause_layout, etcd_layout)]
    tag = images()["pause"].tag
    use(monkeypatch, {"pause": replace(images()["pause"], registry=host, digest="")})
    for layout, target in zip(kept, (registry, replace(registry, host=serve("another"))), strict=True):
        playing_upstream.push(layout, "pause", [tag], paths.cache)
        shutil.rmtree(paths.cache / "images")
        (pulled,), said = bring(paths, target, "pause")
        assert "pulled, pushed" in said
        assert pulled.digest == pause.digest == target.digest("pause", tag) != etcd.digest
    [trusted] = store.trusted(paths)
    assert (trusted.name, trusted.source) == (f"{host}/pause:{tag}", host)
    assert f"sha256:{trusted.sha256}" == pause.digest


@pytest.mark.tools
def test_an_image_is_built_where_what_to_trust_cannot_be_recorded(
    paths: Paths, registry: Registry, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = serve("upstream", login=False)
    use(monkeypatch, without_upstream())
    bring(paths, None, "pause")
    (layout,) = (paths.cache / "images" / "pause").iterdir()
    replace(registry, host=host).push(layout, "pause", [images()["pause"].tag], paths.cache)
    shutil.rmtree(paths.cache / "images")
    use(monkeypatch, {"pause": replace(images()["pause"], registry=host, digest="")})
    (paths.state / FILE).write_text("damaged")
    _, said = bring(paths, None, "pause")
    assert "is damaged; restore it" in said
    assert said.endswith("s)")
    assert ": built" in said


@pytest.mark.tools
@pytest.mark.parametrize("reachable", [True, False], ids=["digest unknown there", "unreachable"])
def test_an_image_that_cannot_be_pulled_is_built_with_one_notice(
    paths: Paths, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, reachable: bool
) -> None:
    host = serve("upstream", login=False) if reachable else "127.0.0.1:1"
    names = ("pause", "etcd")
    absent = "sha256:" + "0" * 64
    use(monkeypatch, {name: replace(images()[name], registry=host, digest=absent) for name in names})
    outcomes, said = bring(paths, None, *names)
    assert [outcome.name for outcome in outcomes] == list(names)
    assert said.count("building what cannot be pulled") == 1
    assert said.count(": built") == 2


def test_a_failed_base_fails_what_is_built_upon_it_but_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("base", "one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Containerfile").write_text("FROM scratch\n")
    made = {name: Image(name, name, "1", tmp_path / name, base="base") for name in ("one", "two")}
    use(monkeypatch, {"base": Image("base", "base", "1", tmp_path / "base"), **made})
    tried = []

    def fail(image: Image, *_: object, **__: object) -> None:
        tried.append(image.name)
        raise ImageError(f"{image.name}: no mirror answers")

    monkeypatch.setattr(build, "build", fail)
    with pytest.raises(ImageError, match=r"^base: no mirror answers$"):
        bring(Paths(state=tmp_path / "state", cache=tmp_path / "cache"), None, "one", "two")
    assert tried == ["base"]


def test_a_second_run_waits_for_the_first(tmp_path: Path) -> None:
    paths = Paths(state=tmp_path / "state", cache=tmp_path / "cache")
    (paths.cache / "images").mkdir(parents=True)
    said: list[str] = []
    with (paths.cache / "images" / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)

        def report(line: str) -> None:
            said.append(line)
            fcntl.flock(first, fcntl.LOCK_UN)

        with Store.opened(paths, report):
            assert said == ["images: another run is at work; waiting for it"]
