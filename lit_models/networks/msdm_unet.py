"""The UNet of MSDM: Medfusion's, with cross-attention to the text and a feed-forward layer."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.networks.msdm_vae import Unit, Up, zeroed
from medbench.core.errors import UserError

MASKED = -10_000.0  # added to the scores of padding


class CrossAttention(nn.Module):
    """Queries (B, N, width) over tokens (B, L, context), without biases."""

    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"heads={heads} does not divide {width}, the width of an attention.")
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
        """`bias` is (B, 1, L), added to the scores."""

        def split(value: Tensor) -> Tensor:
            return value.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        q, k, v = split(self.to_q(x)), split(self.to_k(tokens)), split(self.to_v(tokens))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[:, None].to(q.dtype))
        return self.to_out(out.transpose(1, 2).flatten(2))


class ModulatedNorm(nn.Module):
    """GN(x) (1 + scale) + shift; scale and shift come from the embedding and start at zero."""

    def __init__(self, width: int, embedding: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, affine=False)
        self.modulation = nn.Linear(embedding, 2 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(F.silu(embedding))[:, :, None, None].chunk(2, dim=1)
        return self.norm(x) * (1 + scale) + shift


class ResBlock(nn.Module):
    """Two units with the embedding added between them."""

    def __init__(self, given: int, made: int, embedding: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.unit1 = Unit(given, made, groups, dropout)
        self.unit2 = Unit(made, made, groups, dropout, zero=True)
        self.embed = nn.Linear(embedding, made)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.unit2(self.unit1(x) + self.embed(F.silu(embedding))[:, :, None, None])


class TextBlock(nn.Module):
    """Cross-attention to the text, then a feed-forward layer; there is no self-attention."""

    def __init__(self, width: int, embedding: int, groups: int, heads: int) -> None:
        super().__init__()
        self.norm1 = ModulatedNorm(width, embedding, groups)
        self.attention = CrossAttention(width, embedding, heads)
        self.norm2 = ModulatedNorm(width, embedding, groups)
        self.expand = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.reduce = nn.Conv2d(4 * width, width, 1, bias=False)

    def forward(self, x: Tensor, embedding: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
        queries = self.norm1(x, embedding).flatten(2).transpose(1, 2)
        x = x + self.attention(queries, tokens, bias).transpose(1, 2).reshape(x.shape)
        return x + self.reduce(F.silu(self.expand(self.norm2(x, embedding))))


class Level(nn.Module):
    """[Res, Att], after a concatenated skip or before an up-sampler where there is one."""

    def __init__(
        self,
        given: int,
        made: int,
        embedding: int,
        groups: int,
        dropout: float,
        heads: int,
        up: bool = False,
    ) -> None:
        super().__init__()
        self.res = ResBlock(given, made, embedding, groups, dropout)
        self.text = TextBlock(made, embedding, groups, heads)
        self.up = Up(made, made) if up else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
        return self.up(self.text(self.res(x, embedding), embedding, tokens, bias))


class MsdmUNet(nn.Module):
    """Noise of latents (B, latent_channels, S, S); S is a multiple of 4, widths of `groups`.

    widths: of the first convolution and of the three levels, from the full resolution inwards.
    text_gain: multiplies the initial weights of the text's second projection. heads: of the
    cross-attention of every block; that which pools the text has one for every 64 channels."""

    def __init__(
        self,
        latent_channels: int = 8,
        widths: Sequence[int] = (256, 256, 512, 1024),
        embedding: int = 1024,
        text_width: int = 768,
        dropout: float = 0.1,
        self_conditioning: bool = True,
        groups: int = 32,
        legacy_mean_query: bool = False,
        text_gain: float = 1.0,
        heads: int = 8,
    ) -> None:
        super().__init__()
        self.self_conditioning, self.legacy_mean_query = self_conditioning, legacy_mean_query
        self.sinusoid = embedding // 4
        plain = (embedding, groups, dropout)
        rest = (*plain, heads)
        self.time1, self.time2 = (
            nn.Linear(self.sinusoid, embedding),
            nn.Linear(embedding, embedding),
        )
        self.text1 = nn.Linear(text_width, embedding, bias=False)
        self.text2 = nn.Linear(embedding, embedding, bias=False)
        with torch.no_grad():
            self.text2.weight *= text_gain
        self.pool = CrossAttention(embedding, embedding, heads=max(1, embedding // 64))
        doubled = 2 if self_conditioning else 1
        self.first = nn.Conv2d(doubled * latent_channels, widths[0], 3, padding=1)

        inner: list[nn.Module] = []  # seven skips beside the first convolution's
        for i in range(1, len(widths)):
            inner += [Level(widths[i - 1], widths[i], *rest), Level(widths[i], widths[i], *rest)]
            if i < len(widths) - 1:
                inner.append(nn.Conv2d(widths[i], widths[i], 3, 2, padding=1))
        self.encoder = nn.ModuleList(inner)
        self.middle = Level(widths[-1], widths[-1], *rest)
        self.middle_res = ResBlock(widths[-1], widths[-1], *plain)
        outer: list[nn.Module] = []  # in the order in which they run
        for i in reversed(range(1, len(widths))):
            outer += [Level(2 * widths[i], widths[i], *rest) for _ in range(2)]
            outer.append(Level(widths[i] + widths[i - 1], widths[i - 1], *rest, up=i > 1))
        self.decoder = nn.ModuleList(outer)
        self.last = zeroed(nn.Conv2d(widths[0], latent_channels, 1))

    def forward(
        self, x: Tensor, t: Tensor, states: Tensor, mask: Tensor, self_cond: Tensor | None = None
    ) -> Tensor:
        """x (B, C, S, S), t (B,), text states (B, L, text_width), mask (B, L) true on tokens.

        `self_cond` is the extra input of self-conditioning; None stands for zeros."""
        tokens = self.text2(F.silu(self.text1(states)))
        bias = (~mask)[:, None, :].to(tokens.dtype) * MASKED
        embedding = self._time(t) + self._pooled(tokens, mask, bias)
        if self.self_conditioning:
            x = torch.cat([x, torch.zeros_like(x) if self_cond is None else self_cond], dim=1)
        x = self.first(x)
        skips = [x]
        for block in self.encoder:
            x = block(x, embedding, tokens, bias) if isinstance(block, Level) else block(x)
            skips.append(x)
        x = self.middle_res(self.middle(x, embedding, tokens, bias), embedding)
        for block in self.decoder:
            x = block(torch.cat([x, skips.pop()], dim=1), embedding, tokens, bias)
        return self.last(x)

    def _time(self, t: Tensor) -> Tensor:
        half = self.sinusoid // 2
        index = torch.arange(half, device=t.device)
        angles = t[:, None] * torch.exp(-math.log(10_000) / (half - 1) * index)
        wave = torch.cat([angles.sin(), angles.cos()], dim=1).to(self.time1.weight.dtype)
        return self.time2(F.silu(self.time1(wave)))

    def _pooled(self, tokens: Tensor, mask: Tensor, bias: Tensor) -> Tensor:
        """Attention pooling with the mean token as its only query: (B, embedding)."""
        if self.legacy_mean_query:  # the released code averages padding too
            query = tokens.mean(1, keepdim=True)
        else:
            kept = mask[:, :, None].to(tokens.dtype)
            query = (tokens * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True)
        return self.pool(query, tokens, bias)[:, 0]


# A released checkpoint's names, as (pattern, ours) in the order in which they are applied.
# Its decoder counts from the full resolution inwards, the reverse of the order of running.
PUBLIC_NAMES = (
    (r"^time_embedder\.time_emb\.1\.", "time1."),
    (r"^time_embedder\.time_emb\.3\.", "time2."),
    (r"^cond_projection_linear\.", "text1."),
    (r"^cond_projection_linear2\.", "text2."),
    (r"^cond_pooling\.attention\.", "pool."),
    (r"^in_conv\.conv\.", "first."),
    (r"^in_blocks\.(\d+)\.down_op\.", r"encoder.\1."),
    (r"^in_blocks\.", "encoder."),
    (r"^middle_block\.2\.", "middle_res."),
    (r"^middle_block\.", "middle."),
    *((rf"^out_blocks\.{8 - i}\.", f"decoder.{i}.") for i in range(9)),
    (r"^outc\.conv\.conv\.", "last."),
    (r"^(middle|(?:en|de)coder\.\d+)\.0\.", r"\1.res."),
    (r"^(middle|(?:en|de)coder\.\d+)\.1\.attention\.", r"\1.text."),
    (r"^(decoder\.\d+)\.2\.up_op\.", r"\1.up.conv."),
    (r"\.block_seq\.0\.", ".unit1."),
    (r"\.block_seq\.1\.", ".unit2."),
    (r"\.basic_block\.", "."),
    (r"\.conv_res\.", ".skip."),
    (r"\.local_embedder\.1\.", ".embed."),
    (r"\.in_norm\.context_mlp\.1\.", ".norm1.modulation."),
    (r"\.out_norm\.context_mlp\.1\.", ".norm2.modulation."),
    (r"\.feed_forward\.0\.", ".expand."),
    (r"\.feed_forward\.2\.", ".reduce."),
    (r"\.to_out\.0\.", ".to_out."),
)
