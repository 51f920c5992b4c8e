"""Which generated images are compared with each other."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

Pair = tuple[int, int]


def draw_pairs(
    n: int, count: int, rng: np.random.Generator, groups: Sequence[str] | None = None
) -> np.ndarray:
    """(p, 2) different pairs of n images, `count` of them or all that there are.

    Images are put in random order and each is paired with the next, the last with the first; with
    `groups` (such as the prompts) this is done within each group. More orders follow until there
    are enough; a pair that was met before is left out. So every image occurs equally often, and
    consecutive pairs share one."""
    members = _members(n, groups)
    if sum(len(group) * (len(group) - 1) // 2 for group in members) <= count:
        every = [pair for group in members for pair in combinations(group, 2)]
        return np.array(every, dtype=np.int64).reshape(-1, 2)
    found: dict[Pair, None] = {}
    while len(found) < count:
        for group in (members[i] for i in rng.permutation(len(members))):
            order = [group[i] for i in rng.permutation(len(group))]
            for one, other in zip(order, order[1:] + order[:1], strict=True):
                if one != other:
                    found.setdefault((min(one, other), max(one, other)))
    return np.array(list(found)[:count], dtype=np.int64)


def _members(n: int, groups: Sequence[str] | None) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for place in range(n):
        found.setdefault(groups[place] if groups is not None else "", []).append(place)
    return list(found.values())
