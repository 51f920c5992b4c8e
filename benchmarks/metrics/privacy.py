"""Whether generated images repeat training images, or tell whose image was trained on.

Every measure is calibrated by real images that were held out, of other subjects: whatever they
score by chance is what an innocent generator would score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.declaration import PRIVACY, REIDENTIFICATION, metric, too_large
from benchmarks.metrics.neighbours import centred, nearest
from medbench.core.errors import UserError

TAIL, SMALLEST_TAIL = 0.1, 5  # of the held-out images, by which small chances are told
NEIGHBOURS = 10  # beyond the nearest, whose mean distance says how dense the surroundings are


@dataclass(frozen=True)
class Match:
    """A generated image and the training image nearest to it, by row number."""

    fake: int
    train: int
    distance: float
    p: float  # chance that a held-out image comes as close, or closer


@metric(
    "memorisation",
    says="whether training images come back",
    direction="lower",
    needs=PRIVACY,
    min_samples=20,
    version=1,
    gives=("copied", "closer_than_heldout", "p_closer", "median_ratio"),
    source="ours: nearest training distance over its surroundings', calibrated on held-out images",
)
def memorisation(
    train_features: np.ndarray,
    fake_features: np.ndarray,
    heldout_features: np.ndarray,
    *,
    false_share: float = 0.05,
) -> dict[str, float]:
    """Nearest training neighbours of generated images beside those of held-out real ones.

    The statistic of an image is its distance to the nearest training image over the mean distance
    to the next ten: blurred images are near to everything, and copies to one. `copied` is the
    share of generated images below every chance level by Benjamini and Hochberg, of which at most
    `false_share` are expected to be innocent. `closer_than_heldout` is the probability that a
    generated image has a smaller statistic than a held-out one (1/2 for an innocent generator),
    `p_closer` the one-tailed Mann-Whitney test of that, `median_ratio` the ratio of medians. Where
    the surroundings are all the image itself (distance 0) the statistic is 0."""
    from scipy.stats import mannwhitneyu

    matches, statistic, innocent = _statistics(train_features, fake_features, heldout_features)
    chance = np.array([match.p for match in matches])
    test = mannwhitneyu(statistic, innocent, alternative="less")
    pairs = len(statistic) * len(innocent)
    middle = float(np.median(innocent))
    return {
        "copied": float(discoveries(chance, false_share).mean()),
        "closer_than_heldout": float(1 - test.statistic / pairs),
        "p_closer": float(test.pvalue),
        "median_ratio": float(np.median(statistic)) / middle if middle else float("nan"),
    }


@metric(
    "reidentification",
    says="whether a training patient can be told from a generated image",
    direction="lower",
    needs=REIDENTIFICATION,
    min_samples=20,
    version=1,
    gives=("reidentified", "expected", "sensitivity"),
    source="ours, after Packhaeuser et al. 2022: verification by a learned embedding",
)
def reidentification(
    train_features: np.ndarray,
    fake_features: np.ndarray,
    heldout_features: np.ndarray,
    train_subjects: Sequence[str],
    heldout_subjects: Sequence[str],
    *,
    expected: float = 0.05,
) -> dict[str, float]:
    """Share of generated images that the embedding takes for a patient who was trained on.

    Features are scaled to length 1; an image is taken for the patient of its most similar training
    image when the cosine passes a threshold that a share `expected` of held-out images pass, none
    of whom was trained on. `sensitivity` is the share of held-out images with another image of the
    same subject among them that pass it with that one: where it is low, the embedding could not
    have recognised anybody. NaN when no held-out subject has two images."""
    shared = set(train_subjects) & set(heldout_subjects)
    if shared:
        raise UserError(
            f"reidentification: {len(shared)} subjects are both trained on and held out, such as "
            f"{min(shared)}; hold out others."
        )
    train, fake, heldout = (_unit(x) for x in (train_features, fake_features, heldout_features))
    innocent = 1 - _nearest_distances(train, heldout)[0] / 2
    threshold = np.quantile(innocent, 1 - expected, method="higher")
    similar = 1 - _nearest_distances(train, fake)[0] / 2
    return {
        "reidentified": float((similar > threshold).mean()),
        "expected": float((innocent > threshold).mean()),
        "sensitivity": _sensitivity(heldout, heldout_subjects, float(threshold)),
    }


def closest(
    train_features: np.ndarray,
    fake_features: np.ndarray,
    heldout_features: np.ndarray,
    count: int = 20,
) -> list[Match]:
    """The pairs that look most like copies, for a gallery: smallest p first, then distance."""
    matches, _, _ = _statistics(train_features, fake_features, heldout_features)
    return sorted(matches, key=lambda match: (match.p, match.distance))[:count]


def discoveries(p: np.ndarray, false_share: float) -> np.ndarray:
    """(n,) which p values are significant when `false_share` of these may be false (Benjamini and
    Hochberg 1995)."""
    order = np.argsort(p, kind="stable")
    allowed = false_share * np.arange(1, len(p) + 1) / len(p)
    below = np.flatnonzero(p[order] <= allowed)
    found = np.zeros(len(p), bool)
    found[order[: below[-1] + 1 if len(below) else 0]] = True
    return found


def _statistics(
    train: np.ndarray, fake: np.ndarray, heldout: np.ndarray
) -> tuple[list[Match], np.ndarray, np.ndarray]:
    if len(train) <= NEIGHBOURS:
        raise UserError(
            too_large("memorisation", "neighbours", NEIGHBOURS + 1, len(train), "training")
        )
    points, fakes, others = centred(train, fake, heldout)
    distances, places = nearest(fakes, points, NEIGHBOURS + 1)
    statistic = _isolation(distances)
    innocent = _isolation(nearest(others, points, NEIGHBOURS + 1)[0])
    p = _chance(statistic, innocent)
    rows = zip(places[:, 0], np.sqrt(distances[:, 0]), p, strict=True)
    matches = [Match(i, int(row), float(d), float(q)) for i, (row, d, q) in enumerate(rows)]
    return matches, statistic, innocent


def _chance(statistic: np.ndarray, innocent: np.ndarray) -> np.ndarray:
    """Share of held-out images at or below each statistic, counting one more, as a test must.

    That share is never below 1 / (h + 1), which would hide a few copies among many images. Within
    the lowest tenth it therefore follows the power of the distance that nearest neighbours obey
    (their number within r grows like r to the dimension), with Hill's estimate of the power less
    1.645 of its standard errors."""
    below = np.searchsorted(np.sort(innocent), statistic, side="right")
    p = (1 + below) / (1 + len(innocent))
    edge = float(np.quantile(innocent, TAIL))
    tail = innocent[innocent < edge]
    if len(tail) < SMALLEST_TAIL or not tail.all():
        return np.asarray(p)
    power = (1 - 1.645 / np.sqrt(len(tail))) / float(np.log(edge / tail).mean())
    inner = statistic < edge
    share = (1 + len(tail)) / (1 + len(innocent))
    p[inner] = share * (statistic[inner] / edge) ** power
    return np.asarray(p)


def _isolation(squared_distances: np.ndarray) -> np.ndarray:
    """Distance of the nearest over the mean of those that follow; 0 where these are 0."""
    distances = np.sqrt(squared_distances)
    around = distances[:, 1:].mean(axis=1)
    return np.where(around > 0, distances[:, 0] / np.where(around > 0, around, 1), 0.0)


def _nearest_distances(train: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points, others = centred(train, images)
    distances, places = nearest(others, points, 1)
    return distances[:, 0], places[:, 0]


def _sensitivity(heldout: np.ndarray, subjects: Sequence[str], threshold: float) -> float:
    names = np.asarray(subjects)
    best = []
    for row, name in enumerate(names):
        same = np.flatnonzero(names == name)
        same = same[same != row]
        if len(same):
            best.append(float((heldout[same] @ heldout[row]).max()))
    return float((np.array(best) > threshold).mean()) if best else float("nan")


def _unit(features: np.ndarray) -> np.ndarray:
    rows = np.asarray(features, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
