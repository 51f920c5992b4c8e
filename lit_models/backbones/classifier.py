"""Classifiers of images: findings, objects, counts; for rewards, adherence and features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.networks.convnet import ConvNet, fitted, mean_and_max
from lit_models.stage import Stage, open_stage
from lit_models.views import softened
from medbench.core.batch import Batch, Sample
from medbench.core.errors import UserError

PLACES = 16  # channels of the map that says where things are


class Classifier(Stage):
    """Labels of an image. Names `group=value` exclude each other; the others stand alone.

    label_names: the labels to learn, by name, out of those that the data yields.
    soft_share: of the training images that lose detail, so that generated ones are judged by what
    they show and not by their softness."""

    version = 1
    needs = ("image", "labels")

    def __init__(
        self,
        label_names: Sequence[str],
        image_size: int = 64,
        channels: int = 3,
        widths: Sequence[int] = (16, 32, 64, 64),
        soft_share: float = 0.0,
    ) -> None:
        super().__init__()
        self.label_names, self.image_size = list(label_names), image_size
        self.soft_share = soft_share
        self.groups = group_columns(self.label_names)
        self.net = ConvNet(channels, widths)
        self.places = nn.Conv2d(widths[-1], PLACES, 1)  # what pooling forgets: where things are
        cells = (image_size >> len(widths)) ** 2
        self.head = nn.Linear(self.net.width + PLACES * cells, len(self.label_names))

    # fitting -----------------------------------------------------------------
    def transform(self, sample: Sample, rng: np.random.Generator) -> Sample:
        names = list(sample["label_names"])
        if missing := [name for name in self.label_names if name not in names]:
            raise UserError(
                f"label_names asks for {', '.join(missing[:4])}, which the data does not yield. "
                f"It yields {', '.join(names)}."
            )
        columns = [names.index(name) for name in self.label_names]
        if self.training and rng.random() < self.soft_share:
            sample = sample | {"image": softened(sample["image"], rng)}
        return sample | {"labels": sample["labels"][columns], "label_names": self.label_names}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        scores = self._scores(batch["image"])
        losses = {
            name: group_loss(scores[:, columns], batch["labels"][:, columns])
            for name, columns in self.groups.items()
        }
        total = torch.stack(list(losses.values())).sum()
        correct = {f"right/{k}": v for k, v in self._correct(scores, batch["labels"]).items()}
        return {"loss": total} | correct

    def _correct(self, scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Share of the labelled samples of each group that are judged rightly."""
        shares = {}
        for name, columns in self.groups.items():
            known = ~labels[:, columns].isnan().any(1)
            given, true = scores[known][:, columns], labels[known][:, columns]
            if len(columns) > 1:
                right = given.argmax(1) == true.argmax(1)
            else:
                right = ((given > 0) == (true > 0.5))[:, 0]
            shares[name] = right.float().sum() / max(1, len(right))
        return shares

    def _scores(self, images: Tensor) -> Tensor:
        return self._see(images)[1]

    def _see(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.net(fitted(images, self.image_size))
        pooled = mean_and_max(x)
        return pooled, self.head(torch.cat([pooled, self.places(x).flatten(1)], dim=1))

    # use -----------------------------------------------------------------------
    @torch.no_grad()
    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d) pooled features of images in [-1, 1] and (n, K) probabilities, in one pass.

        Those of one group sum to one."""
        features, values = self._see(images.to(self.device))
        scores = values.sigmoid()
        for columns in self.groups.values():
            if len(columns) > 1:
                scores[:, columns] = values[:, columns].softmax(1)
        return features, scores

    def features(self, images: Tensor) -> Tensor:
        """(n, d) pooled features of images in [-1, 1]."""
        return self.look(images)[0]

    def scores(self, images: Tensor) -> Tensor:
        """(n, K) probabilities; those of one group sum to one."""
        return self.look(images)[1]


def group_columns(names: Sequence[str]) -> dict[str, list[int]]:
    """Columns of each group `group=value`, and of each label that stands alone."""
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        groups.setdefault(name.partition("=")[0], []).append(column)
    return groups


def group_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over a group's columns (B, k); NaN rows count as nothing, none of all as 0."""
    known = ~labels.isnan().any(1)
    scores, labels = scores[known], labels[known]
    if not len(scores):
        return scores.sum()
    if scores.shape[1] > 1:
        return F.cross_entropy(scores, labels)
    return F.binary_cross_entropy_with_logits(scores, labels)


def open_classifier(folder: str | Path, device: str = "cpu") -> Any:
    """A fitted classifier: .features(images), .scores(images), .label_names, .image_size."""
    stage = open_stage(folder, device)
    if not isinstance(stage, Classifier):
        raise UserError(f"{folder} is a {type(stage).__name__}, not a classifier.")
    return stage
