"""CLIP: an image tower and a text tower that agree on which text belongs to which image.

Radford et al. 2021, with the text supervision of DeCLIP (Li et al. 2022): a text and its paraphrase
agree as well, since many images fit one short prompt and say little about its words. We differ in:
pooling the text over all its tokens instead of the last one, so that every token's state is
trained, equal texts of a batch counting as each other's partners, and every state having to tell
its word: without that the states of all words fall into three of their 64 dimensions.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.backbones.text import TextTower, WordTokenizer
from lit_models.networks.convnet import ConvNet, fitted
from lit_models.stage import Dataset, Stage
from medbench.core.batch import Batch, Sample
from medbench.core.errors import UserError

VOCABULARY = "vocabulary.json"


class Clip(Stage):
    """Both towers; methods use the text tower's states.

    vocabulary: rows of the token table, at least the training texts' distinct words and three.
    image_size: side at which the image tower looks."""

    version = 2
    needs = ("image", "text", "texts")

    def __init__(
        self,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        vocabulary: int = 1024,
        max_tokens: int = 77,
        image_size: int = 32,
        image_widths: Sequence[int] = (16, 32, 64),
        shared: int = 64,
    ) -> None:
        super().__init__()
        self.width, self.vocabulary, self.max_tokens = width, vocabulary, max_tokens
        self.image_size = image_size
        self.text_tower = TextTower(vocabulary, width, layers, heads, max_tokens)
        self.image_tower = ConvNet(3, image_widths)
        self.text_head = nn.Linear(width, shared, bias=False)
        self.word_head = nn.Linear(width, vocabulary, bias=False)
        self.image_head = nn.Linear(self.image_tower.width, shared, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(2.6593))  # 1 / 0.07
        self.tokenizer = WordTokenizer()

    # fitting -----------------------------------------------------------------
    def view(self, dataset: Dataset) -> Any:
        if not self.tokenizer.words:  # the first view is the training data's
            self.tokenizer = WordTokenizer.of(_all_texts(dataset))
            if len(self.tokenizer) > self.vocabulary:
                raise UserError(
                    f"The training texts have {len(self.tokenizer) - 3} distinct words, and "
                    f"vocabulary={self.vocabulary} leaves room for {self.vocabulary - 3}; raise it."
                )
        return super().view(dataset)

    def transform(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The text beside one of its paraphrases, or beside itself where there are none."""
        others = sample["texts"].get("paraphrases") or [sample["text"]]
        kept = {key: value for key, value in sample.items() if key != "texts"}
        return kept | {"wording": str(others[int(rng.integers(len(others)))])}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        texts = batch["text"]
        seen = self.image_tower.pooled(fitted(batch["image"], self.image_size))
        ids, mask = self.tokenizer([*texts, *batch["wording"]], self.max_tokens)
        ids, mask = ids.to(self.device), mask.to(self.device)
        states = self.text_tower(ids)
        text, wording = self._pooled(states, mask).chunk(2)
        same = torch.tensor([[a == b for b in texts] for a in texts], device=text.device)
        images = self._agreement(self.image_head(seen), (text + wording) / 2, same)
        texts_alone = self._agreement(text, wording, same)
        words = F.cross_entropy(self.word_head(states[mask]), ids[mask])
        return {
            "loss": images + texts_alone + words,
            "image_text": images,
            "text_text": texts_alone,
            "words": words,
        }

    def _agreement(self, a: Tensor, b: Tensor, same: Tensor) -> Tensor:
        """Symmetric InfoNCE of two sets of vectors whose partners are `same`."""
        scale = self.log_scale.exp().clamp(max=100)
        scores = scale * F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
        target = same / same.sum(1, keepdim=True)
        return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        kept = mask[:, :, None].to(states.dtype)
        return self.text_head((states * kept).sum(1) / kept.sum(1))

    # use -----------------------------------------------------------------------
    @torch.no_grad()
    def encode(self, texts: Sequence[str], limit: int) -> tuple[Tensor, Tensor]:
        """Last hidden states (n, L, width) and mask (n, L) of texts within `limit` tokens."""
        return self._states(texts, min(limit, self.max_tokens))

    def _states(self, texts: Sequence[str], limit: int) -> tuple[Tensor, Tensor]:
        ids, mask = self.tokenizer(texts, limit)
        return self.text_tower(ids.to(self.device)), mask.to(self.device)

    def save_extra(self, folder: Path) -> None:
        self.tokenizer.save(folder / VOCABULARY)

    def load_extra(self, folder: Path) -> None:
        self.tokenizer = WordTokenizer.load(folder / VOCABULARY)


def _all_texts(dataset: Dataset) -> Iterator[str]:
    for i in range(len(dataset)):
        sample = dataset[i]
        yield sample["text"]
        yield from sample["texts"].get("paraphrases", ())
