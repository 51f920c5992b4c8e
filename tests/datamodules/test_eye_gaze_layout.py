"""Eye Gaze Data written with every quirk and read back: samples equal the draws."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datamodules.eye_gaze_cxr import EyeGazeCxr
from datamodules.geometry import Fit
from datamodules.phantom.layouts import egd_cxr
from datamodules.phantom.writing import write_layout
from tests.datamodules.gaze_drawn import SIDE, N, check_gaze, check_image, films, table


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout("eye_gaze_cxr", tmp_path_factory.mktemp("egd") / "root", N, size=SIDE)


def open_eye_gaze(root: Path, **settings: object) -> EyeGazeCxr:
    whole = {"size": SIDE, "val_fraction": 0, "test_fraction": 0}
    return EyeGazeCxr(str(root), **whole | settings)


def test_eye_gaze_is_read_as_drawn(screens: Path) -> None:
    data, drawn = open_eye_gaze(screens), films(screens)
    assert data.check("full") == []
    split = data.split("train")
    assert len(split) == N
    for index in range(N):
        sample = split[index]
        film = drawn[sample["sample_id"]]
        check_image(sample, film)
        check_gaze(sample, film, 0)
        assert sample["text"] == film.read(0).text
        mentions = film.report.mentions
        labels = dict(zip(sample["label_names"], sample["labels"], strict=True))
        assert {n for n, v in labels.items() if v == 1} == {
            n for n, v in mentions.items() if v == 1
        }
        place = Fit(SIDE, "stretch").place(film.height, film.width)
        lung = place.mask(film.cut(film.drawn[1]["left lung"])[None].astype(np.uint8))
        assert np.array_equal(sample["masks"]["left_lung"], lung)


def test_the_attention_map_is_where_the_reader_looked(screens: Path) -> None:
    """Of the drawn fixations, at the film's own size: another way to the same map."""
    data, drawn = open_eye_gaze(screens), films(screens)
    sample = data.split("train")[4]
    film = drawn[sample["sample_id"]]
    reading = film.read(0)
    points = film.to_pixels(reading.fixations[~reading.lost, :2])
    points = points[((points >= 0) & (points < (film.width, film.height))).all(axis=1)]
    x = (np.arange(SIDE) + 0.5) / SIDE * film.width
    y = (np.arange(SIDE) + 0.5) / SIDE * film.height
    sigma = 0.05 * film.width
    heat = np.zeros((SIDE, SIDE))
    for px, py in points:
        away = (x[None] - px) ** 2 + (y[:, None] - py) ** 2
        heat += np.exp(-away / (2 * sigma**2))
    assert np.abs(sample["controls"]["hva"][0] - heat / heat.max()).max() < 0.005


# Eye Gaze Data's quirks -----------------------------------------------------------------------
def egd(root: Path) -> Path:
    return root / "egd-cxr/1.0.0"


def padded(root: Path) -> None:
    rows = table(egd(root) / "master_sheet.csv")
    pads = [[int(row[f"image_{side}_pad"]) for side in ("left", "right", "top")] for row in rows]
    assert all(left + right > 0 for left, right, _ in pads)
    first = table(egd(root) / "fixations.csv")[1]
    x = float(first["FPOGX"]) * 1920
    shown = 1920 - pads[0][0] - pads[0][1]
    film = films(root)[rows[0]["dicom_id"]]
    width = film.width + film.width % 2
    assert (x - pads[0][0]) / shown * width == pytest.approx(float(first["X_ORIGINAL"]), abs=0.02)


def calibration(root: Path) -> None:
    known = {row["dicom_id"] for row in table(egd(root) / "master_sheet.csv")}
    others = [r for r in table(egd(root) / "fixations.csv") if r["DICOM_ID"] not in known]
    assert others and len(open_eye_gaze(root).split("train")) == len(known)


def line_breaks(root: Path) -> None:
    text = (egd(root) / "master_sheet.csv").read_text()
    assert text.count("\n") - 1 > N == len(open_eye_gaze(root).rows)


def age_bands(root: Path) -> None:
    bands = [open_eye_gaze(root).split("train").describe(i)["meta"]["age_band"] for i in range(N)]
    assert all(" - " in band for band in bands)


def odd(root: Path) -> None:
    data = open_eye_gaze(root)
    sizes = {case.dicom_id: data.source.size(case) for case in data.cases}
    name, (width, height) = next((k, v) for k, v in sizes.items() if v[0] % 2 and v[1] % 2)
    case = next(case for case in data.cases if case.dicom_id == name)
    padding = data.source.padding[name]
    corner = np.array([[1 - padding.right / 1920, 1 - padding.bottom / 1080]])
    assert padding.to_image(corner, width, height).tolist() == [[width + 1, height + 1]]
    assert len(data.source.gaze(case, width, height))


def misspelled(root: Path) -> None:
    assert not list(root.rglob("mediastinum.png")) and list(root.rglob("mediastanum.png"))
    assert open_eye_gaze(root).split("train")[0]["masks"]["mediastinum"].any()


def extra_folder(root: Path) -> None:
    assert len(list((egd(root) / "audio_segmentation_transcripts").iterdir())) == N + 1
    assert open_eye_gaze(root).check() == []


def empty_phrase(root: Path) -> None:
    words = open_eye_gaze(root).split("train").words(0)
    assert any(word.text == "" for word in words) and any(" " in word.text for word in words)


def silent(root: Path) -> None:
    assert all(path.stat().st_size < 2000 for path in root.rglob("audio.wav"))
    assert open_eye_gaze(root).check() == []


def off_the_picture(root: Path) -> None:
    rows = table(egd(root) / "fixations.csv")
    beside = [row for row in rows if float(row["X_ORIGINAL"]) < 0]
    assert beside and all(-1 < float(row["X_ORIGINAL"]) for row in beside)
    data = open_eye_gaze(root)
    case = next(c for c in data.cases if c.dicom_id == beside[0]["DICOM_ID"])
    assert (data.source.gaze(case, *data.source.size(case)).points >= -0.05).all()


def not_valid(root: Path) -> None:
    rows = table(egd(root) / "fixations.csv")
    lost = [row for row in rows if row["FPOGV"] == "0"]
    assert lost
    data = open_eye_gaze(root)
    case = next(c for c in data.cases if c.dicom_id == lost[0]["DICOM_ID"])
    starts = data.source.gaze(case, *data.source.size(case)).times[:, 0]
    assert not np.isclose(starts, float(lost[0]["FPOGS"]), atol=1e-6).any()


def box_order(root: Path) -> None:
    data, drawn = open_eye_gaze(root), films(root)
    meta = data.split("train").describe(0)["meta"]
    film = drawn[meta["dicom_id"]]
    rows, columns = np.nonzero(film.cut(film.drawn[1]["heart"]))
    left, top, right, bottom = map(float, meta["box.cardiac silhouette"].split())
    assert (left, right) == (columns.min(), columns.max() + 1)
    assert (top, bottom) == (rows.min(), rows.max() + 1)
    assert len([name for name in meta if name.startswith("box.")]) == 17


def doubt(root: Path) -> None:
    cells = {row["fracture__chx"] for row in table(egd(root) / "master_sheet.csv")}
    assert "-1.0" in cells and "" in cells
    kept = [case.labels[12] for case in open_eye_gaze(root, uncertain="keep").cases]
    assert -1 in kept
    assert -1 not in [case.labels[12] for case in open_eye_gaze(root).cases]


EYE_GAZE_CHECKS: dict[str, Callable[[Path], None]] = {
    "padding": padded,
    "calibration": calibration,
    "line breaks": line_breaks,
    "age bands": age_bands,
    "odd": odd,
    "misspelled": misspelled,
    "extra folder": extra_folder,
    "empty phrase": empty_phrase,
    "silent": silent,
    "off the picture": off_the_picture,
    "not valid": not_valid,
    "box order": box_order,
    "doubt": doubt,
}


@pytest.mark.parametrize("quirk", egd_cxr.QUIRKS)
def test_quirk_of_eye_gaze(quirk: str, screens: Path) -> None:
    EYE_GAZE_CHECKS[quirk](screens)
