"""What a classifier sees in generated images: AUROC by finding, divergences, inception score."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from benchmarks.metrics.declaration import (
    LABELLED,
    PROBABILITIES,
    ROWS,
    SAMPLES,
    SCORE_PAIRS,
    metric,
    too_large,
)
from medbench.core.errors import UserError, nearest

CHEXPERT14 = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
FINDINGS: Mapping[str, tuple[str, ...]] = {
    "chexpert5": ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"),
    "biomedjourney5": (
        "Atelectasis",
        "Cardiomegaly",
        "Edema",
        "Pleural Effusion",
        "Pneumothorax",
    ),
    "chexpert14": CHEXPERT14,
    "radgazegen12": (
        "Atelectasis",
        "Cardiomegaly",
        "Consolidation",
        "Edema",
        "Lung Lesion",
        "Lung Opacity",
        "Pleural Effusion",
        "Pleural Thickening",
        "Pneumonia",
        "Pneumothorax",
        "Fracture",
        "Enlarged Cardiomediastinum",
    ),
}
OTHER_NAMES = {  # of one finding, as other classifiers and tables spell it
    "effusion": "pleural effusion",
    "lesion": "lung lesion",
    "opacity": "lung opacity",
    "enlarged mediastinum": "enlarged cardiomediastinum",
}
TINY = 1e-7  # scores are kept this far from 0 and 1 in a divergence


@metric(
    "auroc",
    says="whether the asked findings show, finding by finding",
    direction="higher",
    needs=LABELLED,
    min_samples=2,
    version=1,
    kind=ROWS,
    gives=("mean",),
    by_name=True,
    source="Mann-Whitney statistic over n0 n1, ties counted half",
)
def auroc(
    scores: np.ndarray,
    score_names: Sequence[str],
    labels: np.ndarray,
    label_names: Sequence[str],
    *,
    findings: str | Sequence[str] | None = None,
) -> dict[str, float]:
    """AUROC of each finding by name, and `mean` over those that are defined.

    `findings` is one of FINDINGS or a list; by default every label that the judge scores. A label
    that is not 0 or 1 (not said, or uncertain) leaves its row out of that finding; with one class
    left the finding is undefined (NaN)."""
    score_columns, label_columns = _columns(score_names), _columns(label_names)
    found = {}
    for name in _asked(findings, score_columns, label_columns):
        key = canonical(name)
        for columns, what in ((score_columns, "scores"), (label_columns, "labels")):
            if key not in columns:
                raise UserError(
                    f"auroc: there are no {what} of {name}{nearest(key, columns)}; there are those "
                    f"of {', '.join(columns)}."
                )
        found[name] = area(scores[:, score_columns[key]], labels[:, label_columns[key]])
    defined = [value for value in found.values() if not np.isnan(value)]
    return found | {"mean": float(np.mean(defined)) if defined else float("nan")}


@metric(
    "kl_bernoulli",
    says="how far the classifier's scores are from those of the reference image",
    direction="lower",
    needs=SCORE_PAIRS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="KL of independent findings, p on the reference image, q on the generated; summed",
)
def kl_bernoulli(real_scores: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(n,) nats: sum over findings of p log(p / q) + (1 - p) log((1 - p) / (1 - q)), never < 0."""
    p, q = _inner(real_scores), _inner(scores)
    return np.asarray((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(1))


@metric(
    "kl_as_printed",
    says="kl_bernoulli by the formula that a paper prints",
    direction="lower",
    needs=SCORE_PAIRS,
    min_samples=1,
    version=1,
    kind=SAMPLES,
    source="BiomedJourney: sum of p log(p / q); its scale and averaging are not stated",
)
def kl_as_printed(real_scores: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(n,) nats: sum over findings of p log(p / q), which may be negative as scores of findings
    do not add up to 1."""
    p, q = _inner(real_scores), _inner(scores)
    return np.asarray((p * np.log(p / q)).sum(1))


@metric(
    "inception_score",
    says="sure of each image's class, and many classes in all",
    direction="higher",
    needs=PROBABILITIES,
    min_samples=20,
    version=1,
    draws=True,
    sizes=("splits",),
    source="Salimans et al. 2016; mean over `splits` equal parts in random order",
)
def inception_score(
    probabilities: np.ndarray, *, rng: np.random.Generator, splits: int = 10
) -> float:
    """exp of the mean divergence of (n, K) class probabilities from their mean, between 1 and K.

    Each part sees n / splits images, so values compare at one n and one number of splits."""
    if splits > len(probabilities):
        n = len(probabilities)
        raise UserError(too_large("inception_score", "splits", splits, n, "generated"))
    order = rng.permutation(len(probabilities))
    edges = np.arange(splits + 1) * len(order) // splits
    found = [score_of_part(probabilities[order[start:end]]) for start, end in pairwise(edges)]
    return float(np.mean(found))


def score_of_part(probabilities: np.ndarray) -> float:
    """The inception score of one part; a class of probability 0 adds nothing."""
    from scipy.special import rel_entr

    p = np.asarray(probabilities, np.float64)
    return float(np.exp(rel_entr(p, p.mean(axis=0)).sum(1).mean()))


def area(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve of rows labelled 0 or 1; NaN where one of the two is missing."""
    from scipy.stats import rankdata

    known = (labels == 0) | (labels == 1)
    positive = labels[known] == 1
    n1 = int(positive.sum())
    n0 = len(positive) - n1
    if not n0 or not n1:
        return float("nan")
    ranks = rankdata(np.asarray(scores, np.float64)[known])
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n0 * n1))


def canonical(name: str) -> str:
    """A finding's name in small letters with blanks, by the word that all spellings share."""
    plain = " ".join(name.replace("_", " ").lower().split())
    return OTHER_NAMES.get(plain, plain)


def _columns(names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        if canonical(name) in found:
            raise UserError(f"auroc: two columns are called {name}; each finding may stand once.")
        found[canonical(name)] = place
    return found


def _asked(
    findings: str | Sequence[str] | None, scores: Mapping[str, int], labels: Mapping[str, int]
) -> Sequence[str]:
    if findings is None:
        both = [name for name in labels if name in scores]
        if not both:
            raise UserError(
                f"auroc: the judge scores {', '.join(scores)}, the labels are "
                f"{', '.join(labels)}; they share none."
            )
        return both
    if not isinstance(findings, str):
        return findings
    if findings not in FINDINGS:
        raise UserError(
            f"auroc: findings={findings} is not known{nearest(findings, FINDINGS)}; known are "
            f"{', '.join(FINDINGS)}, or a list of names."
        )
    return FINDINGS[findings]


def split_findings(
    findings: str | Sequence[str] | None, labels: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The asked findings that are among the labels, and those that are not."""
    known = _columns(labels)
    there: list[str] = []
    absent: list[str] = []
    for name in _asked(findings, known, known):
        (there if canonical(name) in known else absent).append(name)
    return there, absent


def _inner(scores: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(scores, np.float64), TINY, 1 - TINY)
