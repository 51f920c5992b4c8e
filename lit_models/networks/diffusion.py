"""Arithmetic of diffusion that several methods share. `alpha_bar` is the cumulative product."""

from typing import Literal

import torch
from torch import Tensor

ScheduleName = Literal["linear", "scaled_linear", "cosine"]
LossName = Literal["l1", "l2", "v"]
V_MOST = 25.0  # times that the noisiest samples count


def noise_schedule(name: ScheduleName, n: int, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """(n,) alpha_bar in float32, computed in float64; `cosine` takes neither start nor end."""
    if name == "cosine":  # Nichol and Dhariwal 2021, eq. 17
        x = torch.linspace(0, n, n + 1, dtype=torch.float64) / n
        level = torch.cos((x + 0.008) / 1.008 * torch.pi / 2) ** 2
        betas = (1 - level[1:] / level[:-1]).clamp(max=0.999)
    elif name == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, n, dtype=torch.float64) ** 2
    else:
        betas = torch.linspace(start, end, n, dtype=torch.float64)
    return torch.cumprod(1 - betas, dim=0).float()


def q_sample(x0: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """x_t of samples (B, ...) at their own (B,) or one common alpha_bar."""
    level = _broadcast(alpha_bar, x0)
    return level.sqrt() * x0 + (1 - level).sqrt() * noise


def x0_from_eps(x: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """The clean sample that x_t and its noise imply."""
    level = _broadcast(alpha_bar, x)
    return (x - (1 - level).sqrt() * eps) / level.sqrt()


def eps_loss(eps: Tensor, noise: Tensor, alpha_bar: Tensor, name: LossName = "l2") -> Tensor:
    """Error of predicted noise (B, ...), the mean over samples and elements.

    `v` is the squared error of v = sqrt(ab) noise - sqrt(1 - ab) x0 that this noise implies, which
    is that of the noise over alpha_bar (B,); capped. It asks more where an image is decided."""
    if name == "l1":
        return (eps - noise).abs().mean()
    error = (eps - noise).pow(2).flatten(1).mean(1)
    return (error * (1 / alpha_bar).clamp(max=V_MOST) if name == "v" else error).mean()


def guide(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    """Standard form: 1 is the conditional prediction, 0 the unconditional one."""
    return unconditional + guidance * (conditional - unconditional)


def spaced_steps(n: int, steps: int) -> list[int]:
    """`steps` indices from n - 1 down to 0, evenly spaced and rounded down; one step is n - 1."""
    if not 1 <= steps <= n:
        raise ValueError(f"steps={steps} must lie between 1 and {n}, the steps of training")
    return [i * (n - 1) // (steps - 1) for i in reversed(range(steps))] if steps > 1 else [n - 1]


def ddim_moments(
    x: Tensor, eps: Tensor, alpha_bar: Tensor, alpha_bar_next: Tensor, eta: float
) -> tuple[Tensor, Tensor]:
    """Mean of the next, less noisy sample, and its standard deviation (Song et al. 2021, eq. 16).

    `alpha_bar_next` belongs to the less noisy step. The deviation has alpha_bar's shape."""
    sigma = (
        eta
        * ((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
        .clamp(min=0)
        .sqrt()
    )
    level, spread = _broadcast(alpha_bar_next, x), _broadcast(sigma, x)
    x0 = x0_from_eps(x, eps, alpha_bar)
    return level.sqrt() * x0 + (1 - level - spread**2).clamp(min=0).sqrt() * eps, sigma


def ddim_step(
    x: Tensor, eps: Tensor, noise: Tensor, alpha_bar: Tensor, alpha_bar_next: Tensor, eta: float
) -> Tensor:
    """The next sample. The last step of a chain is `x0_from_eps` and takes no noise."""
    mean, sigma = ddim_moments(x, eps, alpha_bar, alpha_bar_next, eta)
    return mean + _broadcast(sigma, x) * noise


def _broadcast(value: Tensor, like: Tensor) -> Tensor:
    return value.reshape(-1, *[1] * (like.ndim - 1)) if value.ndim else value
