import pytest
import torch

from lit_models.networks.diffusion import (
    ddim_moments,
    ddim_step,
    eps_loss,
    guide,
    noise_schedule,
    q_sample,
    spaced_steps,
    x0_from_eps,
)


def test_steps_fall_from_the_last_to_zero():
    indices = spaced_steps(1000, 150)
    assert len(set(indices)) == 150 and indices[0] == 999 and indices[-1] == 0
    assert indices == sorted(indices, reverse=True)
    with pytest.raises(ValueError, match="between 1 and 1000"):
        spaced_steps(1000, 1001)


def test_x0_inverts_q_sample():
    levels = noise_schedule("scaled_linear", 1000, 0.002, 0.02)
    x0, noise = torch.randn(2, 3, 8, 4, 4, generator=torch.manual_seed(0))
    t = torch.tensor([0, 500, 999])
    x = q_sample(x0, noise, levels[t])
    torch.testing.assert_close(x0_from_eps(x, noise, levels[t]), x0, atol=2e-4, rtol=0)


def test_losses_of_noise_against_closed_forms():
    torch.manual_seed(0)
    x0, noise, off = torch.randn(3, 4, 8, 2, 2)
    level = torch.tensor([0.9, 0.5, 0.2, 0.1])
    x, eps = q_sample(x0, noise, level), noise + off
    assert eps_loss(eps, noise, level, "l1") == pytest.approx(off.abs().mean().item())
    assert eps_loss(eps, noise, level, "l2") == pytest.approx(off.pow(2).mean().item())
    a = level[:, None, None, None]
    implied = a.sqrt() * eps - (1 - a).sqrt() * x0_from_eps(x, eps, level)
    true = a.sqrt() * noise - (1 - a).sqrt() * x0
    expected = (implied - true).pow(2).mean().item()
    assert eps_loss(eps, noise, level, "v") == pytest.approx(expected, rel=1e-4)
    capped = eps_loss(eps, noise, torch.full((4,), 1e-4), "v")
    assert capped == pytest.approx(25 * off.pow(2).mean().item(), rel=1e-5)


def test_guidance_is_in_standard_form():
    u, c = torch.randn(2, 5, generator=torch.manual_seed(0))
    torch.testing.assert_close(guide(u, c, 1.0), c)
    torch.testing.assert_close(guide(u, c, 0.0), u)
    torch.testing.assert_close(guide(u, c, 3.5 + 1), (3.5 + 1) * c - 3.5 * u)


def test_variance_of_neighbours_is_the_posterior_s():
    """With eta 1 and neighbouring steps sigma^2 is (1 - a') / (1 - a) beta."""
    levels = noise_schedule("linear", 1000).double()
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64, generator=torch.manual_seed(0))
    _, sigma = ddim_moments(x, x, levels[500], levels[499], 1.0)
    beta = 1 - levels[500] / levels[499]
    torch.testing.assert_close(sigma**2, (1 - levels[499]) / (1 - levels[500]) * beta)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_step_equals_diffusers(eta):
    import diffusers

    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
    )
    scheduler.set_timesteps(50)
    levels = noise_schedule("scaled_linear", 1000, 0.00085, 0.012)
    torch.testing.assert_close(levels, scheduler.alphas_cumprod)
    x, eps, noise = torch.randn(3, 2, 4, 8, 8, generator=torch.manual_seed(0))
    for t in (980, 500, 20):
        theirs = scheduler.step(eps, t, x, eta=eta, variance_noise=noise).prev_sample
        ours = ddim_step(x, eps, noise, levels[t], levels[t - 20], eta)
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
