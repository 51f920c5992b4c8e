"""The files of Eye Gaze Data for Chest X-rays: gaze on a screen, dictation, masks and boxes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.columns import length, read_columns, text
from datamodules.gaze import Box, Case, Gaze, Word, picture_size
from datamodules.geometry import Place
from datamodules.mimic_reports import Reports
from datamodules.pictures import decode
from datamodules.preparing import Arrays
from datamodules.tables import find_table, read_table
from medbench.core.errors import UserError
from medbench.core.files import read_json

SCREEN = (1920, 1080)
DEGREE = 41.0  # screen pixels in a degree of sight; assumed: 0.277 mm pixels seen from 65 cm
TOLERANCE = 2.0  # image pixels between our geometry and the release's own columns
MASKS = {  # as the files are called
    "left_lung": "left_lung.png",
    "right_lung": "right_lung.png",
    "mediastinum": "mediastanum.png",
    "aortic_knob": "aortic_knob.png",
}
BOXES = (
    "cardiac silhouette",
    "trachea",
    "upper mediastinum",
    *(
        f"{side} {part}"
        for part in (
            "clavicle",
            "costophrenic angle",
            "hilar structures",
            "lung",
            "upper lung zone",
            "mid lung zone",
            "lower lung zone",
        )
        for side in ("left", "right")
    ),
)
CORNERS = ("x1", "y1", "x2", "y2")  # the file has both x before both y
TIME = "Time (in secs)"
GAZE = ("DICOM_ID", "FPOGX", "FPOGY", "FPOGS", "FPOGD", "FPOGV", TIME, "X_ORIGINAL", "Y_ORIGINAL")
FOLDERS = "audio_segmentation_transcripts"


@dataclass(frozen=True)
class Padding:
    """Black borders around an image on the screen, in screen pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height of the image on the screen."""
        return SCREEN[0] - self.left - self.right, SCREEN[1] - self.top - self.bottom

    def to_image(self, points: np.ndarray, width: int, height: int) -> np.ndarray:
        """(F, 2) shares of the screen as pixels of the image.

        An odd side was padded by a pixel before the image was shown."""
        even = (width + width % 2, height + height % 2)
        return (points * SCREEN - (self.left, self.top)) / self.shown * even


@dataclass(frozen=True)
class EyeGazeSource:
    """The release's folder, and the padding of every image."""

    folder: Path
    samples: bool
    padding: Mapping[str, Padding]
    reports: Reports | None
    masks: tuple[str, ...] = tuple(MASKS)

    def table(self) -> Path:
        return find_table(self.folder, "eye_gaze" if self.samples else "fixations")

    def size(self, case: Case) -> tuple[int, int]:
        """The masks have the size of the DICOM."""
        return picture_size(self.folder / FOLDERS / case.dicom_id / MASKS["left_lung"])

    def gaze(self, case: Case, width: int, height: int) -> Gaze:
        path, padding = self.table(), self.padding[case.dicom_id]
        table = _read_gaze(path, path.stat().st_mtime_ns)
        values = table.get(case.dicom_id, np.zeros((0, len(GAZE))))
        values = values[values[:, 5] == 1]
        seen = values[(values[:, 7:9] >= 0).all(axis=1)]  # -1 on screen: not on the picture
        points = padding.to_image(seen[:, 1:3], width, height)
        self._compare(path, case, points, seen)
        if self.samples:
            step = float(np.median(np.diff(seen[:, 6]))) if len(seen) > 1 else 0.0
            times = np.stack([seen[:, 6], np.full(len(seen), step)], axis=1)
        else:
            times = seen[:, 3:5]
        degree = DEGREE / np.array(padding.shown) * (width, height)
        count = len(seen)
        shown = np.tile([0.0, 0.0, width, height], (count, 1))
        return Gaze(points, times, np.tile(degree, (count, 1)), shown)

    def _compare(self, path: Path, case: Case, points: np.ndarray, seen: np.ndarray) -> None:
        """Our geometry against the release's: an image of another size is found here."""
        off = np.abs(points - seen[:, 7:9]).max(axis=1) if len(seen) else np.zeros(0)
        if (off > TOLERANCE).any():
            worst = int(off.argmax())
            x, y = points[worst]
            raise UserError(
                f"{path}, row {int(seen[worst, 0])}: X_ORIGINAL, Y_ORIGINAL is "
                f"{seen[worst, 7]:g}, {seen[worst, 8]:g}, but its place on the screen and the "
                f"padding of {case.dicom_id} give {x:.1f}, {y:.1f}. Is the image of another size?"
            )

    def focus(self, case: Case) -> Box | None:
        return None

    def _transcript(self, case: Case) -> dict[str, Any]:
        path = self.folder / FOLDERS / case.dicom_id / "transcript.json"
        found = read_json(path)
        if not isinstance(found, dict) or not {"full_text", "time_stamped_text"} <= found.keys():
            raise UserError(f"{path} lacks full_text or time_stamped_text. Fetch it again.")
        return found

    def text(self, case: Case) -> str:
        if self.reports is not None:
            return self.reports.sections(case.subject_id, case.study_id)["report"]
        return " ".join(str(self._transcript(case)["full_text"]).split())

    def words(self, case: Case) -> list[Word]:
        """Phrases, each of several words or of none."""
        path = self.folder / FOLDERS / case.dicom_id / "transcript.json"
        found = []
        for number, item in enumerate(self._transcript(case)["time_stamped_text"], start=1):
            try:
                times = float(item["begin_time"]), float(item["end_time"])
                found.append(Word(str(item["phrase"]).strip(), *times))
            except (KeyError, TypeError, ValueError):
                raise UserError(
                    f"{path}: entry {number} lacks phrase, begin_time or end_time. Fetch it again."
                ) from None
        return found

    def details(self, case: Case) -> dict[str, Any]:
        """The boxes of the anatomy: left, top, right, bottom in pixels of the image's own size."""
        path = self.folder / "bounding_boxes.csv"
        return dict(_read_boxes(path, path.stat().st_mtime_ns).get(case.dicom_id, {}))

    def draw_masks(self, case: Case, place: Place, width: int, height: int) -> Arrays:
        found = {}
        for name, file in MASKS.items():
            path = self.folder / FOLDERS / case.dicom_id / file
            pixels, _ = decode(path)
            if pixels.shape[-2:] != (height, width):
                raise UserError(
                    f"{path} has {pixels.shape[-1]} x {pixels.shape[-2]} pixels, another mask of "
                    f"the image {width} x {height}. Fetch both again."
                )
            found[name] = place.mask((pixels[:1] > 127).astype(np.uint8))
        return found

    def files(self, case: Case) -> list[Path]:
        folder = self.folder / FOLDERS / case.dicom_id
        return [folder / name for name in ("transcript.json", *MASKS.values())]

    def tables(self) -> list[Path]:
        return [self.table(), self.folder / "master_sheet.csv", self.folder / "bounding_boxes.csv"]


@lru_cache(maxsize=4)
def _read_gaze(path: Path, stamp: int) -> dict[str, np.ndarray]:
    """Rows of each id as (rows, 9) float64, in order: the row of the file, then GAZE's columns.

    Slides of the calibration have ids that are no images'; they stay under them."""
    table = read_columns(path, GAZE)
    values = np.empty((length(table), len(GAZE)))
    values[:, 0] = np.arange(length(table)) + 2
    for place, name in enumerate(GAZE[1:], start=1):
        cells = table[name]
        try:
            values[:, place] = np.where(cells == b"", b"nan", cells).astype(np.float64)
        except ValueError as error:
            raise UserError(f"{path}: {name} holds text ({error}). Fetch it again.") from None
    ids, where = np.unique(table["DICOM_ID"], return_inverse=True)
    order = np.argsort(where, kind="stable")
    parts = np.split(values[order], np.cumsum(np.bincount(where, minlength=len(ids)))[:-1])
    return {text(name): part for name, part in zip(ids, parts, strict=True)}


@lru_cache(maxsize=4)
def _read_boxes(path: Path, stamp: int) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for number, row in enumerate(read_table(path, ("dicom_id", "bbox_name", *CORNERS)), start=2):
        name = row["bbox_name"].strip().lower()
        if name not in BOXES:
            raise UserError(
                f"{path}, row {number}: the box {row['bbox_name']!r} is not known. Known: "
                f"{', '.join(BOXES)}."
            )
        try:
            corners = [float(row[corner]) for corner in CORNERS]
        except ValueError:
            raise UserError(f"{path}, row {number}: x1, y1, x2, y2 must be numbers.") from None
        found.setdefault(row["dicom_id"], {})[f"box.{name}"] = " ".join(f"{v:g}" for v in corners)
    return found
