"""The network: two convolutions and one linear layer, from bytes to logits."""

import torch
from torch import Tensor, nn

from digits.params import Train
from digits.picture import SIZE
from digits.prepare import CLASSES


class Network(nn.Module):
    """A small convolutional network for 8x8 digits.

    It takes the bytes themselves, uint8 of shape (n, 8, 8), so that scaling is a part of the exported model and
    cannot differ between training and serving. It returns logits, float32 of shape (n, 10).
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(2 * channels * (SIZE // 2) ** 2, CLASSES),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        scaled = pixels.unsqueeze(1).to(torch.float32) / 255
        logits: Tensor = self.layers(scaled)
        return logits


def build(settings: Train) -> Network:
    """Make an untrained network; its weights follow torch's random state."""
    return Network(settings.channels, settings.dropout)
