"""Image distances that serve as losses: SSIM, and VGG features without linear heads."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medbench.core.errors import UserError

VGG_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # width, convolutions of VGG-16


def ssim(x: Tensor, y: Tensor, size: int = 11, sigma: float = 1.5) -> Tensor:
    """(B,) structural similarity of (B, C, H, W) in [0, 1], each channel's clipped at 0."""
    offset = torch.arange(size, dtype=x.dtype, device=x.device) - size // 2
    window = torch.exp(-(offset**2) / (2 * sigma**2))
    window = (window / window.sum()).reshape(1, 1, 1, size)
    n, channels = x.shape[:2]
    stacked = torch.cat([x, y, x * x, y * y, x * y]).reshape(5 * n * channels, 1, *x.shape[2:])
    blurred = F.conv2d(F.conv2d(stacked, window), window.transpose(2, 3))
    mx, my, xx, yy, xy = blurred.reshape(5, n, channels, *blurred.shape[2:])
    c1, c2 = 0.01**2, 0.03**2  # of a range of 1
    structure = (2 * (xy - mx * my) + c2) / (xx - mx**2 + yy - my**2 + c2)
    values = structure * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
    return values.mean(dim=(2, 3)).relu().mean(1)


class VggDistance(nn.Module):
    """Uncalibrated LPIPS: squared differences of normalised VGG-16 features, summed over layers.

    The features are those after relu1_2, 2_2, 3_3, 4_3 and 5_3. `load` brings the weights."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        given = 3
        for width, count in VGG_BLOCKS:
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if len(self.blocks) else []
            for i in range(count):
                layers += [nn.Conv2d(given if i == 0 else width, width, 3, padding=1), nn.ReLU()]
            self.blocks.append(nn.Sequential(*layers))
            given = width
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None])

    def load(self, state: dict[str, Tensor]) -> None:
        """Weights under torchvision's names: `features.0.weight` and on, in order of running."""
        prefix = "features."
        given = {int(k.split(".")[1]): k.rsplit(".", 1)[0] for k in state if k.startswith(prefix)}
        convs = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        if len(given) != len(convs):
            raise UserError(
                f"The VGG weights hold {len(given)} convolutions under `features.`; VGG-16 has "
                f"{len(convs)}. Save the state_dict of torchvision's vgg16."
            )
        for conv, number in zip(convs, sorted(given), strict=True):
            name = given[number]
            conv.load_state_dict({k: state[f"{name}.{k}"] for k in ("weight", "bias")})

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B,) distances of (B, 3, H, W) in [-1, 1]."""
        x, y = (x - self.shift) / self.scale, (y - self.shift) / self.scale
        total = x.new_zeros(len(x))
        for block in self.blocks:
            x, y = block(x), block(y)
            total = total + (_unit(x) - _unit(y)).pow(2).sum(1).mean(dim=(1, 2))
        return total


def _unit(x: Tensor) -> Tensor:
    return x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
