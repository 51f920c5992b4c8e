"""How well an edited image shows the new finding and keeps whose image it is (CMIG)."""

from collections.abc import Sequence

import numpy as np

from benchmarks.metrics.classification import area, auroc
from benchmarks.metrics.declaration import COUNTERFACTUAL, ROWS, metric

ACCURACIES, RETENTIONS = ("pathology_auroc",), ("race_auroc", "age_pearson")


@metric(
    "cmig",
    says="shows the new finding and keeps whose image it is",
    direction="higher",
    needs=COUNTERFACTUAL,
    may_need=("anatomy_dice",),
    min_samples=3,
    version=1,
    kind=ROWS,
    gives=("cmig", *ACCURACIES, *RETENTIONS),
    by_name=True,
    source="BiomedJourney: sqrt(gmean(accuracies) gmean(retentions)); every term stays visible",
)
def cmig(
    scores: np.ndarray,
    score_names: Sequence[str],
    labels: np.ndarray,
    label_names: Sequence[str],
    race_scores: np.ndarray,
    races: Sequence[str],
    race_names: Sequence[str],
    predicted_ages: np.ndarray,
    ages: np.ndarray,
    *,
    anatomy_dice: np.ndarray | None = None,
    findings: str | Sequence[str] = "biomedjourney5",
) -> dict[str, float]:
    """All terms in [0, 1] (the correlation in [-1, 1]) and both readings of their mean.

    `cmig` is the formula as stated: accuracy is the mean AUROC of the findings, retentions are
    race AUROC and age correlation. The paper's printed values do not follow from it; where
    `anatomy_dice` is at hand, `cmig_with_dice` takes its mean as a third retention, which comes
    closer for some rows. A term below 0 counts as 0, one that is undefined makes NaN."""
    by_name = auroc(scores, score_names, labels, label_names, findings=findings)
    parts = {
        "pathology_auroc": by_name["mean"],
        "race_auroc": race_auroc(race_scores, races, race_names),
        "age_pearson": pearson(predicted_ages, ages),
    }
    accuracies = [parts[name] for name in ACCURACIES]
    retentions = [parts[name] for name in RETENTIONS]
    found = {"cmig": combine(accuracies, retentions)} | parts
    if anatomy_dice is not None:
        known = anatomy_dice[np.isfinite(anatomy_dice)]
        agreement = float(known.mean()) if len(known) else float("nan")
        both = combine(accuracies, [*retentions, agreement])
        found |= {"anatomy_dice": agreement, "cmig_with_dice": both}
    return found


def combine(accuracies: Sequence[float], retentions: Sequence[float]) -> float:
    """sqrt(geometric mean of accuracies x geometric mean of retentions)."""
    terms = [np.maximum(np.asarray(part, np.float64), 0) for part in (accuracies, retentions)]
    return float(np.sqrt(np.prod([np.prod(part) ** (1 / len(part)) for part in terms])))


def race_auroc(scores: np.ndarray, races: Sequence[str], names: Sequence[str]) -> float:
    """Mean over races, by name, of the AUROC of one against the others; races that nobody or
    everybody has are left out, and NaN comes back when none is left."""
    given = np.asarray(races)
    found = [area(scores[:, i], (given == name).astype(float)) for i, name in enumerate(names)]
    defined = [value for value in found if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Correlation of rows where both are known; NaN for fewer than 3 or where one is constant."""
    known = np.isfinite(x) & np.isfinite(y)
    a, b = (np.asarray(v, np.float64)[known] for v in (x, y))
    if len(a) < 3 or a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
