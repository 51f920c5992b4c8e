"""What the tests of written gaze releases share: the draws behind them, and comparisons."""

import csv
import json
from pathlib import Path

import numpy as np

from datamodules.geometry import Fit
from datamodules.phantom.cxr_render import equalised
from datamodules.phantom.layouts.gaze_films import Film
from datamodules.phantom.writing import truth_folder
from medbench.core.batch import Sample

N, SIDE = 12, 96


def films(root: Path) -> dict[str, Film]:
    """The draws behind a root, from the truth beside it."""
    names = ("seed", "subject", "visit", "side", "width", "height", "left", "top")
    lines = (truth_folder(root) / "truth.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["dicom_id"]: Film(*(row[name] for name in names)) for row in rows}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_image(sample: Sample, film: Film) -> None:
    """Within the error of a JPEG of quality 95."""
    drawn = equalised(np.ascontiguousarray(film.cut(film.drawn[0]))).astype(np.float32)
    place = Fit(SIDE, "stretch").place(film.height, film.width)
    expected = place.image(drawn[None] / 127.5 - 1)
    assert np.abs(sample["image"] - expected).mean() < 0.03


def check_gaze(sample: Sample, film: Film, reader: int, skip: int = 0) -> None:
    """Every valid fixation in the image, to the decimals that the files have."""
    reading = film.read(reader)
    kept = ~reading.lost
    kept[:skip] = False
    points = film.to_pixels(reading.fixations[kept, :2])
    inside = ((points >= 0) & (points < (film.width, film.height))).all(axis=1)
    expected = points[inside] / (film.width, film.height)
    assert np.allclose(sample["gaze"][:, :2], expected, atol=2e-4)
    assert np.allclose(sample["gaze"][:, 2:], reading.fixations[kept, 2:][inside], atol=2e-4)
