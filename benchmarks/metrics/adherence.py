"""Whether an image shows what its prompt asks, by the scores of a judge."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.metrics.declaration import JUDGED, SAMPLES, metric
from medbench.core.errors import UserError, nearest

THRESHOLD = 0.5
Asked = Mapping[str, float]


@metric(
    "adherence",
    says="how often an image shows what its prompt asks",
    direction="higher",
    needs=JUDGED,
    min_samples=2,
    version=1,
    kind=SAMPLES,
    source="ours: exact for one answer, Jaccard index for a set of answers",
)
def adherence(scores: np.ndarray, names: Sequence[str], asked: Sequence[Asked]) -> np.ndarray:
    """(n, m) share right, in [0, 1], of n images judged by m prompts of one template.

    `scores` are (n, K) in [0, 1], named by `names`. Of labels `group=value` one holds: right is
    the highest of its group being the one asked. A single plain label is right when score >= 0.5
    equals what is asked. Several plain labels are a set: |asked and seen| / |asked or seen|, where
    a prompt that tells what the set leaves out is compared with as many labels as it names, those
    of the highest scores. A prompt that asks for several of these gets their product."""
    places = {name: place for place, name in enumerate(names)}
    columns = [_column(scores, names, places, want) for want in asked]
    return np.stack(columns, axis=1)


def _column(
    scores: np.ndarray, names: Sequence[str], places: Mapping[str, int], asked: Asked
) -> np.ndarray:
    """(n,) how right each image is for one prompt."""
    unknown = [name for name in asked if name not in places]
    if unknown:
        raise UserError(
            f"The judge has no label {unknown[0]!r}, which a prompt asks for"
            f"{nearest(unknown[0], names)}. It judges {', '.join(names)}."
        )
    right = np.ones(len(scores))
    groups = {name.split("=", 1)[0] for name, value in asked.items() if "=" in name and value}
    for group in sorted(groups):
        members = [name for name in names if name.split("=", 1)[0] == group and "=" in name]
        best = scores[:, [places[name] for name in members]].argmax(1)
        wanted = [bool(asked.get(name, 0)) for name in members]
        right *= np.array(wanted)[best]
    plain = [name for name in asked if "=" not in name]
    if plain:
        several = np.array([bool(asked[name]) for name in plain])
        right *= _agreement(scores[:, [places[name] for name in plain]], several)
    return right


def _agreement(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(n,) agreement of the labels that are seen with those that are wanted."""
    if len(wanted) == 1:
        return ((scores[:, 0] >= THRESHOLD) == wanted[0]).astype(np.float64)
    if wanted.all() or not wanted.any():
        seen = scores >= THRESHOLD
    else:
        ranks = (-scores).argsort(1, kind="stable").argsort(1, kind="stable")
        seen = ranks < wanted.sum()
    union = (seen | wanted).sum(1)
    return np.where(union > 0, (seen & wanted).sum(1) / np.maximum(union, 1), 1.0)
