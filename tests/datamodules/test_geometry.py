"""One geometry for an image and for what is said in its coordinates."""

import numpy as np
import pytest

from datamodules.geometry import Fit

MODES = ("stretch", "crop", "pad")


def disc(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width] + 0.5
    return ((columns - x) ** 2 + (rows - y) ** 2 < radius**2)[None].astype(np.float32)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(90, 140), (140, 90), (33, 47)])
def test_points_boxes_gaze_and_masks_go_where_the_image_goes(
    mode: str, shape: tuple[int, int]
) -> None:
    height, width = shape
    x, y, radius = width * 0.45, height * 0.55, 0.2 * min(shape)
    image = disc(height, width, x, y, radius)
    place = Fit(64, mode).place(height, width)  # type: ignore[arg-type]
    drawn, mask = place.image(image, fill=0.0), place.mask(image.astype(np.uint8))
    weights = drawn[0] / drawn[0].sum()
    rows, columns = np.mgrid[:64, :64] + 0.5
    centre = np.array([(weights * columns).sum(), (weights * rows).sum()])
    grid = max(1, 64 / min(shape))  # a disc drawn on few pixels is off by parts of one of them
    near = 0.15 * grid
    assert np.abs(place.points(np.array([[x, y]]))[0] - centre).max() < near
    assert np.abs((drawn[0] > 0.5) != mask[0]).mean() < 0.02
    [box] = place.boxes(np.array([[x - radius, y - radius, x + radius, y + radius]]))
    used = np.argwhere(mask[0])
    assert np.abs(box[[1, 0]] - used.min(0)).max() < 1.1 * grid
    assert np.abs(box[[3, 2]] - used.max(0) - 1).max() < 1.1 * grid
    gaze = place.gaze(np.array([[x / width, y / height, 1.5, 0.25]]), height, width)
    assert np.abs(gaze[0, :2] * 64 - centre).max() < near
    assert gaze[0, 2:].tolist() == [1.5, 0.25]
    scale = place.scale
    assert np.allclose(place.spacing(np.array([0.2, 0.1])), [0.2 / scale[1], 0.1 / scale[0]])


def test_what_a_crop_cuts_off_is_cut_off_for_all() -> None:
    place = Fit(10, "crop").place(10, 30)
    boxes = place.boxes(np.array([[0, 0, 8, 10], [5, 2, 15, 4]], np.float32))
    assert np.isnan(boxes[0]).all() and boxes[1].tolist() == [0, 2, 5, 4]
    assert place.ellipses(np.array([[5, 2, 15, 4]])).tolist() == [[-5, 2, 5, 4]]
    gaze = np.array([[0.1, 0.5, 0, 1], [0.5, 0.5, 1, 1]], np.float32)
    assert place.gaze(gaze, 10, 30).tolist() == [[0.5, 0.5, 1, 1]]


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    image = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16)).astype(np.float32)
    for mode in MODES:
        assert np.array_equal(Fit(16, mode).place(16, 16).image(image), image)  # type: ignore[arg-type]


def test_padding_is_filled_and_shrinking_has_no_aliases() -> None:
    image = np.ones((1, 20, 40), np.float32)
    padded = Fit(40, "pad").place(20, 40).image(image, fill=-1.0)
    assert padded[0, 0, 0] == -1 and padded[0, 20, 20] == 1 and (padded == 1).sum() == 800
    checks = (np.indices((64, 64)).sum(0) % 2)[None].astype(np.float32)
    assert np.abs(Fit(16, "stretch").place(64, 64).image(checks) - 0.5).max() < 0.02
