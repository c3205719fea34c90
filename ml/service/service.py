"""The served classifier: a PNG of one handwritten digit in, its label and the probability of every digit out.

The model is the reviewed ONNX file, run by ONNX Runtime. It takes pixels as `digits.picture` makes them, which is the
same code that prepared the training data.
"""

import hashlib
import os
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

# Read when ONNX Runtime loads, which would otherwise report to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import bentoml
import numpy as np
import onnxruntime
from bentoml.exceptions import BentoMLException
from PIL import Image
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from digits.picture import MAX_BYTES, PictureError, decode, to_pixels

BODY_LIMIT = MAX_BYTES + 64 * 1024  # the image and the envelope of a form


class Upload(bentoml.IODescriptor):
    """A PNG image, as the field `image` of a form or as the whole body with `Content-Type: image/png`."""

    image: Annotated[Image.Image, Field(description="PNG of one digit; 8x8 greyscale with white ink is taken as it is")]

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> "Upload":
        """Read the image. BentoML's own reading would also fetch URLs that a client sends; this takes bytes only."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in {"image/png", "multipart/form-data"}:
            raise BentoMLException(
                f"Content-Type {media_type or 'missing'!r} is not accepted; send image/png, or multipart/form-data "
                "with a file named image",
                error_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            )
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            raise BentoMLException("Content-Length is missing; send it", error_code=HTTPStatus.LENGTH_REQUIRED)
        if int(length) > BODY_LIMIT:
            raise BentoMLException(
                f"the request has {length} bytes; send an image of {MAX_BYTES} bytes at most",
                error_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
        if media_type == "image/png":
            content = await request.body()
        else:
            try:
                field = (await request.form(max_files=1, max_fields=0)).get("image")
            except HTTPException as error:
                raise _refused(f"the form cannot be read ({error.detail}); send one file named image") from None
            if not isinstance(field, UploadFile):
                raise _refused("the form has no file named image; send one")
            content = await field.read()
        try:
            return cls.model_construct(image=decode(content))
        except PictureError as error:
            raise _refused(str(error)) from None


def _refused(message: str) -> ValidationError:
    """An error that BentoML answers with status 400 and the message."""
    kind = PydanticCustomError("image", "{message}", {"message": message})
    problem = InitErrorDetails(type=kind, loc=("image",), input=None)
    return ValidationError.from_exception_data("Upload", [problem])


class Prediction(BaseModel):
    """What the model sees in the image."""

    label: int = Field(ge=0, le=9, description="the most probable digit")
    probability: float = Field(description="the probability of that digit")
    probabilities: list[float] = Field(description="the probability of each digit, 0 to 9")
    model_digest: str = Field(description="sha256 of the ONNX file that answered")


async def index(_: Request) -> Response:
    """The API's page. BentoML's own one loads a tracker from the internet."""
    return FileResponse(Path(__file__).with_name("index.html"))


@bentoml.asgi_app(Starlette(routes=[Route("/", index)]), path="/")
@bentoml.service(name="classifier", workers=1, traffic={"timeout": 10, "max_concurrency": 64})
class Classifier:
    """Classifies handwritten digits."""

    model = bentoml.models.BentoModel("classifier:latest")

    def __init__(self) -> None:
        content = Path(self.model.path_of("model.onnx")).read_bytes()
        self.digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    @bentoml.api(input_spec=Upload)
    def predict(self, image: Image.Image) -> Prediction:
        """Classify one handwritten digit."""
        (logits,) = self.session.run(["logits"], {"pixels": to_pixels(image)[np.newaxis]})
        weights = np.exp(logits[0] - logits[0].max())
        probabilities = weights / weights.sum()
        label = int(probabilities.argmax())
        return Prediction(
            label=label,
            probability=float(probabilities[label]),
            probabilities=probabilities.tolist(),
            model_digest=self.digest,
        )
