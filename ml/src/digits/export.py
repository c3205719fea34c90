"""Write a trained network as safetensors (weights) and ONNX (what is served); neither format can run code."""

import warnings
from pathlib import Path

import onnx
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from digits.errors import UserError
from digits.picture import SIZE

OPSET = 17
INPUT, OUTPUT = "pixels", "logits"


def save_weights(network: nn.Module, path: Path) -> None:
    """Write the network's state; the bytes depend on the weights alone."""
    save_file({name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}, path)


def load_weights(network: nn.Module, path: Path) -> None:
    """Read weights into a network of the same shape.

    Raises:
        UserError: the file is missing, damaged, or of another network.
    """
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # safetensors and torch raise their own errors
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be loaded ({reason}); run `dvc repro train`") from None


def save_onnx(network: nn.Module, path: Path) -> None:
    """Write the network in evaluation mode, for any number of images.

    The graph takes `pixels`, uint8 (n, 8, 8), and returns `logits`, float32 (n, 10).
    """
    example = torch.zeros((2, SIZE, SIZE), dtype=torch.uint8)
    with warnings.catch_warnings():
        # torch announces its newer exporter, which needs onnxscript and several seconds for the same graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network.cpu().eval(),
            (example,),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "images"}, OUTPUT: {0: "images"}},
        )
    onnx.checker.check_model(str(path), full_check=True)
