"""Text encoders: words to tokens, tokens to states, and one function that opens any of them."""

import json
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.stage import CONFIG, open_stage
from medbench.core.errors import UserError
from medbench.core.files import write_text

START, END, UNKNOWN = 0, 1, 2
WORD = re.compile(r"\w+(?:-\w+)*|[^\w\s]")


class TextEncoder(Protocol):
    """What methods use of a text encoder. Frozen encoders are nn.Modules as well."""

    width: int

    def encode(self, texts: Sequence[str], limit: int) -> tuple[Tensor, Tensor]:
        """States (n, L, width) and mask (n, L), true on tokens; raises for a longer text."""


class WordTokenizer:
    """Lower-cased words and signs of a closed vocabulary, between a start and an end token."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = list(words)
        self.ids = {word: i + UNKNOWN + 1 for i, word in enumerate(self.words)}
        self.warned: set[str] = set()

    @classmethod
    def of(cls, texts: Iterable[str]) -> "WordTokenizer":
        """The vocabulary of these texts, in alphabetical order."""
        return cls(sorted({word for text in texts for word in split_words(text)}))

    def __len__(self) -> int:
        return len(self.words) + UNKNOWN + 1

    def __call__(self, texts: Sequence[str], limit: int) -> tuple[Tensor, Tensor]:
        """Ids (n, L), padded with the end token to the longest text, and mask (n, L)."""
        rows = [self._row(text) for text in texts]
        check_lengths(texts, [len(row) for row in rows], limit)
        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), END)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        lengths = torch.tensor([len(row) for row in rows])
        return ids, torch.arange(longest)[None] < lengths[:, None]

    def _row(self, text: str) -> list[int]:
        words = split_words(text)
        if strange := set(words) - self.ids.keys() - self.warned:
            warnings.warn(f"The text encoder never saw the words {sorted(strange)}.", stacklevel=4)
            self.warned |= strange
        return [START, *(self.ids.get(word, UNKNOWN) for word in words), END]

    def save(self, path: Path) -> None:
        write_text(path, json.dumps(self.words, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> "WordTokenizer":
        return cls(json.loads(path.read_text(encoding="utf-8")))


def split_words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def check_lengths(texts: Sequence[str], lengths: Sequence[int], limit: int) -> None:
    """A text is never cut: one that is too long stops with its first words."""
    for text, length in zip(texts, lengths, strict=True):
        if length > limit:
            raise UserError(
                f"The text {text[:60]!r}... has {length} tokens; the limit is {limit}, both end "
                "tokens counted. Shorten it, or leave such texts out."
            )


class TextTower(nn.Module):
    """CLIP's text transformer: causal, normalised first, with learnt positions."""

    def __init__(
        self, vocabulary: int, width: int, layers: int, heads: int, max_tokens: int
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(max_tokens, width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.01)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, 0.0, F.gelu, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, ids: Tensor) -> Tensor:
        """Last hidden states (B, L, width). Being causal, they do not depend on padding."""
        length = ids.shape[1]
        causal = nn.Transformer.generate_square_subsequent_mask(length, ids.device)
        x = self.tokens(ids) + self.positions.weight[:length]
        for layer in self.layers:
            x = layer(x, src_mask=causal, is_causal=True)
        return self.norm(x)


class ReleasedText(nn.Module):
    """A CLIP text tower in transformers' layout, padded to the limit as its methods pad."""

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.width = int(model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    @torch.no_grad()
    def encode(self, texts: Sequence[str], limit: int) -> tuple[Tensor, Tensor]:
        lengths = [len(ids) for ids in self.tokenizer(list(texts), truncation=False)["input_ids"]]
        check_lengths(texts, lengths, limit)
        given = self.tokenizer(
            list(texts), padding="max_length", max_length=limit, return_tensors="pt"
        ).to(next(self.model.parameters()).device)
        states = self.model(given["input_ids"], attention_mask=given["attention_mask"])[0]
        return states, given["attention_mask"].bool()


def open_text_encoder(name: str) -> Any:
    """A frozen text encoder from a finished stage's folder, a transformers folder or a hub name."""
    if (Path(name) / CONFIG).is_file():
        stage = open_stage(name)
        if not hasattr(stage, "encode"):
            raise UserError(f"{name} is a {type(stage).__name__}, which encodes no text.")
        return stage
    try:
        from transformers import CLIPTextModel, CLIPTokenizer
    except ModuleNotFoundError as error:
        raise UserError(
            f"text_encoder={name} needs the package transformers: pip install transformers, or "
            "name a text encoder fitted here, such as stage:clip_gi."
        ) from error
    try:
        return ReleasedText(
            CLIPTextModel.from_pretrained(name), CLIPTokenizer.from_pretrained(name)
        ).eval()
    except OSError as error:
        raise UserError(
            f"text_encoder={name} is neither a finished stage nor a CLIP folder (config.json, "
            "model.safetensors and the tokenizer's files), and no copy of it is on this machine. "
            "Put one there, or use stage:clip_gi, which is fitted here."
        ) from error


# sizes of text towers that a plan counts without their files
RELEASED: dict[str, dict[str, Any]] = {
    "openai/clip-vit-large-patch14": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
    }
}


def count_released_text(name: str) -> dict[str, int | None]:
    """Parameters of a text encoder that is no stage; None where neither folder nor name tells."""
    from transformers import CLIPTextConfig, CLIPTextModel

    if (Path(name) / CONFIG).is_file() or name.startswith("stage:"):
        return {}
    if (Path(name) / "config.json").is_file():
        config = CLIPTextConfig.from_pretrained(name)
    elif name in RELEASED:
        config = CLIPTextConfig(**RELEASED[name])
    else:
        return {name: None}
    with torch.device("meta"):
        return {name: sum(p.numel() for p in CLIPTextModel(config).parameters())}
