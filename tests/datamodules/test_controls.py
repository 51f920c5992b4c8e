"""Maps without weights: against an independent implementation's values and against laws."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage

from datamodules import controls
from datamodules.phantom.streams import lattice_noise
from medbench.core.errors import UserError

DRAW = np.random.default_rng(0)


def smooth() -> np.ndarray:
    noise = lattice_noise(np.arange(48) / 7, np.arange(64) / 7)
    return np.rint(noise * 200 + 20).astype(np.uint8)


def fixations(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("low", "high", "edges", "digest"),
    [(40, 50, 565, "f8ada743885e7c06"), (50, 100, 489, "9513ba41a0d4f8e7")],
)
def test_canny_is_opencvs(low: int, high: int, edges: int, digest: str) -> None:
    """Stored from cv2.Canny(image, low, high) of OpenCV 5.0 on this very image."""
    image = smooth()
    assert hashlib.sha256(image.tobytes()).hexdigest()[:16] == "843b8fed7c8186f5"
    found = controls.canny(image, low, high)
    assert (found > 0).sum() == edges
    assert hashlib.sha256(found.tobytes()).hexdigest()[:16] == digest


def test_canny_of_a_constant_is_empty_and_of_a_step_one_line() -> None:
    image = np.full((20, 30), 90, np.uint8)
    assert not controls.canny(image).any()
    image[:, 12:] = 160
    found = controls.canny(image)
    assert np.array_equal(found.sum(axis=1), np.full(20, 255))
    assert set(np.nonzero(found)[1]) <= {11, 12}


def test_a_weak_edge_survives_where_it_joins_a_strong_one() -> None:
    image = np.full((24, 60), 100, np.uint8)
    image[:12, 20:] = 111  # magnitude 44: between the thresholds
    image[12:, 20:] = 115  # magnitude 60: above both
    image[:12, 40:] = 122  # 44 again, in the rows that join nothing strong
    image[12:, 40:] = 115
    found = controls.canny(image)
    assert found[2:10, 18:22].any(axis=1).all() and found[14:22, 18:22].any(axis=1).all()
    alone = np.full((24, 60), 100, np.uint8)
    alone[:, 30:] = 111
    assert not controls.canny(alone).any() and controls.canny(alone, 40, 43).any()


def test_sobel_of_a_ramp_is_constant_inside() -> None:
    ramp = np.tile(np.arange(40, dtype=np.uint8) * 3, (20, 1))
    assert (controls.sobel(ramp)[:, 1:-1] == 255).all()
    assert not controls.sobel(np.full((8, 8), 7, np.uint8)).any()


def test_gl_of_a_constant_is_the_middle_and_of_an_impulse_symmetric() -> None:
    assert (controls.gaussian_laplace(np.full((9, 9), 201, np.uint8)) == 128).all()
    impulse = np.zeros((15, 15), np.uint8)
    impulse[7, 7] = 255
    found = controls.gaussian_laplace(impulse)
    assert found[7, 7] == 1 and found.argmin() == 7 * 15 + 7
    for turned in (found[::-1], found[:, ::-1], found.T):
        assert np.array_equal(found, turned)


def test_legacy_maps_wrap_around_as_8_bit_arithmetic_does() -> None:
    image = smooth()
    assert np.array_equal(
        controls.gaussian_laplace(image, legacy_uint8=True), ndimage.gaussian_laplace(image, 1)
    )
    assert not np.array_equal(controls.gaussian_laplace(image), ndimage.gaussian_laplace(image, 1))
    assert not np.array_equal(controls.sobel(image), controls.sobel(image, legacy_uint8=True))


def test_lungs_are_the_two_dark_parts_off_the_border() -> None:
    y, x = np.mgrid[:96, :128]
    image = np.full((96, 128), 180, np.uint8)
    image[:, :6] = 10  # air beside the patient
    expected = np.zeros(image.shape, bool)
    for middle in (40, 88):
        inside = ((x - middle) / 16) ** 2 + ((y - 50) / 30) ** 2 < 1
        image[inside] = 60
        expected |= inside
    image[50, 40] = 250  # a vessel: filled
    image[5:8, 60:63] = 60  # a bubble: the third largest
    found = controls.find_lungs(image) > 0
    assert (found & expected).sum() / (found | expected).sum() > 0.97
    large = controls.find_lungs(np.kron(image, np.ones((6, 6), np.uint8))[:575, :767]) > 0
    assert large.shape == (575, 767)
    assert (large[::6, ::6] ^ found).mean() < 0.01


def test_a_lung_joined_to_a_dark_chest_wall_is_found() -> None:
    y, x = np.mgrid[:128, :128]
    image = np.full((128, 128), 220, np.uint8)
    image[:70] = 110  # the chest wall, darker than what lies below
    expected = np.zeros(image.shape, bool)
    for middle in (40, 88):
        expected |= ((x - middle) / 16) ** 2 + ((y - 38) / 26) ** 2 < 1
    image[expected] = 40
    found = controls.find_lungs(image) > 0
    assert (found & expected).sum() / (found | expected).sum() > 0.9  # the threshold is in the blur


def test_grey_levels_undo_what_a_sample_is_made_of() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = (levels[None].astype(np.float32) / 127.5 - 1).astype(np.float32)
    assert np.array_equal(controls.grey_levels(image), levels)
    assert np.array_equal(controls.grey_levels(np.repeat(image, 3, axis=0)), levels)
    assert controls.as_control(levels).shape == (1, 16, 16)
    assert controls.as_control(levels).max() == 1 == controls.as_control(levels > 3).max()


def test_an_unknown_control_is_named() -> None:
    with pytest.raises(UserError, match=r"soble .* did you mean sobel\?.*canny, sobel, gl"):
        controls.extract("soble", smooth())
    with pytest.raises(ValueError, match="uint8"):
        controls.extract("canny", smooth().astype(float))


def test_one_fixation_is_highest_at_its_row_and_column() -> None:
    heat = controls.attention(fixations((70.5 / 100, 10.5 / 60, 0, 1)), 60, 100)
    assert np.unravel_index(heat.argmax(), heat.shape) == (10, 70)
    assert heat.max() == 1 and heat.dtype == np.float32
    twice = controls.attention(fixations((70.5 / 100, 10.5 / 60, 0, 1)), 180, 300)
    assert np.allclose(twice[1::3, 1::3], heat, atol=1e-6)  # the same map on a finer grid
    assert heat[10, 75] == pytest.approx(np.exp(-0.5)) == pytest.approx(heat[15, 70])


def test_mass_follows_duration_only_when_asked_to() -> None:
    gaze = fixations((0.2, 0.5, 0, 3), (0.8, 0.5, 3, 1))
    counted = controls.attention(gaze, 40, 80)
    lasting = controls.attention(gaze, 40, 80, weight="duration")
    assert counted[20, 64] == pytest.approx(counted[20, 16], rel=1e-2)
    assert lasting[20, 64] == pytest.approx(lasting[20, 16] / 3, rel=1e-2)


def test_focal_attention_keeps_the_cluster_looked_at_longer() -> None:
    left = [(0.2 + 0.01 * i, 0.3, i, 0.2) for i in range(6)]
    right = [(0.8 + 0.01 * i, 0.7, 6 + i, 1.0) for i in range(3)]
    heat = controls.attention(fixations(*left, *right), 64, 64, focus="focal")
    assert heat[:, :32].max() < 0.01 and heat[44, 51] > 0.9
    assert controls.attention(fixations(), 8, 8, focus="focal").max() == 0


def test_density_is_cut_to_what_was_shown_and_sums_to_one() -> None:
    gaze = fixations((0.5, 0.5, 0, 1))
    shown = np.array([[0.5, 0, 1, 1]])
    found = controls.density(gaze, np.array([[0.1, 0.2]]), 50, 50, shown)
    assert found.sum() == pytest.approx(1) and not found[:, :25].any()
    wide = controls.density(gaze, np.array([[0.1, 0.2]]), 400, 400)
    rows = wide.sum(axis=1) @ ((np.arange(400) + 0.5) / 400 - 0.5) ** 2
    assert np.sqrt(rows) == pytest.approx(0.2, rel=0.05)


def test_threshold_keeps_exactly_what_reaches_the_level() -> None:
    heat = (np.arange(256, dtype=np.float32) / np.float32(255)).reshape(16, 16)
    assert controls.looked_at(heat).sum() == 256 - 120
    assert controls.looked_at(np.ones((4, 4), np.float32)).all()
    assert not controls.looked_at(np.zeros((4, 4), np.float32)).any()
    dot = np.zeros((31, 31), np.float32)
    dot[15, 15] = 1
    grown = controls.looked_at(dot, dilate=(4, 2))
    assert grown.sum() == 81 and np.array_equal(grown, grown[::-1, ::-1])
