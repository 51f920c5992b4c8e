"""Products of all features with each other, from which parts of two sets are measured at once.

Intervals and floors ask for one metric on many parts of the same sets. The products that every
part needs are made once; what is left depends on the size of the part and not on the features'."""

from functools import cached_property

import numpy as np

LARGEST = 4000  # rows of both sets together; the matrix then takes 128 MB
SAME = 1e-12  # squared distances below this share of the squared norms are rounding: equal points


class Gram:
    """Inner products of the rows of several sets, put one below the other."""

    def __init__(self, *sets: np.ndarray) -> None:
        self.starts = np.cumsum([0, *map(len, sets)])
        self.dimensions = sets[0].shape[1]
        centre = np.asarray(sets[0].mean(axis=0, dtype=np.float64))
        rows = np.concatenate([features - centre for features in sets])
        self.products = rows @ rows.T  # about the mean of the first set
        self._along = rows @ centre + float(centre @ centre) / 2

    @staticmethod
    def fits(*sets: np.ndarray) -> bool:
        return sum(map(len, sets)) <= LARGEST

    def rows(self, place: int, rows: np.ndarray) -> np.ndarray:
        """Row numbers here of some rows of one set."""
        return np.asarray(rows) + self.starts[place]

    @cached_property
    def kernel(self) -> np.ndarray:
        """(x y / d + 1)^3 of all pairs of rows as they came."""
        raw = self.products + self._along[:, None] + self._along[None]
        return np.asarray((raw / self.dimensions + 1) ** 3)

    @cached_property
    def distances(self) -> np.ndarray:
        """Squared distances of all pairs; those of equal rows are exactly 0."""
        squares = np.diagonal(self.products)
        norms = squares[:, None] + squares[None]
        found = norms - 2 * self.products
        found[found < SAME * norms] = 0
        return found
