"""The Inception network that FID was defined with, out of torchvision's."""

from typing import Any


def fid_inception() -> Any:
    """(n, 3, 299, 299) in [-1, 1] to (n, 2048) pooled features; `fc` has 1,008 classes.

    TensorFlow's network leaves the padding out of its averages and takes a maximum in the last
    block; the rest is torchvision's, under the same names of tensors."""
    import torch
    import torch.nn.functional as F
    from torchvision.models import inception as parts

    def unpadded(x: Any) -> Any:
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)

    def pooled(kind: Any, pool: Any) -> Any:
        class Block(kind):
            def _forward(self, x: Any) -> list[Any]:
                return [*super()._forward(x)[:-1], self.branch_pool(pool(x))]

        return Block

    network = parts.Inception3(
        num_classes=1008, aux_logits=False, transform_input=False, init_weights=False
    )
    kinds = {
        parts.InceptionA: pooled(parts.InceptionA, unpadded),
        parts.InceptionC: pooled(parts.InceptionC, unpadded),
        parts.InceptionE: pooled(parts.InceptionE, unpadded),
    }
    for block in network.children():
        block.__class__ = kinds.get(type(block), type(block))
    network.Mixed_7c.__class__ = pooled(parts.InceptionE, lambda x: F.max_pool2d(x, 3, 1, 1))

    class Pooled(torch.nn.Module):
        """The network up to its pooled features."""

        def __init__(self) -> None:
            super().__init__()
            for name, child in network.named_children():
                if name != "dropout":
                    self.add_module(name, child)

        def forward(self, x: Any) -> Any:
            for name, child in self.named_children():
                x = child(x) if name not in ("avgpool", "fc") else x
            return x.mean(dim=(2, 3))

    return Pooled()
