"""Which images of a real registry may go, and that all others are there after its garbage was collected."""

import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.registry.prune import MOST, Image, blob_size, images, inside, unused
from mlplatform.retention import DAY, Limit, due

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def image(number: int, days: float = 31, *, repository: str = "app", tag: str = "") -> Image:
    digest = f"sha256:{number:064x}"
    return Image(repository, digest, NOW - timedelta(days=days), frozenset({tag} if tag else ()))


Parts = dict[str, frozenset[str]]


def free(found: list[Image], *names: str, parts: Parts | None = None) -> list[tuple[set[Image], int]]:
    """What is unused, the oldest first, with its bytes: of a blob, 1."""
    what = unused(found, names, lambda digest: (parts or {}).get(digest, frozenset()), lambda digest: 1)
    assert what == sorted(what, key=lambda one: one.since)
    return [(set(one.what), one.size) for one in what]


def gone(found: list[Image], *names: str, parts: Parts | None = None) -> list[Image]:
    what = unused(found, names, lambda digest: (parts or {}).get(digest, frozenset()), lambda digest: 1)
    going = {image for one in due(what, Limit(30 * DAY, 2**40), NOW) for image in one.what}
    return [one for one in found if one in going]


def newer(repository: str = "app", tag: str = "") -> list[Image]:
    """As many as stay in any case."""
    return [image(1000 + n, 1, repository=repository, tag=f"{tag}{n}") for n in range(MOST)]


def test_d17_an_image_goes_by_age() -> None:
    old, young = image(1), image(2, 30)
    assert gone([old, young, *newer()]) == [old]


def test_d17_the_last_ten_of_a_repository_and_kind_stay() -> None:
    many = [image(number, 40 + number) for number in range(MOST + 2)]
    other = [image(100 + number, 90, repository="other") for number in range(MOST)]
    layers = [image(200 + number, 35, tag=f"dependencies-{number}") for number in range(MOST)]
    assert gone([*many, *other, *layers]) == many[MOST:]


def test_d17_what_is_named_stays_by_digest_and_by_tag() -> None:
    by_digest, by_tag, neither = image(1), image(2, tag="v1"), image(3, tag="v0")
    found = [by_digest, by_tag, neither, *newer()]
    assert gone(found, by_digest.digest, "app:v1", "other:v0") == [neither]


def test_d17_what_an_image_consists_of_stays_with_it() -> None:
    index, part, inner, loose = image(1, tag="v1"), image(2), image(3), image(4)
    parts = {index.digest: frozenset({part.digest}), part.digest: frozenset({inner.digest})}
    assert gone([index, part, inner, loose, *newer()], "app:v1", parts=parts) == [loose]


def test_d17_what_several_images_hold_is_free_when_the_newest_of_them_went() -> None:
    """And never while an image has it that stays."""
    old, new, used = image(1, 9), image(2, 5), image(3, 20, tag="v1")
    parts = {old.digest: frozenset({"a", "b", "c"}), new.digest: frozenset({"b", "c", "d"})}
    parts[used.digest] = frozenset({"c"})
    assert free([new, used, old, *newer()], "app:v1", parts=parts) == [({old}, 2), ({new}, 3)]


def test_d17_an_image_goes_together_with_what_it_consists_of() -> None:
    """Whatever the age of its parts, which may be those of a newer one too."""
    old, new, part, shared = image(1, 9), image(2, 5), image(3, 20), image(4, 30)
    parts = {
        old.digest: frozenset({part.digest, shared.digest}),
        new.digest: frozenset({shared.digest}),
        shared.digest: frozenset({"layer"}),
    }
    expected = [({old, part}, 2), ({new, shared}, 3)]
    assert free([old, new, part, shared, *newer()], parts=parts) == expected
    assert free([shared, part, new, old, *newer()], parts=parts) == expected


def test_d17_an_image_is_as_young_as_the_youngest_of_what_it_consists_of() -> None:
    index, part, other = image(1, 40), image(2, 3), image(3, 10)
    parts = {index.digest: frozenset({part.digest})}
    assert free([index, part, other, *newer()], parts=parts) == [({other}, 1), ({index, part}, 2)]


@dataclass
class Server:
    """A registry on loopback that is stopped and started as `scripts/prune` does."""

    folder: Path
    address: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", str(self.configuration)], stdout=log, stderr=log
            )
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://{self.address}/v2/", timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    @property
    def configuration(self) -> Path:
        return self.folder / "config.yml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def ask(self, method: str, path: str, content: bytes | None = None, kind: str = "application/octet-stream") -> str:
        """The Location that it answers with. An error status is raised."""
        url = path if path.startswith("http") else f"http://{self.address}/v2/{path}"
        headers = {"Content-Type": kind, "Accept": f"{MANIFEST}, {INDEX}"}
        request = urllib.request.Request(url, method=method, data=content, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.headers.get("Location"))

    def blob(self, repository: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = self.ask("POST", f"{repository}/blobs/uploads/", b"")
        self.ask("PUT", f"{place}&digest={digest}", content)
        return {"digest": digest, "size": len(content)}

    def push(self, repository: str, tag: str, text: str) -> str:
        """An image with one file, and the layer that all of them have; returns its digest."""
        layers = [self.blob(repository, layer(one)) for one in ("shared", text)]
        described = [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **one} for one in layers]
        settings = {"mediaType": "application/vnd.oci.image.config.v1+json", **self.blob(repository, text.encode())}
        return self.manifest(repository, tag, MANIFEST, {"config": settings, "layers": described})

    def manifest(self, repository: str, tag: str, kind: str, document: dict[str, object]) -> str:
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, **document}).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.ask("PUT", f"{repository}/manifests/{tag or digest}", content, kind)
        return digest

    def whole(self, repository: str, digest: str) -> bool:
        """Whether an image can be pulled with all that its manifest names."""
        try:
            self.ask("GET", f"{repository}/manifests/{digest}")
            for part in inside(self.data, digest):
                kind = "manifests" if self.is_image(repository, part) else "blobs"
                self.ask("GET", f"{repository}/{kind}/{part}")
        except urllib.error.HTTPError as error:
            error.close()
            return False
        return True

    def is_image(self, repository: str, digest: str) -> bool:
        return any(one.digest == digest and one.repository == repository for one in images(self.data))

    def blobs(self) -> int:
        return len(list(self.data.glob("docker/registry/v2/blobs/sha256/*/*/data")))


def layer(text: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(held.getvalue(), mtime=0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    assert shutil.which("docker-registry"), "scripts/up installs it, or: apt-get install docker-registry"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "data").mkdir()
    made = Server(tmp_path, address)
    storage = {"filesystem": {"rootdirectory": str(made.data)}, "delete": {"enabled": True}}
    storage["cache"] = {"blobdescriptor": "inmemory"}
    made.configuration.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": address}}))
    made.start()
    yield made
    made.stop()


@pytest.mark.tools
def test_d17_a_registry_loses_what_is_due_with_its_blobs_and_nothing_else(server: Server) -> None:
    old = server.push("team/app", "old", "old")
    former = server.push("team/app", "moving", "former")
    current = server.push("team/app", "moving", "current")
    part = server.push("team/app", "", "part")
    index = server.manifest(
        "team/app", "index", INDEX, {"manifests": [{"mediaType": MANIFEST, "digest": part, "size": 1}]}
    )
    other = server.push("other", "old", "old")
    found = {one.digest: one for one in images(server.data) if one.repository == "team/app"}
    assert set(found) == {old, former, current, part, index}
    assert (found[current].tags, found[former].tags) == ({"moving"}, frozenset())
    assert abs(found[old].since - datetime.now(UTC)) < timedelta(minutes=1)

    later = datetime.now(UTC) + timedelta(days=31)
    for number in range(MOST):
        server.push("team/app", f"new-{number}", f"new {number}")
    # In seconds, so that what came first is older.
    links = server.data.glob("docker/registry/v2/repositories/team/app/_manifests/**/link")
    for link in (one for one in links if "tags/new-" not in str(one)):
        os.utime(link, (time.time() - 60,) * 2)
    before = server.blobs()

    found = unused(
        images(server.data),
        {current, "team/app:index"},
        lambda one: inside(server.data, one),
        lambda one: blob_size(server.data, one),
    )
    assert due(found, Limit(30 * DAY, sum(one.size for one in found)), datetime.now(UTC)) == []
    whats = due(found, Limit(30 * DAY, 2**40), later)
    going = [image for one in whats for image in one.what]
    assert {(one.repository, one.digest) for one in going} == {("team/app", old), ("team/app", former)}
    taken = sum(path.stat().st_size for path in server.data.glob("docker/registry/v2/blobs/sha256/*/*/data"))
    for one in going:
        server.ask("DELETE", f"{one.repository}/manifests/{one.digest}")
    server.stop()
    command = ["docker-registry", "garbage-collect", str(server.configuration)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "blob eligible for deletion" in done.stdout
    server.start()

    # Its manifest, its configuration, its layer; the other repository has an equal image.
    assert server.blobs() == before - 3
    left = sum(path.stat().st_size for path in server.data.glob("docker/registry/v2/blobs/sha256/*/*/data"))
    assert taken - left == sum(one.size for one in whats)
    assert not server.whole("team/app", former)
    assert not server.is_image("team/app", old)
    for repository, digest in (("team/app", current), ("team/app", index), ("team/app", part), ("other", other)):
        assert server.whole(repository, digest), digest
    # It does not remember what is gone.
    again = server.push("team/app", "again", "former")
    assert server.whole("team/app", again)
