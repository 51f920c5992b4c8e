"""Random numbers of the phantoms: a function of what is drawn, never of what was drawn before.

Parameters come from the raw 64-bit words of a Philox stream, whose values the library guarantees;
the algorithms behind its distributions may change. Textures come from an integer hash."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Array = np.ndarray

SPLITS = ("train", "validation", "test")
MASK = (1 << 64) - 1
LATTICE = 64  # the period of the noise table, in cells
GRAIN = 256  # the period of the sensor noise, in pixels


def scramble(word: int) -> int:
    """A bijection of 64-bit integers that leaves no visible order (splitmix64)."""
    word = (word + 0x9E3779B97F4A7C15) & MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


@dataclass(frozen=True)
class Address:
    """What a draw is a function of; `stream` adds the purpose."""

    version: int
    seed: int
    domain: str
    split: str
    subject: int
    visit: int = 0

    def stream(self, purpose: int) -> "Stream":
        """The stream of one purpose (0 to 255), which no other purpose can disturb."""
        place = SPLITS.index(self.split) << 56 | self.subject << 24 | self.visit << 8 | purpose
        return Stream(_origin(self.version, self.seed, self.domain), place)


@cache
def _origin(version: int, seed: int, domain: str) -> int:
    word = scramble(version)
    for part in (seed & MASK, int.from_bytes(domain.encode(), "big") & MASK):
        word = scramble(word ^ part)
    return word


_PHILOX = np.random.Philox(
    key=0
)  # one for the process: setting its state is cheaper than a new one
_START = _PHILOX.state
_LOCK = threading.Lock()
_INVERSE = NormalDist().inv_cdf


def raw_words(origin: int, place: int, first: int, count: int) -> list[int]:
    """Words of the Philox stream with this key, from the `first` on (a multiple of four)."""
    return _raw_words(origin, place, first, count).tolist()


def _raw_words(origin: int, place: int, first: int, count: int) -> Array:
    with _LOCK:
        _START["state"]["key"][:] = (origin, place)
        _START["state"]["counter"][:] = (first // 4, 0, 0, 0)
        _PHILOX.state = _START
        return np.asarray(_PHILOX.random_raw(count))


class Stream:
    """Numbers from the raw words of one Philox stream, rounded to six decimals."""

    BLOCK = 64

    def __init__(self, origin: int, place: int) -> None:
        self._key = (origin, place)
        self._used = 0
        self._words: list[int] = []

    def _fill(self) -> list[int]:
        """The words that are left, in the reverse of their order; more when there are none."""
        if not self._words:
            self._words = raw_words(*self._key, self._used, self.BLOCK)[::-1]
            self._used += self.BLOCK
        return self._words

    def word(self) -> int:
        """The next 64 bits."""
        return (self._words or self._fill()).pop()

    def unit(self) -> float:
        """Uniform in [0, 1), 53 bits."""
        return ((self._words or self._fill()).pop() >> 11) * 2.0**-53

    def units(self, count: int) -> list[float]:
        """What as many calls of `unit` give, several times as fast."""
        taken = [self.unit() for _ in range(min(count, len(self._words)))]
        rest = count - len(taken)
        if rest:
            fresh = _raw_words(*self._key, self._used, max(self.BLOCK, -(-rest // 4) * 4))
            self._used += len(fresh)
            taken += ((fresh[:rest] >> np.uint64(11)) * 2.0**-53).tolist()
            self._words = fresh[rest:][::-1].tolist()
        return taken

    def uniform(self, low: float, high: float) -> float:
        share = ((self._words or self._fill()).pop() >> 11) * 2.0**-53
        return round(low + (high - low) * share, 6)

    def normal(self, mean: float, deviation: float) -> float:
        share = (((self._words or self._fill()).pop() >> 11) + 0.5) * 2.0**-53
        return round(mean + deviation * _INVERSE(share), 6)

    def integer(self, low: int, high: int) -> int:
        """Uniform in low..high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return ((self._words or self._fill()).pop() >> 11) * 2.0**-53 < probability

    def choose(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """One of the keys, with probabilities proportional to the values."""
        left = self.unit() * sum(weights.values())
        for option, weight in weights.items():
            left -= weight
            if left < 0:
                return option
        return option

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """All options in a random order; always uses one word for each."""
        return [option for _, option in sorted((self.word(), o) for o in options)]

    def direction(self) -> tuple[float, float]:
        """A unit vector, from a rational parametrisation: no cosine is needed."""
        t = 2 * self.unit() - 1
        cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
        quarter = self.integer(0, 1)
        cosine, sine = (cosine, sine) if quarter else (-cosine, -sine)
        return round(cosine, 6), round(sine, 6)


def _hashed(count: int, salt: int) -> Array:
    """`count` hashed 64-bit words, the same on every machine."""
    word = np.arange(count, dtype=np.uint64) + np.uint64(salt * count)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = (word + np.uint64(0x9E3779B97F4A7C15)) ^ (word >> np.uint64(shift))
        word = word * np.uint64(factor)
    return word ^ (word >> np.uint64(31))


@cache
def lattice_table() -> Array:
    """(LATTICE, LATTICE) uniform values in [0, 1), float32."""
    words = _hashed(LATTICE * LATTICE, 1) >> np.uint64(40)
    return (words.astype(np.float32) / np.float32(1 << 24)).reshape(LATTICE, LATTICE)


@cache
def grain_table() -> Array:
    """(GRAIN, GRAIN) bell-shaped values, float32: mean 0, deviation 1, none beyond 3.47."""
    words = _hashed(GRAIN * GRAIN, 2)
    lanes = np.zeros(words.shape, np.uint64)
    for lane in range(4):
        lanes += (words >> np.uint64(16 * lane)) & np.uint64(0xFFFF)
    scaled = (lanes.astype(np.float64) / 65535 - 2) * np.sqrt(3)
    return scaled.astype(np.float32).reshape(GRAIN, GRAIN)


def lattice_noise(rows: Array, columns: Array) -> Array:
    """Smooth noise in [0, 1) at the lattice coordinates rows x columns, (H,) and (W,)."""
    row, down = _cell(rows)
    column, right = _cell(columns)
    table = lattice_table()
    near, far = table[:, column], table[:, (column + 1) % LATTICE]
    wide = near + right * (far - near)
    near, far = wide[row], wide[(row + 1) % LATTICE]
    return near + down[:, None] * (far - near)


def _cell(coordinates: Array) -> tuple[Array, Array]:
    """Index of the lattice cell and the smoothed position in it."""
    index = np.floor(coordinates)
    inside = (coordinates - index).astype(np.float32)
    return index.astype(np.int64) % LATTICE, inside * inside * (3 - 2 * inside)
