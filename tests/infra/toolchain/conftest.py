"""A toolchain of one tiny tool, in a folder of its own, whose Go module needs nothing from outside."""

import hashlib
import io
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

GO_MOD = """module toolchain/hello

go 1.21.0

tool example.com/hello/cmd/hello

require example.com/hello {version}

replace example.com/hello => ./source
"""

MAIN_GO = """package main

import "fmt"

var version = "none"

func main() {
	fmt.Println("hello version", version)
}
"""

TOOLS_TOML = """[hello]
accepts = ">=1.2, <2"
ldflags = ["-X main.version={{version}}"]
{extra}
[hello.release]
url = "{url}/hello_{{number}}_{{arch}}.tar.gz"

{sums}"""

PINNED = """
[hello.release.sha256."v1.2.3"]
amd64 = "{sha256}"
arm64 = "{sha256}"
"""


@dataclass(frozen=True)
class Places:
    """What `settings.Paths` is to the toolchain, below a temporary folder."""

    cache: Path

    @property
    def state(self) -> Path:
        return self.cache.parent / "state"

    @property
    def bin(self) -> Path:
        return self.cache / "bin"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "cache")


@pytest.fixture
def write_toolchain(tmp_path: Path) -> Callable[..., Path]:
    """Writes `tools.toml` and the module of the tool `hello`; returns their folder."""

    def write(
        url: str = "http://127.0.0.1:1",
        sha256: str = "0" * 64,
        *,
        version: str = "v1.2.3",
        text: str = "",
        extra: str = "",
        checksums: str = "",
    ) -> Path:
        """With `checksums`, where upstream publishes its sums, none is pinned."""
        folder = tmp_path / "toolchain"
        source = folder / "go" / "hello" / "source"
        (source / "cmd" / "hello").mkdir(parents=True, exist_ok=True)
        sums = f'checksums = "{checksums}"\n' if checksums else PINNED.format(sha256=sha256)
        (folder / "tools.toml").write_text(text or TOOLS_TOML.format(url=url, extra=extra, sums=sums))
        (folder / "go" / "hello" / "go.mod").write_text(GO_MOD.format(version=version))
        (source / "go.mod").write_text("module example.com/hello\n\ngo 1.21.0\n")
        (source / "cmd" / "hello" / "main.go").write_text(MAIN_GO)
        (source / "pages").mkdir(exist_ok=True)
        (source / "pages" / "index.html").write_text("<p>hello</p>\n")
        return folder

    return write


@dataclass
class Upstream:
    """A file server on loopback. `answers` are used up one a request, then the file is served whole.

    `stall` sends half of the file and then nothing, until `stalled` is told to go on; another address redirects there.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)


@contextmanager
def _serving(tls: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append(self.path)
            answer = served.answers.pop(0) if served.answers else "whole"
            content = served.files.get(self.path)
            if answer.startswith("http"):
                self.send_response(302)
                self.send_header("Location", answer)
                self.end_headers()
                return
            if answer.isdigit() or content is None:
                self.send_error(int(answer) if answer.isdigit() else 404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if answer in {"truncated", "stall"} else content)
            if answer == "stall":
                served.stalled.wait(60)

        def do_CONNECT(self) -> None:
            served.requests.append("CONNECT")
            self.send_error(403)

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *arguments: object) -> None:
            pass  # Tests hang up on purpose.

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    served = Upstream(f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield served
    served.stalled.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with _serving() as served:
        yield served


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a throwaway certificate authority, `ca.crt`, and of the server certificate that it signed."""
    folder = tmp_path_factory.mktemp("authority")
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    for command in (
        [*new, "-subj", "/CN=test", "-keyout", "ca.key", "-out", "ca.crt"],
        [
            *[*new, *signed, "-addext", "subjectAltName=IP:127.0.0.1"],
            *["-subj", "/CN=upstream", "-keyout", "server.key", "-out", "server.crt"],
        ],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls_upstream(authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """Upstream over TLS, with a certificate that this process and those that it starts trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.crt"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    with _serving(context) as served:
        yield served


@dataclass(frozen=True)
class Archive:
    content: bytes

    def sums(self, number: str = "1.2.3") -> bytes:
        """The checksum file that upstream publishes for it, as goreleaser writes one."""
        names = [f"hello_{number}_{arch}.tar.gz" for arch in ("amd64", "arm64")]
        return "".join(f"{self.sha256}  {name}\n" for name in names).encode()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@pytest.fixture
def archive() -> Archive:
    """A release archive whose `hello` is a shell script, so that a test can tell it from a built one."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in {
            "hello-1.2.3/README": "no program",
            "hello-1.2.3/hello": "#!/bin/sh\necho released v1.2.3\n",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return Archive(buffer.getvalue())
