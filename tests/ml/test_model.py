"""The network takes bytes and gives logits; its size follows its parameters."""

import pytest
import torch

from digits import model, params


@pytest.mark.parametrize("channels", [1, 8])
def test_bytes_in_logits_out(settings: params.Params, channels: int) -> None:
    network = model.build(settings.train.model_copy(update={"channels": channels})).eval()
    logits = network(torch.zeros((3, 8, 8), dtype=torch.uint8))
    assert logits.shape == (3, 10)
    assert logits.dtype == torch.float32


def test_brightness_reaches_the_layers_as_a_fraction(settings: params.Params) -> None:
    network = model.build(settings.train).eval()
    seen: list[torch.Tensor] = []
    network.layers[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    network(torch.tensor([0, 51, 255], dtype=torch.uint8)[:, None, None].repeat(1, 8, 8))
    assert seen[0][:, 0, 0, 0].tolist() == pytest.approx([0, 0.2, 1])
