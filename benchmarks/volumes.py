"""Med3D's 3D ResNets as extractors of volumes."""

from typing import Any, ClassVar

import numpy as np

from benchmarks.images import resized_volume
from benchmarks.pretrained import Pretrained
from benchmarks.weights import load_state, local_file, read_state


class Med3d(Pretrained):
    """Med3D's ResNet (Chen et al. 2019): globally averaged features of (1, D, H, W) volumes.

    MONAI's class loads the weights name by name and computes something else: Med3D dilates its
    last two layers instead of striding, which is mended here."""

    channels, dimensions, side = 1, 3, 256
    depth: ClassVar[int] = 50
    get = (
        "Download resnet_50_23dataset.pth of MedicalNet: "
        "https://github.com/Tencent/MedicalNet, or the hub's TencentMedicalNet/MedicalNet-Resnet50."
    )

    def _open(self, weights: str | None, instead: str) -> Any:
        path = local_file(weights, self.name, self.get, instead)
        state = read_state(path)
        network = med3d_resnet(self.depth, _widen(state))
        load_state(network, state, str(path))
        return network

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return resized_volume(image, self.size)

    def _see(self, images: Any) -> tuple[Any, Any]:
        x = self._network.act(self._network.bn1(self._network.conv1(images)))
        x = self._network.maxpool(x)
        for layer in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(self._network, layer)(x)
        pooled = x.mean(dim=(2, 3, 4))
        return pooled, pooled[:, :0]


class Med3d10(Med3d):
    """Med3D's ResNet-10."""

    depth = 10
    get = (
        "Download resnet_10_23dataset.pth of MedicalNet: "
        "https://github.com/Tencent/MedicalNet, or the hub's TencentMedicalNet/MedicalNet-Resnet10."
    )


def _widen(state: dict[str, Any]) -> float:
    return state["conv1.weight"].shape[0] / 64 if "conv1.weight" in state else 1.0


def med3d_resnet(depth: int, widen: float = 1.0) -> Any:
    """MONAI's ResNet with Med3D's strides and dilations in layers 3 and 4."""
    from monai.networks.nets import resnet

    build = {10: resnet.resnet10, 50: resnet.resnet50}[depth]
    network = build(
        spatial_dims=3,
        n_input_channels=1,
        feed_forward=False,
        conv1_t_stride=2,
        shortcut_type="B",
        bias_downsample=False,
        widen_factor=widen,
    )
    layers: Any = ((network.layer3, 2), (network.layer4, 4))
    for layer, dilation in layers:
        for place, block in enumerate(layer):
            if depth == 50:
                strided, dilated = block.conv2, [block.conv2]
            else:
                strided, dilated = block.conv1, [block.conv1, block.conv2]
            strided.stride = (1, 1, 1)
            for conv in dilated:
                conv.dilation = conv.padding = (dilation,) * 3
            if place == 0 and block.downsample is not None:
                block.downsample[0].stride = (1, 1, 1)
    return network
