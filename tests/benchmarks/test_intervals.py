"""What the intervals promise, by simulation."""

from functools import partial

import numpy as np

from benchmarks.intervals import (
    bootstrap_interval,
    disjoint_halves,
    halves_interval,
    shuffled,
)
from benchmarks.metrics.frechet import fid


def measured(real: np.ndarray, fake: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    return {"fid": fid(real, fake[rows])}


def test_halves_cover_the_mean_of_repeated_generated_sets() -> None:
    """The interval stands around the expected value at this n, not around that at infinity."""
    d, n, trials = 4, 150, 200
    real = np.random.default_rng(0).normal(size=(400, d))

    def generated(seed: int) -> np.ndarray:
        return np.random.default_rng([1, seed]).normal(0.3, 1.2, size=(n, d))

    expected = np.mean([fid(real, generated(10_000 + seed)) for seed in range(300)])
    covered = 0
    for seed in range(trials):
        fake = generated(seed)
        value = {"fid": fid(real, fake)}
        draws = np.random.default_rng([2, seed])
        measure = partial(measured, real, fake)
        span = halves_interval(value, measure, n, draws)["fid"]
        assert span[0] <= value["fid"] <= span[1]
        covered += span[0] <= expected <= span[1]
    assert covered / trials >= 0.90  # 95 %, less three standard errors of 200 trials


def test_the_bootstrap_covers_and_goes_by_subject() -> None:
    """Ten images of a subject are worth one: intervals by image would be three times too short."""
    covered, widths = 0, []
    trials = 300
    for seed in range(trials):
        rng = np.random.default_rng([3, seed])
        scores = np.repeat(rng.normal(0.5, 0.2, 60), 10)
        subjects = [str(i // 10) for i in range(600)]
        low, high = bootstrap_interval(scores, subjects, rng) or (0.0, 0.0)
        covered += low <= 0.5 <= high
        widths.append(high - low)
    assert covered / trials >= 0.89  # 93 % at 60 subjects, less three standard errors
    assert np.mean(widths) > 0.8 * 2 * 1.96 * 0.2 / np.sqrt(60)
    assert bootstrap_interval(np.ones(5), ["a"] * 5, np.random.default_rng(0)) is None


def test_halves_share_no_subject() -> None:
    subjects = [str(i % 7) for i in range(50)]
    for seed in range(10):
        one, other = disjoint_halves(subjects, np.random.default_rng(seed))
        assert sorted([*one, *other]) == list(range(50)) and len(one) and len(other)
        assert not {subjects[i] for i in one} & {subjects[i] for i in other}


def test_shuffling_gives_chance() -> None:
    answers = np.random.default_rng(0).integers(0, 4, 200)
    matrix = (answers[:, None] == answers[None]).astype(float)
    value, low, high = shuffled(matrix, np.random.default_rng(1))
    assert abs(value - 0.25) < 0.02 and low < value < high < 0.4
