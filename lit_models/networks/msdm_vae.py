"""The variational autoencoder of MSDM (Medfusion's): factor 8, no attention, no dropout."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def zeroed(module: nn.Conv2d) -> nn.Conv2d:
    """The same convolution with weights and bias zero, so that its branch starts as nothing."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class Unit(nn.Module):
    """Convolution, group norm, channel dropout, SiLU, beside a skip (1 x 1 if widths differ)."""

    def __init__(
        self, given: int, made: int, groups: int, dropout: float = 0.0, zero: bool = False
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(given, made, 3, padding=1)
        self.conv = zeroed(conv) if zero else conv
        self.norm = nn.GroupNorm(groups, made)
        self.drop = nn.Dropout2d(dropout) if dropout else nn.Identity()
        self.skip = nn.Conv2d(given, made, 1) if given != made else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + F.silu(self.drop(self.norm(self.conv(x))))


class VaeBlock(nn.Sequential):
    """Two units, the second of which starts as the identity."""

    def __init__(self, given: int, made: int, groups: int) -> None:
        super().__init__(Unit(given, made, groups), Unit(made, made, groups, zero=True))


class Up(nn.Module):
    """Nearest-exact doubling and a 3 x 3 convolution."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, made, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest-exact"))


class MsdmVae(nn.Module):
    """(B, 3, S, S) in [-1, 1] to (B, latent_channels, S / 8, S / 8) and back, in two sizes."""

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512),
        latent_channels: int = 8,
        groups: int = 8,
    ) -> None:
        super().__init__()
        first, last, twice = widths[0], widths[-1], 2 * latent_channels
        pairs = list(pairwise(widths))
        self.first = VaeBlock(3, first, groups)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, padding=1) for a, b in pairs)
        self.encoder = nn.ModuleList(VaeBlock(b, b, groups) for _, b in pairs)
        self.moments = nn.Sequential(
            nn.Conv2d(last, twice, 3, padding=1), nn.Conv2d(twice, twice, 1)
        )
        self.middle = VaeBlock(latent_channels, last, groups)
        self.up = nn.ModuleList(Up(b, a) for a, b in pairs)  # from the full resolution inwards
        self.decoder = nn.ModuleList(VaeBlock(a, a, groups) for a, _ in pairs)
        self.head = zeroed(nn.Conv2d(first, 3, 1))
        self.half_head = zeroed(nn.Conv2d(widths[1], 3, 1))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior."""
        x = self.first(x)
        for down, block in zip(self.down, self.encoder, strict=True):
            x = block(down(x))
        mean, log_variance = self.moments(x).chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def decode_both(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The image and the deep-supervision head's image of half its side."""
        x = self.middle(z)
        half = x
        for level in reversed(range(len(self.up))):
            if level == 0:
                half = self.half_head(x)
            x = self.decoder[level](self.up[level](x))
        return self.head(x), half

    def decode(self, z: Tensor) -> Tensor:
        return self.decode_both(z)[0]


def posterior_sample(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    return mean + torch.exp(0.5 * log_variance) * noise


def posterior_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence from the standard normal, summed over elements: one number per sample."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)


# A released checkpoint's names, as (pattern, ours) in the order in which they are applied.
PUBLIC_NAMES = (
    (r"^inc\.block_seq", "first"),
    (r"^encoders\.(\d+)\.down_op\.down_op", r"down.\1"),
    (r"^encoders\.(\d+)\.conv_block\.block_seq", r"encoder.\1"),
    (r"^out_enc\.(\d)\.conv", r"moments.\1"),
    (r"^inc_dec\.block_seq", "middle"),
    (r"^decoders\.(\d+)\.up_op\.up_op", r"up.\1.conv"),
    (r"^decoders\.(\d+)\.conv_block\.block_seq", r"decoder.\1"),
    (r"^outc\.conv", "head"),
    (r"^outc_ver\.0\.conv", "half_head"),
    (r"\.basic_block\.", "."),
    (r"\.conv_res\.", ".skip."),
)
