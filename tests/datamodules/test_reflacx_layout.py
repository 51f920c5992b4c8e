"""REFLACX written with every quirk and read back: samples equal the draws."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datamodules.phantom.layouts import reflacx
from datamodules.phantom.writing import write_layout
from datamodules.reflacx import Reflacx
from tests.datamodules.gaze_drawn import SIDE, N, check_gaze, check_image, films, table


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout("reflacx", tmp_path_factory.mktemp("reflacx") / "root", N, size=SIDE)


def open_reflacx(root: Path, **settings: object) -> Reflacx:
    return Reflacx(str(root), **{"size": SIDE, "val_fraction": 0} | settings)


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
