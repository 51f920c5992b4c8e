"""REFLACX as released, filled with phantom readings; the films lie beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.phantom.cxr_study import Finding
from datamodules.phantom.gaze import DEGREE, Ellipse, Reading, sample_eyes
from datamodules.phantom.layouts.gaze_films import (
    Film,
    Trap,
    has_trap,
    make_film,
    plain,
    write_csv,
    write_film,
)
from datamodules.phantom.writing import steps, write_truth

QUIRKS = {
    "discarded": "A reading without eye tracking has no fixations and no transcription.",
    "five readers": "Images of phases 1 and 2 are read by five radiologists each.",
    "crlf": "Lines end with CR and LF.",
    "marks": "Punctuation marks of a dictation are rows of their own.",
    "negative": "A fixation lies left of the image, at a negative pixel.",
    "sets": "Phase 1 has another set of labels than phases 2 and 3.",
    "bar": "Other is text, with several entries joined by a bar.",
    "zoom": "While zoomed in, a degree covers fewer pixels and a part of the image is shown.",
    "dicom": "The image column points at a DICOM of another release.",
    "shared subject": "An image of phase 3 is of a subject that is also in phase 1.",
    "short box": "The chest box leaves out the border of the image.",
}
TRAPS = {
    "discarded": Trap(1, 20 / 545),
    "bar": Trap(4, 0.02),
    "negative": Trap(0, 0.0),  # by chance in any case
    "shared subject": Trap(5, 0.02),
}
SCREEN = (3840, 2160)
RATE = 100.0  # samples a second of gaze.csv
READERS = 5
IDENTITY = [
    "id",
    "split",
    "eye_tracking_data_discarded",
    "image",
    "dicom_id",
    "subject_id",
    "image_size_x",
    "image_size_y",
]
LABELS_A = [
    "Airway wall thickening",
    "Atelectasis",
    "Consolidation",
    "Emphysema",
    "Enlarged cardiac silhouette",
    "Fibrosis",
    "Fracture",
    "Groundglass opacity",
    "Mass",
    "Nodule",
    "Other",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary edema",
    "Quality issue",
    "Support devices",
    "Wide mediastinum",
]
LABELS_B = [
    "Abnormal mediastinal contour",
    "Acute fracture",
    "Atelectasis",
    "Consolidation",
    "Enlarged cardiac silhouette",
    "Enlarged hilum",
    "Groundglass opacity",
    "Hiatal hernia",
    "High lung volume / emphysema",
    "Interstitial lung disease",
    "Lung nodule or mass",
    "Other",
    "Pleural abnormality",
    "Pneumothorax",
    "Pulmonary edema",
    "Support devices",
]
BOX = ("xmin", "ymin", "xmax", "ymax")
ON_SCREEN = [
    "x_position",
    "y_position",
    "pupil_area_normalized",
    "angular_resolution_x_pixels_per_degree",
    "angular_resolution_y_pixels_per_degree",
    "window_width",
    "window_level",
    "xmin_shown_from_image",
    "ymin_shown_from_image",
    "xmax_shown_from_image",
    "ymax_shown_from_image",
    "xmin_in_screen_coordinates",
    "ymin_in_screen_coordinates",
    "xmax_in_screen_coordinates",
    "ymax_in_screen_coordinates",
]
NAMES_A = {
    "Atelectasis": "Atelectasis",
    "Consolidation": "Consolidation",
    "Pneumothorax": "Pneumothorax",
    "Edema": "Pulmonary edema",
    "Cardiomegaly": "Enlarged cardiac silhouette",
    "Enlarged Cardiomediastinum": "Wide mediastinum",
    "Fracture": "Fracture",
    "Pleural Effusion": "Pleural effusion",
    "Pleural Other": "Pleural thickening",
}
NAMES_B = NAMES_A | {
    "Enlarged Cardiomediastinum": "Abnormal mediastinal contour",
    "Fracture": "Acute fracture",
    "Lung Lesion": "Lung nodule or mass",
    "Pleural Effusion": "Pleural abnormality",
    "Pleural Other": "Pleural abnormality",
}
SPLITS = ("train", "train", "train", "validate", "test")  # of the official split, in turn


@dataclass(frozen=True)
class Row:
    """One reading of one film."""

    id: str
    phase: int
    film: Film
    reading: Reading
    discarded: bool
    split: str
    other: str


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: str = "forced",
    samples: bool = True,
) -> None:
    """n images: two of phase 1, two of phase 2 (or their real shares), the rest of phase 3.

    samples: also write gaze.csv of every reading."""
    films = choose_films(n, seed, size, traps)
    write_readings(dest, films, seed, traps, samples)
    for film in steps(films):
        write_film(dest, film)
    write_truth(dest, [film.truth() for film in films])


def choose_films(n: int, seed: int, size: int, traps: str) -> list[Film]:
    """Film i shows subject i, but for those that show the second visit of a test subject."""
    films = []
    for i in range(n):
        film = make_film(seed, i, size)
        if phase_of(i, n) == 3 and has_trap(TRAPS["shared subject"], traps, i, film):
            film = make_film(seed, 0, size, visit=1 + i % 7)
        films.append(film)
    return films


def phase_of(place: int, n: int) -> int:
    """Shares of the release, at least two images a phase where there are six."""
    first = max(min(2, n // 3), round(n * 59 / 2616))
    second = first + max(min(2, n // 3), round(n * 50 / 2616))
    return 1 if place < first else 2 if place < second else 3


def write_readings(dest: Path, films: Sequence[Film], seed: int, traps: str, samples: bool) -> None:
    """The release's own folder, tables first."""
    top = dest / "reflacx/1.0.0"
    rows = [row for i, film in enumerate(films) for row in _readings(i, film, films, traps)]
    for phase, names in ((1, LABELS_A), (2, LABELS_B), (3, LABELS_B)):
        write_csv(
            top / f"main_data/metadata_phase_{phase}.csv",
            (*IDENTITY, *names),
            [_metadata(row, names) for row in rows if row.phase == phase],
            crlf=True,
        )
    for row in rows:
        _write_reading(top, row, samples)


def _readings(place: int, film: Film, films: Sequence[Film], traps: str) -> Iterator[Row]:
    phase = phase_of(place, len(films))
    lost = has_trap(TRAPS["discarded"], traps, place, film)
    other = "scoliosis|azygos lobe" if has_trap(TRAPS["bar"], traps, place, film) else ""
    for reader in range(READERS if phase < 3 else 1):
        number = 1 if phase < 3 else 0
        code = (film.subject * 40_009 + reader * 7_919 + film.visit * 131 + 1_000) % 10**6
        yield Row(
            f"P{phase}{reader + number:02d}R{code:06d}",
            phase,
            film,
            _leave(film.read(reader), traps == "forced" and place == 0 and reader == 0),
            lost and reader == 1 and phase < 3,
            SPLITS[place % len(SPLITS)],
            other,
        )


def _leave(reading: Reading, forced: bool) -> Reading:
    """The same reading, its first fixation left of the image where that is forced."""
    if forced:
        reading.fixations[0, 0] = -0.05
        reading.outside[0] = True
        reading.lost[0] = False
    return reading


def label_of(name: str, finding: Finding, phase: int) -> str:
    """What a finding is called in a phase's set of labels; empty for what the set lacks."""
    if name in ("Lung Opacity", "Pneumonia"):
        return "Consolidation" if finding.severity > 0.65 else "Groundglass opacity"
    if name == "Lung Lesion" and phase == 1:
        return "Nodule" if finding.numbers["diameter_mm0"] <= 30 else "Mass"
    return (NAMES_A if phase == 1 else NAMES_B).get(name, "")


def _marks(row: Row) -> Iterator[tuple[str, Ellipse]]:
    """The ellipses of a reading with their label; devices are asked, not marked."""
    for ellipse in row.reading.ellipses:
        label = label_of(ellipse.finding, row.film.study.findings[ellipse.finding], row.phase)
        if label:
            yield label, ellipse


def _metadata(row: Row, names: Sequence[str]) -> list[Any]:
    certainty: dict[str, Any] = dict.fromkeys(names, 0)
    for label, ellipse in _marks(row):
        certainty[label] = max(certainty[label], ellipse.certainty)
    certainty["Support devices"] = "Support Devices" in row.film.study.findings
    certainty["Other"] = row.other
    if "Quality issue" in certainty:
        certainty["Quality issue"] = False
    film = row.film
    web = f"physionet.org/files/mimic-cxr/2.0.0/{film.path('.dcm')}"
    start = [row.id, row.split, row.discarded, web, film.dicom_id, film.subject_id]
    return [*start, film.width, film.height, *certainty.values()]


def _write_reading(top: Path, row: Row, samples: bool) -> None:
    folder, film, reading = top / "main_data" / row.id, row.film, row.reading
    names = LABELS_A if row.phase == 1 else LABELS_B
    boxes = []
    for label, ellipse in _marks(row):
        box = film.to_pixels(np.array(ellipse.box).reshape(2, 2)).ravel()
        truths = [name == label for name in names]
        boxes.append([*(plain(v, 1) for v in box), ellipse.certainty, *truths])
    table = folder / "anomaly_location_ellipses.csv"
    write_csv(table, (*BOX, "certainty", *names), boxes, crlf=True)
    write_csv(folder / "chest_bounding_box.csv", BOX, [_chest(film)], crlf=True)
    if row.discarded:
        return
    columns = ("timestamp_start_fixation", "timestamp_end_fixation", *ON_SCREEN)
    write_csv(folder / "fixations.csv", columns, _fixations(film, reading), crlf=True)
    words = [[w.text, plain(w.start), plain(w.end)] for w in reading.words]
    columns = ("word", "timestamp_start_word", "timestamp_end_word")
    write_csv(folder / "timestamps_transcription.csv", columns, words, crlf=True)
    (folder / "transcription.txt").write_bytes(f"{reading.text}\r\n".encode())
    if samples:
        path = top / "gaze_data" / row.id / "gaze.csv"
        write_csv(path, ("timestamp_sample", *ON_SCREEN), _samples(film, reading), crlf=True)


def _chest(film: Film) -> list[int]:
    wide, high = film.width, film.height
    return [wide // 20, high // 20, wide - wide // 20, high - high // 20]


def _fixations(film: Film, reading: Reading) -> Iterator[list[str]]:
    points = film.to_pixels(reading.fixations[:, :2])
    for i in np.flatnonzero(~reading.lost):
        start, lasts = reading.fixations[i, 2:]
        place = [plain(v, 3) for v in points[i]]
        yield [plain(start), plain(start + lasts), *place, *_screen(film, reading.shown[i])]


def _samples(film: Film, reading: Reading) -> Iterator[list[str]]:
    values, own = sample_eyes(reading, RATE)
    points = film.to_pixels(values[:, 1:]).tolist()
    screens = [_screen(film, shown) for shown in reading.shown]
    for moment, point, fixation in zip(values[:, 0].tolist(), points, own.tolist(), strict=True):
        place = ["" if v != v else f"{v:.2f}" for v in point]  # NaN is no position
        yield [f"{moment:.3f}", *place, *screens[max(fixation, 0)]]


def _screen(film: Film, shown: np.ndarray) -> list[str]:
    """Pupil, pixels in a degree, window, and what is on the screen: the columns of a zoom."""
    part = np.clip(film.to_pixels(shown.reshape(2, 2)), 0, (film.width, film.height)).ravel()
    degree = plain(DEGREE * film.side * (shown[2] - shown[0]), 3)
    window = ("0.6", "0.45") if shown[2] - shown[0] < 1 else ("1", "0.5")
    scale = min(SCREEN[0] / film.width, SCREEN[1] / film.height)
    wide, high = film.width * scale, film.height * scale
    left, top = (SCREEN[0] - wide) / 2, (SCREEN[1] - high) / 2
    place = [*part, left, top, left + wide, top + high]
    return ["1", degree, degree, *window, *(plain(v, 2) for v in place)]
