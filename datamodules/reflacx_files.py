"""The files of a REFLACX reading: fixations, samples, dictation, boxes and ellipses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.gaze import Box, Case, Gaze, Word, draw_ellipses, join
from datamodules.geometry import Place
from datamodules.mimic_reports import Reports
from datamodules.preparing import Arrays
from datamodules.reflacx_labels import MAPPED, MEANING, NO_FINDING, PRESENT, SETS, read_truth
from datamodules.tables import read_table, read_text
from medbench.core.errors import UserError

PHASES = (1, 2, 3)
SIDES = ("xmin", "ymin", "xmax", "ymax")
SHOWN = tuple(f"{side}_shown_from_image" for side in SIDES)
PLACE = (
    "x_position",
    "y_position",
    "angular_resolution_x_pixels_per_degree",
    "angular_resolution_y_pixels_per_degree",
    *SHOWN,
)
FIXATION = ("timestamp_start_fixation", "timestamp_end_fixation")
OPTIONAL_ELLIPSES = NO_FINDING  # labels that need no place in the image


@dataclass(frozen=True)
class ReflacxSource:
    """The folders of the readings."""

    folder: Path
    samples: bool
    reports: Reports | None
    sizes: Mapping[str, tuple[int, int]]  # by reading
    masks: tuple[str, ...] = MAPPED

    def _file(self, reading: str, name: str) -> Path:
        return self.folder / "main_data" / reading / name

    def size(self, case: Case) -> tuple[int, int]:
        return self.sizes[case.readings[0]]

    def gaze(self, case: Case, width: int, height: int) -> Gaze:
        if self.samples:
            paths = [self.folder / "gaze_data" / name / "gaze.csv" for name in case.readings]
            return join([_read_samples(path) for path in paths])
        return join([_read_fixations(self._file(name, "fixations.csv")) for name in case.readings])

    def focus(self, case: Case) -> Box | None:
        """The box around all readers' boxes of the chest."""
        boxes = np.array([self._chest(name) for name in case.readings])
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def _chest(self, reading: str) -> np.ndarray:
        path = self._file(reading, "chest_bounding_box.csv")
        boxes = _numbers(path, SIDES)
        if len(boxes) != 1:
            raise UserError(f"{path} has {len(boxes)} rows; it holds one box. Fetch it again.")
        return boxes[0]

    def reader(self, case: Case) -> str:
        """The reading whose dictation has the most words."""
        lengths = [len(self.dictation(name).split()) for name in case.readings]
        return case.readings[int(np.argmax(lengths))]

    def dictation(self, reading: str) -> str:
        """Its text on one line."""
        return " ".join(read_text(self._file(reading, "transcription.txt")).split())

    def text(self, case: Case) -> str:
        if self.reports is not None:
            return self.reports.sections(case.subject_id, case.study_id)["report"]
        return self.dictation(self.reader(case))

    def words(self, case: Case) -> list[Word]:
        path = self._file(self.reader(case), "timestamps_transcription.csv")
        times = ("timestamp_start_word", "timestamp_end_word")
        rows = read_table(path, ("word", *times))
        spans = _numbers(path, times)
        return [Word(r["word"], float(a), float(b)) for r, (a, b) in zip(rows, spans, strict=True)]

    def details(self, case: Case) -> dict[str, Any]:
        box = self.focus(case)
        assert box is not None
        return {f"chest_{side}": value for side, value in zip(SIDES, box, strict=True)}

    def draw_masks(self, case: Case, place: Place, width: int, height: int) -> Arrays:
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.masks}
        for reading in case.readings:
            path = self._file(reading, "anomaly_location_ellipses.csv")
            for names, box in read_ellipses(path, int(reading[1])):
                for name in names:
                    found[name].append(box)
        return {
            name: draw_ellipses(place.ellipses(np.array(boxes).reshape(-1, 4)), place.size)
            for name, boxes in found.items()
        }

    def files(self, case: Case) -> list[Path]:
        names = ["timestamps_transcription.csv", "transcription.txt", "chest_bounding_box.csv"]
        names += ["anomaly_location_ellipses.csv"] + ([] if self.samples else ["fixations.csv"])
        found = [self._file(reading, name) for reading in case.readings for name in names]
        if self.samples:
            found += [self.folder / "gaze_data" / name / "gaze.csv" for name in case.readings]
        return found

    def tables(self) -> list[Path]:
        return [self.folder / "main_data" / f"metadata_phase_{phase}.csv" for phase in PHASES]


def read_ellipses(path: Path, phase: int) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """The canonical labels and the (4,) box in pixels of each ellipse of certainty 3 or more."""
    needed = [name for name in SETS[phase] if name not in OPTIONAL_ELLIPSES]
    rows = read_table(path, (*SIDES, "certainty", *needed), optional=OPTIONAL_ELLIPSES)
    boxes = _numbers(path, (*SIDES, "certainty"))
    found = []
    for number, (row, values) in enumerate(zip(rows, boxes, strict=True), start=2):
        where = f"{path}, row {number}"
        if values[2] <= values[0] or values[3] <= values[1]:
            raise UserError(f"{where}: xmax must be above xmin, and ymax above ymin.")
        true = [n for n in MEANING if n in row and read_truth(row[n], n, where)]
        names = dict.fromkeys(name for label in true for name in MEANING[label])
        if values[4] >= PRESENT and names:
            found.append((tuple(names), values[:4]))
    return found


def _read_fixations(path: Path) -> Gaze:
    values = _numbers(path, (*FIXATION, *PLACE))
    times = np.stack([values[:, 0], values[:, 1] - values[:, 0]], axis=1)
    if len(times) and times[:, 1].min() < 0:
        row = int(times[:, 1].argmin()) + 2
        raise UserError(f"{path}, row {row}: the fixation ends before it starts. Fetch it again.")
    return Gaze(values[:, 2:4], times, values[:, 4:6], values[:, 6:10])


def _read_samples(path: Path) -> Gaze:
    """Every sample of the tracker as a fixation that lasts until the usual next one; blinks have
    no position and are left out."""
    values = _numbers(path, ("timestamp_sample", *PLACE), gaps=True)
    starts = values[:, 0]
    step = float(np.median(np.diff(starts))) if len(starts) > 1 else 0.0
    seen = np.isfinite(values[:, 1:3]).all(axis=1)
    times = np.stack([starts, np.full(len(starts), step)], axis=1)[seen]
    values = values[seen]
    return Gaze(values[:, 1:3], times, values[:, 3:5], values[:, 5:9])


def _numbers(path: Path, columns: tuple[str, ...], gaps: bool = False) -> np.ndarray:
    """(rows, columns) float64; with `gaps` a cell may be blank, which is NaN."""
    rows = read_table(path, columns)
    try:
        cells = [[row[name] or "nan" for name in columns] for row in rows]
        values = np.array(cells, np.float64).reshape(-1, len(columns))
    except ValueError as error:
        raise UserError(f"{path}: {error}; its cells are numbers. Fetch it again.") from None
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any() and not gaps:
        row = int(np.flatnonzero(bad)[0]) + 2
        raise UserError(f"{path}, row {row}: a cell is blank or no finite number. Fetch it again.")
    return values
