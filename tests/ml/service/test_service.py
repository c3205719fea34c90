"""The served model, run from its image layers as in the pod: by path, port and requests."""

import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps

import image_root
from digits import bento, evaluate
from digits.prepare import Examples
from runner_harness.process import free_port, running

ROOT = Path(__file__).resolve().parents[3]
PNG = {"Content-Type": "image/png"}


@dataclass(frozen=True)
class Server:
    client: httpx.Client
    log: Path
    process: subprocess.Popen[bytes]

    def predict(self, content: bytes) -> httpx.Response:
        return self.client.post("/predict", content=content, headers=PNG)


@pytest.fixture(scope="module")
def image(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root directory that the two layers give."""
    work, root = tmp_path_factory.mktemp("layers"), tmp_path_factory.mktemp("image")
    requirements = ROOT / "requirements" / "serve.txt"
    packaged = bento.package(model_dir, requirements, work / "bento")
    for layer in (bento.dependencies_layer(requirements, work), bento.bento_layer(packaged, work / "bento.tar.gz")):
        subprocess.run(["tar", "--extract", "--file", layer, "--directory", root], check=True)
    return root


@pytest.fixture(scope="module")
def server(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The image's command and environment with its directories moved, and the base image's kind of Python."""
    home = tmp_path_factory.mktemp("tmp")
    port = free_port()
    environment = {name: value.replace("/opt/", f"{image}/opt/") for name, value in bento.ENVIRONMENT.items()}
    environment |= {"BENTOML_HOME": str(home / "bentoml"), "TMPDIR": str(home), "HOST": "127.0.0.1", "PORT": str(port)}
    python = Path(os.path.realpath(sys.executable))  # without the packages of this test's environment
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, trust_env=False) as client:

        def ready() -> bool:
            try:
                return client.get("/readyz").status_code == 200
            except httpx.HTTPError:
                return False

        log = home / "log"
        with running([str(python), f"{image}{bento.ENTRYPOINT[1]}"], log, ready, environment) as process:
            yield Server(client, log, process)


@pytest.fixture
def three(raw: Path) -> bytes:
    return (raw / "images" / "0003.png").read_bytes()


def test_a_png_is_classified(server: Server, three: bytes, model_dir: Path) -> None:
    answer = server.predict(three)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert content["label"] == 3
    assert content["probability"] == content["probabilities"][3] > 0.9
    assert sum(content["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert content["model_digest"] == bento.digest(model_dir / "model.onnx")


@pytest.mark.parametrize("media_type", ["image/png", "application/octet-stream"])
def test_a_form_with_a_file_gives_the_same(server: Server, three: bytes, media_type: str) -> None:
    answer = server.client.post("/predict", files={"image": ("three.png", three, media_type)})
    assert answer.status_code == 200, answer.text
    assert answer.json() == server.predict(three).json()


def test_it_computes_what_evaluation_measured(
    server: Server, raw: Path, model_dir: Path, sets: tuple[Examples, Examples]
) -> None:
    rows = (raw / "labels.csv").read_text().splitlines()[1:41]
    contents = [(raw / row.split(",")[0]).read_bytes() for row in rows]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in contents])
    logits = evaluate.onnx_logits(model_dir / "model.onnx", pixels)
    expected = np.exp(logits - logits.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    served = [server.predict(content).json() for content in contents]
    assert np.array([answer["probabilities"] for answer in served]) == pytest.approx(expected, abs=1e-5)
    assert [answer["label"] for answer in served] == expected.argmax(1).tolist()


def test_large_images_of_either_polarity_are_understood(server: Server, raw: Path) -> None:
    rows = [row.split(",") for row in (raw / "labels.csv").read_text().splitlines()[1:101]]
    right = {"white on black": 0, "black on white": 0}
    for name, label in rows:
        digit = Image.open(raw / name).resize((128, 128), Image.Resampling.BICUBIC)
        large = ImageOps.expand(digit, border=30, fill=0)
        for polarity, picture in zip(right, (large, ImageOps.invert(large)), strict=True):
            stream = io.BytesIO()
            picture.save(stream, format="PNG")
            right[polarity] += server.predict(stream.getvalue()).json()["label"] == int(label)
    assert min(right.values()) >= 80, right


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "not a PNG image; send a PNG of one digit"),
        (b"", "not a PNG image; send a PNG of one digit"),
        (None, "corrupt PNG image"),
    ],
    ids=["text", "empty", "truncated"],
)
def test_an_unusable_image_is_answered_with_400_and_the_reason(
    server: Server, three: bytes, content: bytes | None, reason: str
) -> None:
    body = three[:70] if content is None else content
    form = server.client.post("/predict", files={"image": ("three.png", body, "image/png")})
    for answer in (server.predict(body), form):
        assert answer.status_code == 400
        assert reason in answer.json()["detail"][0]["msg"]
    assert server.predict(three).status_code == 200


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.kill, (os.getppid(), signal.SIGUSR1)


def test_a_pickle_is_refused_unread(server: Server) -> None:
    marker = {"Content-Type": "application/vnd.bentoml+pickle"}
    answer = server.client.post("/predict", content=pickle.dumps(Bomb()), headers=marker)
    assert answer.status_code == 415
    assert server.client.get("/readyz").status_code == 200


@pytest.mark.parametrize("media_type", ["application/json", "image/jpeg", "text/plain", ""])
def test_another_content_type_is_refused_with_the_ones_that_work(server: Server, three: bytes, media_type: str) -> None:
    answer = server.client.post("/predict", content=three, headers={"Content-Type": media_type})
    assert answer.status_code == 415
    assert "image/png" in answer.text


def test_an_address_in_the_form_is_not_fetched(server: Server) -> None:
    answer = server.client.post("/predict", files={"image": (None, "http://127.0.0.1:9/three.png")})
    assert answer.status_code == 400
    assert "send one file named image" in answer.text


@pytest.mark.parametrize(
    ("body", "media_type"),
    [(b"junk", "multipart/form-data"), (b"junk", "multipart/form-data; boundary=x")],
    ids=["no boundary", "no parts"],
)
def test_a_broken_form_is_refused(server: Server, body: bytes, media_type: str) -> None:
    answer = server.client.post("/predict", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == 400
    assert "send one file named image" in answer.text


def test_a_file_of_another_name_is_refused(server: Server, three: bytes) -> None:
    answer = server.client.post("/predict", files={"picture": ("three.png", three, "image/png")})
    assert answer.status_code == 400
    assert "no file named image" in answer.text


def test_size_is_limited_and_must_be_told(server: Server, three: bytes) -> None:
    assert server.predict(b"\0" * (5 * 1024 * 1024)).status_code == 413
    chunked = server.client.post("/predict", content=iter([three]), headers=PNG)
    assert chunked.status_code == 411


def test_probes_answer(server: Server) -> None:
    for path in ("/livez", "/readyz"):
        assert server.client.get(path).status_code == 200


def test_metrics_count_requests_by_status(server: Server, three: bytes) -> None:
    def counted() -> float:
        for line in server.client.get("/metrics").text.splitlines():
            if line.startswith("bentoml_service_request_total") and 'endpoint="/predict"' in line and '"200"' in line:
                assert 'service_name="classifier"' in line
                return float(line.split()[-1])
        return 0

    before = counted()
    server.predict(three)
    assert counted() == before + 1


def test_the_page_is_the_api_and_loads_nothing_from_elsewhere(server: Server) -> None:
    page = server.client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
    for asset in (
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "swagger-initializer.js",
    ):
        assert f"./static_content/{asset}" in page.text
        assert server.client.get(f"/static_content/{asset}").status_code == 200
    schema = server.client.get("/docs.json").json()
    assert "multipart/form-data" in schema["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert "8x8 greyscale" in schema["info"]["description"]


def test_nothing_but_the_temporary_directory_was_written(server: Server, image: Path) -> None:
    written = {path.name for path in image.rglob("*") if path.is_file() and path.stat().st_mtime > 0}
    # A host behind a proxy may have its Python add the proxy's authority to certifi whenever it starts.
    assert written <= {"cacert.pem"}


def test_torch_is_not_in_the_image(image: Path) -> None:
    packages = {path.name for path in (image / "opt/classifier/site-packages").iterdir()}
    assert {"bentoml", "numpy", "onnxruntime"} <= packages
    assert not packages & {"torch", "dvc", "sklearn"}


def test_it_ends_when_it_is_told_to(server: Server) -> None:
    # The last test of this module: the server is gone after it.
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(15)
    assert "Service instance cleanup finalized" in server.log.read_text()


@pytest.mark.tools
@pytest.mark.parametrize(
    "base", [image_root.UPSTREAM, image_root.OWN, image_root.DISTROLESS], ids=["upstream", "own", "distroless"]
)
def test_d2_the_image_starts_wherever_its_base_has_python(
    base: image_root.Base, image: Path, tmp_path: Path, three: bytes
) -> None:
    """The layers on a base's root file system, started by the image's entry point and environment alone."""
    root = tmp_path / "root"
    shutil.copytree(image, root, copy_function=os.link)
    image_root.lay_out(base, root)
    port = free_port()
    environment = {**base.environment, **bento.ENVIRONMENT, "HOST": "127.0.0.1", "PORT": str(port)}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

        def ready() -> bool:
            try:
                return client.get("/readyz").status_code == 200
            except httpx.HTTPError:
                return False

        with running(image_root.command(root, bento.ENTRYPOINT), tmp_path / "log", ready, environment):
            answer = client.post("/predict", content=three, headers=PNG)
    assert (answer.status_code, answer.json()["label"]) == (200, 3)
