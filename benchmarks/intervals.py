"""How far a value can be trusted: intervals, and what real images would have got."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

HALVES, BOOTSTRAPS, SHUFFLES, FLOORS = 50, 1000, 200, 10
ROW_BOOTSTRAPS = 300  # of values that have to be computed anew for each draw
MANY, FEW_FLOORS = 2000, 3  # real images above which fewer splits make the floor, and how many
NORMAL_95 = 1.96
Interval = tuple[float, float]
Values = dict[str, float]


def halves_interval(
    value: Values, measure: Callable[[np.ndarray], Values], n: int, rng: np.random.Generator
) -> dict[str, Interval]:
    """Value +- 1.96 standard deviations over 50 random halves of the n generated samples.

    The spread of halves drawn without replacement is the standard error of the whole. Their
    percentiles would not do: a distance is biased by n, and they would exclude the value."""
    found = [measure(rows) for rows in random_halves(n, rng)]
    spread = {name: float(np.std([f[name] for f in found], ddof=1)) for name in value}
    return {
        name: (value[name] - NORMAL_95 * spread[name], value[name] + NORMAL_95 * spread[name])
        for name in value
    }


def random_halves(n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """50 times n // 2 row numbers, without repetition in each."""
    for _ in range(HALVES):
        yield rng.permutation(n)[: n // 2]


def bootstrap_interval(
    scores: np.ndarray, subjects: Sequence[str], rng: np.random.Generator
) -> Interval | None:
    """95 % of 1,000 bootstrap means of per-image scores, drawn by subject; None for one subject."""
    draws = bootstrap_means(scores, subjects, rng)
    if draws is None:
        return None
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_means(
    scores: np.ndarray, subjects: Sequence[str], rng: np.random.Generator
) -> np.ndarray | None:
    """(1000,) means of per-image scores, subjects drawn with replacement; None for one subject.

    Equal subjects and streams draw equal weights, whatever the scores."""
    _, places = np.unique(np.asarray(subjects), return_inverse=True)
    count = np.bincount(places)
    if len(count) < 2:
        return None
    total = np.bincount(places, weights=scores)
    draws = rng.multinomial(len(count), np.full(len(count), 1 / len(count)), size=BOOTSTRAPS)
    return np.asarray((draws @ total) / (draws @ count))


def bootstrap_rows(
    subjects: Sequence[str], count: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """`count` times the row numbers of subjects drawn with replacement."""
    _, places = np.unique(np.asarray(subjects), return_inverse=True)
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[order], np.arange(places.max() + 2))
    members = [order[a:b] for a, b in pairwise(bounds)]
    for _ in range(count):
        drawn = rng.integers(len(members), size=len(members))
        yield np.concatenate([members[i] for i in drawn])


def percentiles(draws: np.ndarray | None) -> tuple[float | None, float | None]:
    """The middle 95 % of resampled values; nothing of none."""
    if draws is None or not len(draws):
        return None, None
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def disjoint_halves(
    subjects: Sequence[str], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of row numbers, about half each, that share no subject."""
    names, places = np.unique(np.asarray(subjects), return_inverse=True)
    order = rng.permutation(len(names))
    reached = np.cumsum(np.bincount(places)[order])
    first = order[: int(np.searchsorted(reached, len(places) / 2, side="left")) + 1]
    if len(first) == len(names):
        first = first[:-1]
    mine = np.isin(places, first)
    return np.flatnonzero(mine), np.flatnonzero(~mine)


def shuffled(matrix: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean and 2.5 / 97.5 % bounds of the share right when prompts are dealt out at random.

    `matrix` is (n, n), images by prompts, each image's own prompt on the diagonal."""
    n = len(matrix)
    rows = np.arange(n)
    found = [float(matrix[rows, rng.permutation(n)].mean()) for _ in range(SHUFFLES)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(np.mean(found)), float(low), float(high)
