"""A small convolutional network from images to features, for backbones at tiny scale."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """Halves the side: two 3 x 3 convolutions with batch norm beside a pooled 1 x 1 skip."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(given, made, 3, 2, 1), nn.BatchNorm2d(made)
        self.conv2, self.norm2 = nn.Conv2d(made, made, 3, 1, 1), nn.BatchNorm2d(made)
        self.skip = nn.Conv2d(given, made, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.skip(F.avg_pool2d(x, 2)))


class ConvNet(nn.Module):
    """(B, channels, S, S) to (B, widths[-1], S', S'), halving the side once for each width."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        sizes = [channels, *widths]
        self.blocks = nn.Sequential(*(Residual(a, b) for a, b in pairwise(sizes)))
        self.width = 2 * widths[-1]  # of the pooled vector

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)

    def pooled(self, x: Tensor) -> Tensor:
        """(B, width): mean and maximum of the map; the maximum finds what the mean dilutes."""
        return mean_and_max(self.blocks(x))


def mean_and_max(x: Tensor) -> Tensor:
    return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


def fitted(images: Tensor, size: int) -> Tensor:
    """Images of the network's side, by area."""
    if images.shape[-1] == size == images.shape[-2]:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
