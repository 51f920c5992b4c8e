"""Eye Gaze Data for Chest X-rays as released, filled with phantom readings on a padded screen."""

import json
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datamodules.phantom import cxr_anatomy as anatomy
from datamodules.phantom.cxr_plane import Plane
from datamodules.phantom.gaze import Reading, sample_eyes
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
    "padding": "Images are padded to the 1920 x 1080 of the screen.",
    "calibration": "Rows of calibration slides stand among those of images.",
    "line breaks": "Quoted cells of the master sheet hold line breaks.",
    "age bands": "anchor_age is a band, as text.",
    "odd": "An image of odd sides was padded by one pixel before it was shown.",
    "misspelled": "The mask of the mediastinum is called mediastanum.png.",
    "extra folder": "There is one folder of audio more than images.",
    "empty phrase": "A phrase of a transcript holds no word.",
    "silent": "An audio file is short and silent.",
    "off the picture": "Points beside the picture arrive as small negative pixels.",
    "not valid": "Fixations whose flag is 0 are no fixations.",
    "box order": "Boxes have both x before both y.",
    "doubt": "Labels of reports are 1, 0, -1 or blank, under names that end in __chx.",
}
TRAPS = {
    "odd": Trap(1, 0.3),
    "empty phrase": Trap(0, 0.1),
    "doubt": Trap(2, 0.1),
    "line breaks": Trap(0, 0.3),
}
SCREEN = (1920, 1080)
RATE = 60.0
SITTING = 29  # images of a sitting
HALF_HILUM = 0.09  # half the side of the boxes around the hila, canonical
SHEET = (
    "dicom_id,path,study_id,patient_id,stay_id,gender,anchor_age,image_top_pad,image_bottom_pad,"
    "image_left_pad,image_right_pad"
)
FOUND = (
    "normal_reports,Normal,CHF,pneumonia,consolidation,enlarged_cardiac_silhouette,"
    "linear__patchy_atelectasis,lobar__segmental_collapse,"
    "not_otherwise_specified_opacity___pleural__parenchymal_opacity__,"
    "pleural_effusion_or_thickening,pulmonary_edema__hazy_opacity,normal_anatomically,"
    "elevated_hemidiaphragm,hyperaeration,vascular_redistribution"
)
CHX = (
    "atelectasis,cardiomegaly,consolidation,edema,enlarged_cardiomediastinum,fracture,"
    "lung_lesion,lung_opacity,no_finding,pleural_effusion,pleural_other,pneumonia,pneumothorax,"
    "support_devices"
)
TRACKER = (
    "SESSION_ID,MEDIA_ID,DICOM_ID,CNT,Time (in secs),TIMETICK(f=10000000),FPOGX,FPOGY,FPOGS,FPOGD,"
    "FPOGID,FPOGV,BPOGX,BPOGY,BPOGV,LPCX,LPCY,LPD,LPS,LPV,RPCX,RPCY,RPD,RPS,RPV,BKID,BKDUR,BKPMIN,"
    "LPMM,LPMMV,RPMM,RPMMV,SACCADE_MAG,SACCADE_DIR,VID_FRAME,X_ORIGINAL,Y_ORIGINAL"
)
EYES = [
    "0.5",
    "0.5",
    "20",
    "1",
    "1",
    "0.5",
    "0.5",
    "20",
    "1",
    "1",
    "0",
    "0",
    "12",
    "4",
    "1",
    "4",
    "1",
    "0",
    "0",
    "0",
]  # pupils, blinks, saccades
FOLDERS = "audio_segmentation_transcripts"


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: str = "forced",
    samples: bool = True,
) -> None:
    """n images. samples: also write eye_gaze.csv, sixty rows a second."""
    films = [choose_film(i, i, seed, size, traps) for i in range(n)]
    write_readings(dest, films, traps, samples)
    for film in steps(films):
        write_film(dest, film)
    write_truth(dest, [film.truth() for film in films])


def choose_film(place: int, subject: int, seed: int, size: int, traps: str) -> Film:
    """The film at a place of the master sheet; some have odd sides."""
    film = make_film(seed, subject, size)
    odd = has_trap(TRAPS["odd"], traps, place, film)
    return make_film(seed, subject, size, odd=True) if odd else film


def write_readings(dest: Path, films: Sequence[Film], traps: str, samples: bool) -> None:
    """The release's own folder, tables first."""
    top = dest / "egd-cxr/1.0.0"
    diagnoses = [f"dx{i}{part}" for i in range(1, 10) for part in ("", "_icd")]
    labels = [f"{name}__chx" for name in CHX.split(",")]
    columns = [*SHEET.split(","), *diagnoses, *FOUND.split(","), *labels, "cxr_exam_indication"]
    rows = [_record(place, film, traps) for place, film in enumerate(films)]
    write_csv(top / "master_sheet.csv", columns, rows)
    readings = [film.read(0) for film in films]
    columns = TRACKER.split(",")
    write_csv(top / "fixations.csv", columns, _fixations(films, readings, traps))
    if samples:
        write_csv(top / "eye_gaze.csv", columns, _samples(films, readings, traps))
    columns = ["dicom_id", "bbox_name", "x1", "x2", "y1", "y2"]
    write_csv(top / "bounding_boxes.csv", columns, [row for film in films for row in _boxes(film)])
    for name in ("normals", "CHF", "pneumonia"):
        own = [[f.dicom_id] for f in films if class_of(f) == name]
        write_csv(top / f"inclusion_exclusion_criteria_outputs/{name}.csv", ["dicom_id"], own)
    for place, (film, reading) in enumerate(zip(films, readings, strict=True)):
        empty = has_trap(TRAPS["empty phrase"], traps, place, film)
        _write_folder(top / FOLDERS / film.dicom_id, film, reading, empty)
    if traps != "off":
        _write_audio(top / FOLDERS / "00000000-00000000-00000000-00000000-00000000", 0.05)


def class_of(film: Film) -> str:
    """One of the release's three groups of diagnoses."""
    if film.labels["No Finding"]:
        return "normals"
    return "CHF" if film.labels["Cardiomegaly"] or film.labels["Edema"] else "pneumonia"


def padding(film: Film) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the screen beside the film, whose sides are made even first."""
    wide, high = _even(film)
    scale = min(SCREEN[0] / wide, SCREEN[1] / high)
    left = SCREEN[0] - round(wide * scale)
    top = SCREEN[1] - round(high * scale)
    return left // 2, top // 2, left - left // 2, top - top // 2


def _even(film: Film) -> tuple[int, int]:
    return film.width + film.width % 2, film.height + film.height % 2


def _record(place: int, film: Film, traps: str) -> list[Any]:
    left, top, right, bottom = padding(film)
    age = int(film.study.age) // 10 * 10
    group, labels = class_of(film), film.labels
    broken = has_trap(TRAPS["line breaks"], traps, place, film)
    said = "Heart failure,\nunspecified" if broken else "Heart failure"
    diagnoses = [said, "I509"] if group == "CHF" else ["Cough", "R05"]
    indication = '___ with "cough"\nand fever' if broken else "cough"
    one_of = [int(group == name) for name in ("normals", "CHF", "pneumonia")]
    seen = [labels["Consolidation"], labels["Cardiomegaly"], labels["Atelectasis"], 0]
    seen += [labels["Lung Opacity"], labels["Pleural Effusion"], labels["Edema"]]
    seen += [labels["No Finding"], 0, 0, 0]
    doubt = has_trap(TRAPS["doubt"], traps, place, film)
    sex = film.study.patient.sex
    start = [film.dicom_id, film.path(".dcm"), film.study_id, film.subject_id, 39_000_000 + place]
    start += [sex, f"{age} - {age + 10}", top, bottom, left, right]
    middle = [*diagnoses, *([""] * 16), "" if group != "normals" else 1, *one_of, *seen]
    return [*start, *middle, *(_chx(film, name, doubt) for name in CHX.split(",")), indication]


def _chx(film: Film, column: str, doubt: bool) -> str:
    """What the report mentions: 1.0, 0.0, -1.0, or blank."""
    name = column.replace("_", " ").title()
    value = film.report.mentions.get(name)
    if doubt and name == "Fracture":
        value = -1.0
    return "" if value is None else f"{value:.1f}"


def _rows(
    film: Film, place: int, number: int, moment: float, point: Sequence[float], fixation: list[str]
) -> list[Any]:
    """A row of the tracker for a point in pixels of the film."""
    left, top, right, bottom = padding(film)
    wide, high = _even(film)
    shown = SCREEN[0] - left - right, SCREEN[1] - top - bottom
    x, y = point[0] / wide * shown[0] + left, point[1] / high * shown[1] + top
    on_picture = 0 <= point[0] < film.width and 0 <= point[1] < film.height
    # beside the picture the place is set to -1 on the screen, then scaled as any other
    original = point if on_picture else (-wide / shown[0], -high / shown[1])
    screen = [plain(x / SCREEN[0], 6), plain(y / SCREEN[1], 6)]
    head = [1 + place // SITTING, place % SITTING + 1, film.dicom_id, number, plain(moment)]
    head += [int(moment * 1e7), *screen, *fixation, *screen, 1, *EYES]
    return [*head, plain(original[0], 2), plain(original[1], 2)]


def _calibration(place: int) -> list[Any]:
    head = [1 + place // SITTING, 0, f"calibration_{place}", 0, 0.1, 1_000_000, 0.5, 0.5]
    return [*head, 0.1, 0.2, 1, 1, 0.5, 0.5, 1, *EYES, 960, 540]


def _fixations(
    films: Sequence[Film], readings: Sequence[Reading], traps: str
) -> Iterator[list[Any]]:
    for place, (film, reading) in enumerate(zip(films, readings, strict=True)):
        if traps != "off" and place % SITTING == 0:
            yield _calibration(place)
        points = film.to_pixels(reading.fixations[:, :2])
        for i, (point, values) in enumerate(zip(points, reading.fixations, strict=True)):
            fixation = [
                plain(values[2]),
                plain(values[3]),
                str(i + 1),
                str(int(not reading.lost[i])),
            ]
            yield _rows(film, place, i, values[2] + values[3], point, fixation)


def _samples(films: Sequence[Film], readings: Sequence[Reading], traps: str) -> Iterator[list[Any]]:
    for place, (film, reading) in enumerate(zip(films, readings, strict=True)):
        if traps != "off" and place % SITTING == 0:
            yield _calibration(place)
        values, own = sample_eyes(reading, RATE)
        points = film.to_pixels(values[:, 1:])
        last = film.to_pixels(reading.fixations[:, :2])[0]
        for number, (moment, point, i) in enumerate(
            zip(values[:, 0].tolist(), points, own.tolist(), strict=True)
        ):
            seen = i >= 0 and not np.isnan(point[0])
            last = point if seen else last
            start = reading.fixations[max(i, 0), 2]
            fixation = [plain(start), plain(moment - start), str(i + 1), str(int(seen))]
            yield _rows(film, place, number, moment, last, fixation)


# anatomy ------------------------------------------------------------------------------
def draw_masks(film: Film) -> dict[str, np.ndarray]:
    """(height, width) bool of the four structures that have a mask."""
    masks, study = film.drawn[1], film.study
    plane = Plane(study.posture, film.side, film.side)
    wider = study.findings.get("Enlarged Cardiomediastinum")
    x = anatomy.knob_x(wider.numbers["factor"] if wider else 1.0)
    away = (plane.x - x) ** 2 + (plane.y - anatomy.KNOB_Y) ** 2
    return {
        "left_lung": film.cut(masks["left lung"]),
        "right_lung": film.cut(masks["right lung"]),
        "mediastanum": film.cut(masks["mediastinum"]),
        "aortic_knob": film.cut(away < study.patient.knob**2),
    }


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def _boxes(film: Film) -> Iterator[list[Any]]:
    """The seventeen boxes; left is the patient's, on the image's right."""
    masks = film.drawn[1]
    left, top, right, bottom = _box(film.cut(masks["mediastinum"]))
    found = {
        "cardiac silhouette": _box(film.cut(masks["heart"])),
        "trachea": _box(film.cut(masks["trachea"])),
        "upper mediastinum": (left, top, right, (top + bottom) // 2),
    }
    for side, sign in (("left", 1), ("right", -1)):
        lung = film.cut(masks[f"{side} lung"])
        x0, y0, x1, y1 = _box(lung)
        third = (y1 - y0) / 3
        found[f"{side} lung"] = x0, y0, x1, y1
        for number, zone in enumerate(("upper", "mid", "lower")):
            high, low = round(y0 + number * third), round(y0 + (number + 1) * third)
            found[f"{side} {zone} lung zone"] = x0, high, x1, low
        outer = ((x0 + x1) // 2, x1) if sign > 0 else (x0, (x0 + x1) // 2)
        found[f"{side} costophrenic angle"] = outer[0], round(y1 - third / 2), outer[1], y1
        bones = film.cut(masks["clavicles"]).copy()
        middle = film.width // 2
        bones[:, slice(0, middle) if sign > 0 else slice(middle, None)] = False
        found[f"{side} clavicle"] = _box(bones) if bones.any() else (x0, y0, x1, y0 + 1)
        found[f"{side} hilar structures"] = _hilum(film, sign)
    for name, (x0, y0, x1, y1) in found.items():
        yield [film.dicom_id, name, x0, x1, y0, y1]


def _hilum(film: Film, sign: int) -> tuple[int, int, int, int]:
    (a, b, e), (c, d, f) = film.study.posture.matrix
    x, y = sign * anatomy.HILUM[0], anatomy.HILUM[1]
    middle = np.array([[a * x + b * y + e + 1, c * x + d * y + f + 1]]) / 2
    (px, py), reach = film.to_pixels(middle)[0], HALF_HILUM / 2 * film.side
    return round(px - reach), round(py - reach), round(px + reach), round(py + reach)


# a folder for each image ------------------------------------------------------------------
def _write_folder(folder: Path, film: Film, reading: Reading, empty: bool) -> None:
    phrases: list[dict[str, Any]] = []
    for word in reading.words:
        if word.text == ".":
            continue
        same = phrases and phrases[-1]["of"] == word.finding
        if same:
            phrases[-1] |= {"phrase": f"{phrases[-1]['phrase']} {word.text}", "end_time": word.end}
        else:
            new = {"phrase": word.text, "begin_time": word.start, "end_time": word.end}
            phrases.append(new | {"of": word.finding})
    stamped = [{k: v for k, v in phrase.items() if k != "of"} for phrase in phrases]
    if empty:
        end = stamped[-1]["end_time"]
        stamped.append({"phrase": "", "begin_time": end, "end_time": end + 0.2})
    _write_audio(folder, 0.05)
    found = {"full_text": reading.text, "time_stamped_text": stamped}
    (folder / "transcript.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    for name, mask in draw_masks(film).items():
        Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(folder / f"{name}.png")


def _write_audio(folder: Path, seconds: float) -> None:
    """Silence. The release has an MP3 beside it, which no reader needs."""
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / "audio.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * int(8000 * seconds)))
