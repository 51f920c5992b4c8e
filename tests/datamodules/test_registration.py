"""Registration: known moves are found, failures are counted, the result never varies."""

import numpy as np
import pytest

from datamodules.phantom import cxr
from datamodules.registration import (
    FAILED,
    from_prepared,
    pair_maker,
    register,
    warp,
)
from medbench.core.errors import UserError


def shapes(size: int = 128) -> np.ndarray:
    """Soft blobs of several sizes on a slope, (size, size) float32 in [0, 1]."""
    y, x = np.mgrid[:size, :size] / size * 2 - 1
    image = 0.15 * (x + 1)
    for cx, cy, rx, ry, v in (
        (-0.3, 0, 0.2, 0.5, 0.8),
        (0.35, 0.1, 0.22, 0.4, 0.6),
        (0, 0.6, 0.5, 0.1, 0.9),
    ):
        inside = 1 - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2
        image += v / (1 + np.exp(-30 * np.maximum(inside, -2)))
    return image.astype(np.float32)


def moved(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def error(found: np.ndarray, true: np.ndarray, size: int = 256) -> float:
    grid = np.array([(x, y, 1) for x in (-0.7, 0, 0.7) for y in (-0.7, 0, 0.7)]).T
    return float(np.linalg.norm((found - true) @ grid, axis=0).max() * size / 2)


def test_known_move_is_found_whatever_the_sizes() -> None:
    prior = shapes(160)
    true = moved(0.06, 1.05, (0.05, -0.08))  # from the later image to the prior
    inverse = np.linalg.inv(np.vstack([true, (0, 0, 1)]))[:2]
    later = warp(prior, inverse, (128, 128))
    found = register(prior, later)
    assert error(found.matrix, true) < 0.5
    assert found.score > 0.98 and found.tries == 1 and not found.failed
    back = warp(later, found.matrix, prior.shape)
    assert np.abs(back - prior)[40:120, 40:120].mean() < 0.02


def test_image_onto_itself_and_two_runs_are_equal() -> None:
    one, two = register(shapes(), shapes()), register(shapes(), shapes())
    assert one.score > 0.99 and one.outside < 0.02
    assert error(one.matrix, np.eye(2, 3)) < 0.1
    assert np.array_equal(one.matrix, two.matrix) and one.score == two.score


def test_noise_scores_below_the_threshold_after_all_tries() -> None:
    noise = np.random.default_rng(0).random((96, 96), np.float32)
    found = register(shapes(), noise)
    assert found.score < 0.6 and found.tries == 3


def test_try_that_throws_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import SimpleITK as sitk

    def execute(*_: object) -> None:
        raise RuntimeError("no overlap")

    monkeypatch.setattr(sitk.ImageRegistrationMethod, "Execute", execute)
    kept = pair_maker(lambda key: (shapes(), shapes()), {"long_side": 256})("pair")
    found = from_prepared(kept)
    assert found.failed and found.score == FAILED and found.outside == 1.0


def test_warp_moves_by_whole_pixels() -> None:
    later = np.arange(64, dtype=np.float32).reshape(8, 8)
    matrix = np.array([[1, 0, 2 * 2 / 8], [0, 1, 0.0]])  # two pixels to the right
    moved_image = warp(later, matrix, (8, 8))
    assert np.allclose(moved_image[:, 2:], later[:, :-2])
    assert np.all(moved_image[:, :2] == later.min())


def test_phantom_pair_with_changes() -> None:
    visits = cxr.journey(cxr.address(0, "test", 5), min_feature=cxr.least_feature(256), visits=2)
    images = [cxr.render(study, 256)[0] for study in visits]
    found = register(*images)
    assert error(found.matrix, cxr.later_to_prior(visits[1], visits[0])) < 1.0


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ((np.zeros((64, 64)), shapes()), "same grey value everywhere"),
        ((np.zeros((3, 64, 64)), shapes()), "two grey images"),
    ],
)
def test_what_cannot_be_registered(pictures: tuple, message: str) -> None:
    with pytest.raises(UserError, match=message):
        register(*pictures)


def test_small_side_is_refused() -> None:
    with pytest.raises(UserError, match="long_side=64 is too small"):
        register(shapes(), shapes(), long_side=64)
