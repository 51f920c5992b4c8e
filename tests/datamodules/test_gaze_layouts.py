"""The gaze releases written with every quirk, and read back: samples equal the draws."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datamodules.eye_gaze_cxr import EyeGazeCxr
from datamodules.gaze_combined import GazeCombined
from datamodules.geometry import Fit
from datamodules.phantom.cxr_render import equalised
from datamodules.phantom.layouts import egd_cxr, gaze_films, reflacx
from datamodules.phantom.writing import truth_folder, write_layout
from datamodules.reflacx import Reflacx

N, SIDE = 12, 96


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout("reflacx", tmp_path_factory.mktemp("reflacx") / "root", N, size=SIDE)


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout("eye_gaze_cxr", tmp_path_factory.mktemp("egd") / "root", N, size=SIDE)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("both") / "root"
    return write_layout("gaze_combined", dest, 30, size=64)


def open_reflacx(root: Path, **settings: object) -> Reflacx:
    return Reflacx(str(root), **{"size": SIDE, "val_fraction": 0} | settings)


def open_eye_gaze(root: Path, **settings: object) -> EyeGazeCxr:
    whole = {"size": SIDE, "val_fraction": 0, "test_fraction": 0}
    return EyeGazeCxr(str(root), **whole | settings)


def films(root: Path) -> dict[str, gaze_films.Film]:
    """The draws behind a root, from the truth beside it."""
    names = ("seed", "subject", "visit", "side", "width", "height", "left", "top")
    lines = (truth_folder(root) / "truth.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["dicom_id"]: gaze_films.Film(*(row[name] for name in names)) for row in rows}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# what is read is what was drawn ------------------------------------------------------------
def check_image(sample: dict, film: gaze_films.Film) -> None:
    """Within the error of a JPEG of quality 95."""
    drawn = equalised(np.ascontiguousarray(film.cut(film.drawn[0]))).astype(np.float32)
    place = Fit(SIDE, "stretch").place(film.height, film.width)
    expected = place.image(drawn[None] / 127.5 - 1)
    assert np.abs(sample["image"] - expected).mean() < 0.03


def check_gaze(sample: dict, film: gaze_films.Film, reader: int, skip: int = 0) -> None:
    """Every valid fixation in the image, to the decimals that the files have."""
    reading = film.read(reader)
    kept = ~reading.lost
    kept[:skip] = False
    points = film.to_pixels(reading.fixations[kept, :2])
    inside = ((points >= 0) & (points < (film.width, film.height))).all(axis=1)
    expected = points[inside] / (film.width, film.height)
    assert np.allclose(sample["gaze"][:, :2], expected, atol=2e-4)
    assert np.allclose(sample["gaze"][:, 2:], reading.fixations[kept, 2:][inside], atol=2e-4)


def test_reflacx_is_read_as_drawn(readings: Path) -> None:
    data, drawn = open_reflacx(readings), films(readings)
    assert data.check("full") == []
    split = data.split("train")
    for index in range(len(split)):
        sample = split[index]
        film = drawn[sample["meta"]["dicom_id"]]
        check_image(sample, film)
        check_gaze(sample, film, 0)
        assert sample["text"] == film.read(0).text
        assert [w.text for w in split.words(index)] == [w.text for w in film.read(0).words]
        sure = {e.finding for e in film.read(0).ellipses if e.certainty >= 3}
        labels = dict(zip(sample["label_names"], sample["labels"], strict=True))
        for name in ("Atelectasis", "Pneumothorax", "Edema", "Cardiomegaly", "Fracture"):
            assert labels[name] == (name in sure)
        assert labels["Support Devices"] == film.labels["Support Devices"]


def test_ellipses_are_read_as_drawn(readings: Path) -> None:
    data, drawn = open_reflacx(readings), films(readings)
    seen = 0
    for index, (_, case) in enumerate(data.split("train").pairs):
        film = drawn[case.dicom_id]
        for ellipse in film.read(0).ellipses:
            if ellipse.certainty < 3 or ellipse.finding not in ("Atelectasis", "Pneumothorax"):
                continue
            mask = data.split("train")[index]["masks"][ellipse.finding][0]
            x, y = (np.arange(SIDE) + 0.5) / SIDE * film.width, None
            y = (np.arange(SIDE) + 0.5) / SIDE * film.height
            box = film.to_pixels(np.array(ellipse.box).reshape(2, 2)).ravel()
            across = ((x - (box[0] + box[2]) / 2) / ((box[2] - box[0]) / 2)) ** 2
            down = ((y - (box[1] + box[3]) / 2) / ((box[3] - box[1]) / 2)) ** 2
            expected = across[None] + down[:, None] <= 1
            assert (expected ^ (mask > 0)).mean() < 0.01
            seen += 1
    assert seen


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


def test_reports_of_the_studies_can_be_the_text(both: Path) -> None:
    data = GazeCombined(str(both), size=32, text="report")
    sample = data.split("train").describe(0)
    assert "FINDINGS" in sample["text"].upper() or len(sample["text"].split()) > 8


# REFLACX's quirks ---------------------------------------------------------------------------
def main_data(root: Path) -> Path:
    return root / "reflacx/1.0.0/main_data"


def discarded(root: Path) -> None:
    rows = table(main_data(root) / "metadata_phase_1.csv")
    lost = [row for row in rows if row["eye_tracking_data_discarded"] == "True"]
    assert lost and not (main_data(root) / lost[0]["id"] / "fixations.csv").exists()
    assert (main_data(root) / lost[0]["id"] / "anomaly_location_ellipses.csv").exists()
    data = open_reflacx(root, test_reader="each")
    assert lost[0]["id"] not in {case.sample_id for _, case in data.split("test").pairs}
    pooled = open_reflacx(root).split("test")
    found = {case.dicom_id: case.meta for _, case in pooled.pairs}[lost[0]["dicom_id"]]
    assert (found["readers"], found["discarded"]) == (4, 1)


def five_readers(root: Path) -> None:
    pooled, each = open_reflacx(root), open_reflacx(root, test_reader="each")
    assert len(pooled.split("test")) == 4 and len(each.split("test")) == 19
    _, case = pooled.split("test").pairs[0]
    film = films(root)[case.dicom_id]
    texts = [film.read(reader).text for reader in range(5)]
    assert pooled.split("test")[0]["text"] == max(texts, key=lambda text: len(text.split()))
    lengths = [len(each.split("test")[i]["gaze"]) for i in range(5)]
    assert len(pooled.split("test")[0]["gaze"]) == sum(lengths)


def crlf(root: Path) -> None:
    for path in main_data(root).rglob("*.csv"):
        assert path.read_bytes().count(b"\r\n") == path.read_bytes().count(b"\n") > 0
    assert not any("\r" in open_reflacx(root).split("train").describe(i)["text"] for i in range(3))


def marks(root: Path) -> None:
    words = open_reflacx(root).split("train").words(0)
    assert any(word.text == "." and word.start == word.end for word in words)


def negative(root: Path) -> None:
    case = open_reflacx(root, test_reader="first").split("test").pairs[0][1]
    rows = table(main_data(root) / case.sample_id / "fixations.csv")
    assert min(float(row["x_position"]) for row in rows) < 0
    gaze = open_reflacx(root, test_reader="first").split("test")[0]["gaze"]
    assert gaze.min() >= 0 and len(gaze) < len(rows)


def sets(root: Path) -> None:
    headers = [
        set(table(main_data(root) / f"metadata_phase_{phase}.csv")[0]) for phase in (1, 2, 3)
    ]
    assert headers[0] != headers[1] == headers[2]
    assert "Wide mediastinum" in headers[0] and "Hiatal hernia" in headers[1]
    assert len(open_reflacx(root).readings) == 28


def bar(root: Path) -> None:
    rows = table(main_data(root) / "metadata_phase_3.csv")
    said = [row for row in rows if "|" in row["Other"]]
    assert said
    pairs = {case.sample_id: case for _, case in open_reflacx(root).split("train").pairs}
    assert pairs[said[0]["id"]].labels[0] == 0  # something else is a finding


def zoom(root: Path) -> None:
    found = 0
    for path in sorted(main_data(root).rglob("fixations.csv")):
        rows = table(path)
        degrees = {float(row["angular_resolution_x_pixels_per_degree"]) for row in rows}
        if len(degrees) == 1:
            continue
        found += 1
        reading = path.parent.name
        data = open_reflacx(root, test_reader="each")
        pairs = [pair for name in data.splits for pair in data.split(name).pairs]
        source, case = next(pair for pair in pairs if pair[1].sample_id == reading)
        gaze = source.gaze(case, *source.size(case))
        assert set(gaze.degree[:, 0]) == degrees
        near = gaze.degree[:, 0] == min(degrees)
        sides = gaze.shown[near, 2] - gaze.shown[near, 0]
        assert (sides < source.size(case)[0]).all()
    assert found


def dicom(root: Path) -> None:
    rows = table(main_data(root) / "metadata_phase_3.csv")
    assert all(row["image"].startswith("physionet.org/") for row in rows)
    assert all(row["image"].endswith(".dcm") for row in rows)
    assert all(case.image.is_file() for _, case in open_reflacx(root).split("train").pairs)


def shared_subject(root: Path) -> None:
    test = {row["subject_id"] for row in table(main_data(root) / "metadata_phase_1.csv")}
    train = {row["subject_id"] for row in table(main_data(root) / "metadata_phase_3.csv")}
    assert test & train
    left = {case.subject_id for _, case in open_reflacx(root).split("train").pairs}
    assert left and not test & left


def short_box(root: Path) -> None:
    data = open_reflacx(root)
    for _, case in data.split("test").pairs:
        gaze = data.source.gaze(case, *data.source.size(case))
        box = data.source.focus(case)
        whole = gaze.inside((0, 0, *map(float, data.source.size(case))))
        if (whole & ~gaze.inside(box)).any():
            return
    raise AssertionError("no fixation lies between the chest box and the border")


REFLACX_CHECKS: dict[str, Callable[[Path], None]] = {
    "discarded": discarded,
    "five readers": five_readers,
    "crlf": crlf,
    "marks": marks,
    "negative": negative,
    "sets": sets,
    "bar": bar,
    "zoom": zoom,
    "dicom": dicom,
    "shared subject": shared_subject,
    "short box": short_box,
}


@pytest.mark.parametrize("quirk", reflacx.QUIRKS)
def test_quirk_of_reflacx(quirk: str, readings: Path) -> None:
    REFLACX_CHECKS[quirk](readings)


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
