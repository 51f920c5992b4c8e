"""Draws depend on what is drawn, not on the batch around it."""

import torch

from medbench.core.seeds import Draws, mix, rng


def test_a_seed_tells_types_and_borders_apart() -> None:
    seeds = {mix(1, 2), mix(12), mix("1", 2), mix("1", "2"), mix("12"), mix(2, 1)}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_on_every_machine() -> None:
    assert mix("run", 7) == 6393840013453684460
    assert rng("run", 7).integers(1000) == rng("run", 7).integers(1000)


def test_a_row_is_the_same_in_any_batch() -> None:
    alone, among = Draws([5]), Draws([1, 5, 9])
    for name, arguments in [("normal", (2, 3)), ("uniform", ()), ("integers", (1000, 4))]:
        assert torch.equal(getattr(alone, name)(*arguments)[0], getattr(among, name)(*arguments)[1])


def test_draws_have_the_moments_that_they_claim() -> None:
    draws = Draws(range(200))
    normal, uniform = draws.normal(500), draws.uniform(500)
    assert abs(float(normal.mean())) < 0.02 and abs(float(normal.std()) - 1) < 0.02
    assert 0 <= float(uniform.min()) and float(uniform.max()) < 1
    assert abs(float(uniform.mean()) - 0.5) < 0.01
    assert set(draws.integers(3, 50).flatten().tolist()) == {0, 1, 2}
