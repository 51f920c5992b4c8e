"""Metrics against closed forms, independent implementations and laws."""

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import sqrtm

from benchmarks import listing
from benchmarks.metrics.adherence import adherence
from benchmarks.metrics.declaration import FEATURES, INPUTS, Metric, known_metrics, load_metric
from benchmarks.metrics.frechet import fid
from benchmarks.metrics.kernel import WHOLE, kid
from benchmarks.metrics.manifold import prc
from medbench.core.errors import UserError


def draw(seed: int, n: int, d: int, shift: float = 0.0) -> np.ndarray:
    """Correlated features with unequal spreads, float32 as extractors give them."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(d, d)) / np.sqrt(d)
    return (rng.normal(size=(n, d)) @ mixing + shift).astype(np.float32)


def stream() -> np.random.Generator:
    return np.random.default_rng(0)


# Frechet distance ---------------------------------------------------------------------------


def fid_by_matrix_root(real: np.ndarray, fake: np.ndarray) -> float:
    """The textbook formula."""
    x, y = real.astype(np.float64), fake.astype(np.float64)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    gap = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(gap + np.trace(a + b - 2 * np.real(sqrtm(a @ b))))


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 16), (500, 400, 64), (65, 70, 64)])
def test_fid_equals_the_matrix_root(n: int, m: int, d: int) -> None:
    real, fake = draw(1, n, d), draw(2, m, d, 0.3)
    assert fid(real, fake) == pytest.approx(fid_by_matrix_root(real, fake), rel=1e-6)


def test_fid_equals_torchmetrics_on_the_same_features() -> None:
    """Stored from torchmetrics 1.9.0, _compute_fid of the moments in double precision."""
    real, fake = draw(1, 400, 32), draw(2, 300, 32, 0.2)
    assert fid(real, fake) == pytest.approx(2.6656397157804292, rel=1e-6)


def test_fid_with_fewer_samples_than_dimensions_agrees_between_both_routes() -> None:
    """Features padded with constant columns have the same distance, by the other route."""
    real, fake = draw(1, 60, 40), draw(2, 50, 40, 0.3)
    padded = [np.pad(x, ((0, 0), (0, 60))) for x in (real, fake)]
    assert fid(*padded) == pytest.approx(fid(real, fake), rel=1e-6)


def test_fid_of_an_affine_map_has_a_closed_form() -> None:
    """x -> a x + b moves the mean by (a - 1) m + b and scales the covariance by a^2."""
    x = draw(1, 500, 24, 0.7).astype(np.float64)
    a, b = 1.7, -0.4
    expected = (((a - 1) * x.mean(0) + b) ** 2).sum()
    expected += (a - 1) ** 2 * np.trace(np.cov(x, rowvar=False))
    assert fid(x, a * x + b) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("n", "d"), [(200, 16), (30, 64)])
def test_fid_laws(n: int, d: int) -> None:
    real, fake = draw(1, n, d), draw(2, n, d)
    assert fid(real, real) == pytest.approx(0, abs=1e-5)
    assert fid(real, fake) == pytest.approx(fid(fake, real), rel=1e-6)
    assert fid(3 * real, 3 * fake) == pytest.approx(9 * fid(real, fake), rel=1e-5)
    assert fid(real[::-1], fake) == pytest.approx(fid(real, fake), rel=1e-6)
    shifted = [fid(real, fake + shift) for shift in (0.5, 1.0, 2.0)]
    assert shifted == sorted(shifted)


# kernel distance ----------------------------------------------------------------------------


def kid_by_loops(real: np.ndarray, fake: np.ndarray) -> float:
    x, y = real.astype(np.float64), fake.astype(np.float64)
    n, d = x.shape

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / d + 1) ** 3)

    same = sum(
        kernel(x[i], x[j]) + kernel(y[i], y[j]) for i in range(n) for j in range(n) if i != j
    )
    cross = sum(kernel(x[i], y[j]) for i in range(n) for j in range(n))
    return same / (n * (n - 1)) - 2 * cross / n**2


def test_kid_equals_a_loop_when_the_subset_is_the_set() -> None:
    real, fake = draw(1, 30, 8), draw(2, 30, 8, 0.5)
    ours = kid(real, fake, rng=stream(), subset_size=30, subsets=3)
    assert ours == pytest.approx(kid_by_loops(real, fake), rel=1e-10)


def test_kid_equals_torchmetrics_on_the_same_subset() -> None:
    """Stored from torchmetrics 1.9.0, poly_mmd in double precision."""
    real, fake = draw(1, 100, 32), draw(2, 100, 32, 0.2)
    ours = kid(real, fake, rng=stream(), subset_size=100, subsets=1)
    assert ours == pytest.approx(0.09479598034034442, rel=1e-6)


def test_kid_subsets_are_of_equal_size_in_sets_that_are_not() -> None:
    """A subset of 20 real and 20 generated images, whatever the sets hold."""
    real, fake = draw(1, 40, 8), draw(2, 90, 8, 0.5)
    found = kid(real, fake, rng=stream(), subset_size=20, subsets=3)
    rng = stream()
    ones, others = ([rng.permutation(n)[:20] for _ in range(3)] for n in (40, 90))
    pairs = zip(ones, others, strict=True)
    by_hand = np.mean([kid_by_loops(real[i], fake[j]) for i, j in pairs])
    assert found == pytest.approx(by_hand, rel=1e-10)


def test_kid_by_whole_kernel_equals_kid_by_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = draw(1, 120, 8), draw(2, 150, 8, 0.2)
    whole = kid(real, fake, rng=stream(), subset_size=40, subsets=20)
    monkeypatch.setattr("benchmarks.metrics.kernel.WHOLE", 0)
    assert WHOLE > 150
    assert kid(real, fake, rng=stream(), subset_size=40, subsets=20) == pytest.approx(whole)


def test_kid_is_about_zero_for_one_distribution_and_grows_with_a_shift() -> None:
    real = draw(1, 400, 16)
    values = [
        kid(real, draw(2, 400, 16, shift), rng=stream(), subset_size=200, subsets=20)
        for shift in (0.0, 0.3, 0.6)
    ]
    assert abs(values[0]) < 0.05 * values[1]
    assert values == sorted(values)
    with pytest.raises(UserError, match="subset_size=1000 is larger than the 400 real images"):
        kid(real, real, rng=stream())


# precision and recall -------------------------------------------------------------------------


def prc_by_loops(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float]:
    def share(points: np.ndarray, centres: np.ndarray) -> float:
        radius = []
        for i, a in enumerate(centres):
            others = [np.linalg.norm(a - b) for j, b in enumerate(centres) if j != i]
            radius.append(sorted(others)[k - 1])
        found = [
            any(np.linalg.norm(p - c) <= r for c, r in zip(centres, radius, strict=True))
            for p in points
        ]
        return float(np.mean(found))

    return share(fake, real), share(real, fake)


@pytest.mark.parametrize("k", [3, 5])
def test_prc_equals_a_loop(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.metrics.neighbours.TILE", 17)
    real, fake = draw(1, 60, 6), draw(2, 50, 6, 0.4)
    found = prc(real, fake, k=k)
    precision, recall = prc_by_loops(real.astype(float), fake.astype(float), k)
    assert (found["precision"], found["recall"]) == (precision, recall)
    assert found["f1"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_prc_laws() -> None:
    real = draw(1, 200, 16)
    assert prc(real, real) == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert prc(real, real + 100) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    repeated = np.repeat(real[:20], 10, axis=0)  # radius 0: the point itself is still inside
    assert prc(real, repeated)["precision"] == 1.0
    assert prc(real, repeated)["recall"] < 0.2
    moved = prc(real + 1e3, real + 1e3)  # far from the origin, where products lose digits
    assert moved["precision"] == moved["recall"] == 1.0


# adherence ------------------------------------------------------------------------------------

NAMES = ["polyp", "red", "pink", "grey", "count=0", "count=1", "count=2+"]


def test_adherence_is_exact_for_one_answer_and_jaccard_for_a_set() -> None:
    scores = np.array(
        [[0.9, 0.8, 0.7, 0.1, 0.2, 0.5, 0.3], [0.2, 0.1, 0.3, 0.2, 0.6, 0.3, 0.1]], np.float32
    )
    asked = [
        {"polyp": 1.0},
        {"count=0": 0.0, "count=1": 1.0, "count=2+": 0.0},
        {"red": 1.0, "pink": 0.0, "grey": 1.0},
        {"red": 0.0, "pink": 0.0, "grey": 0.0},
    ]
    found = adherence(scores, NAMES, asked)
    np.testing.assert_allclose(found, [[1, 1, 1 / 3, 0], [0, 0, 1 / 3, 1]])
    with pytest.raises(UserError, match="no label 'gray'.*did you mean grey"):
        adherence(scores, NAMES, [{"gray": 1.0}])


def test_adherence_of_the_truth_is_one() -> None:
    scores = np.eye(3, dtype=np.float32)
    names = ["n=0", "n=1", "n=2"]
    asked = [{name: float(i == j) for j, name in enumerate(names)} for i in range(3)]
    np.testing.assert_array_equal(adherence(scores, names, asked), np.eye(3))


# declarations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", known_metrics().values(), ids=lambda m: m.name)
def test_every_metric_declares_itself(metric: Metric) -> None:
    assert metric.min_samples >= 1 and metric.version >= 1 and metric.source and metric.says
    assert load_metric(metric.name) is metric


def test_a_metric_on_features_is_deterministic_and_finite() -> None:
    real, fake = draw(1, 80, 8), draw(2, 60, 8)
    for metric in known_metrics().values():
        if metric.needs == FEATURES:
            randomness = [{"rng": stream()} if metric.draws else {} for _ in range(2)]
            sizes = dict.fromkeys(metric.sizes, 20)
            first, second = (metric.values(real, fake, **sizes, **r) for r in randomness)
            assert first == second and set(first) == set(metric.gives)
            assert np.isfinite(list(first.values())).all()


def test_the_page_shows_the_table_that_the_declarations_make() -> None:
    """Print it anew with: python -m benchmarks.listing"""
    page = Path(__file__).resolve().parents[2] / "docs/metrics.md"
    assert listing.table() in page.read_text(encoding="utf-8")
    assert set(listing.GIVEN) | set(listing.NETWORK) <= set(INPUTS)
    assert set(listing.OWN_NETWORK) <= set(known_metrics())


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(UserError, match="metric fdi is not known; did you mean fid"):
        load_metric("fdi")
