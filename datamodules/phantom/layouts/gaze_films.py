"""The films that the writers of gaze data share: phantom radiographs in MIMIC-CXR-JPG's folders."""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.phantom import cxr
from datamodules.phantom.cxr_render import equalised, render
from datamodules.phantom.cxr_report import Report, write_report
from datamodules.phantom.cxr_study import PURPOSES, Study, labels_of
from datamodules.phantom.gaze import GRID, Reading, draw_reading

MILLION = 10**6


@dataclass(frozen=True)
class Trap:
    """One quirk: which film has it when forced, and the share of films in the real release."""

    film: int
    rate: float


def has_trap(trap: Trap, traps: str, place: int, film: "Film") -> bool:
    """Whether the film at a place of a table has a quirk."""
    if traps == "natural":
        return _share(f"{film.dicom_id}|{trap}") < trap.rate
    return traps == "forced" and place == trap.film


def _share(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


@dataclass(frozen=True)
class Film:
    """One radiograph: a drawn square, cut to width x height from `left`, `top` on."""

    seed: int
    subject: int
    visit: int
    side: int  # pixels of the drawn square
    width: int
    height: int
    left: int
    top: int

    @cached_property
    def study(self) -> Study:
        place = cxr.address(self.seed, "train", self.subject, self.visit)
        return cxr.draw_study(
            place, min_feature=cxr.least_feature(self.side), projection=self._projection
        )

    @property
    def _projection(self) -> str:
        return "PA" if _share(f"{self.seed}|{self.subject}|{self.visit}") < 0.6 else "AP"

    @property
    def subject_id(self) -> str:
        """Eight digits without order; ten subjects fill the ten groups."""
        return f"1{self.subject % 10}{(self.subject * 387_421 + 102_345) % MILLION:06d}"

    @property
    def study_id(self) -> str:
        return f"5{(self._number * 7_654_321 + 3_456_789) % (10 * MILLION):07d}"

    @property
    def _number(self) -> int:
        return self.subject * 8 + self.visit

    @property
    def dicom_id(self) -> str:
        digest = hashlib.sha256(f"film|{self.seed}|{self._number}".encode()).hexdigest()
        return "-".join(digest[i : i + 8] for i in range(0, 40, 8))

    def path(self, suffix: str) -> str:
        """Below the release, as the tables write it."""
        folder = f"p{self.subject_id[:2]}/p{self.subject_id}/s{self.study_id}"
        return f"files/{folder}/{self.dicom_id}{suffix}"

    @cached_property
    def drawn(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(side, side) grey levels before equalisation, and masks."""
        return render(self.study, self.side)

    def cut(self, plane: np.ndarray) -> np.ndarray:
        """The film's part of a drawn plane."""
        return plane[self.top : self.top + self.height, self.left : self.left + self.width]

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) shares of the drawn square as pixels of the film."""
        return np.asarray(points, np.float64) * self.side - (self.left, self.top)

    def read(self, reader: int) -> Reading:
        """What a reader does with the film."""
        return draw_reading(self.study, reader, masks=self._grid)

    @cached_property
    def _grid(self) -> dict[str, np.ndarray]:
        return render(self.study, GRID)[1]

    @cached_property
    def report(self) -> Report:
        """What the hospital's radiologist wrote, long before the gaze was tracked."""
        return write_report(self.study, self.study.place.stream(PURPOSES.index("report")))

    @property
    def labels(self) -> dict[str, int]:
        return labels_of(self.study)

    def truth(self, **more: Any) -> dict[str, Any]:
        """A line of the truth beside the layout."""
        ids = {name: getattr(self, name) for name in ("dicom_id", "subject_id", "study_id")}
        shape = {name: getattr(self, name) for name in ("side", "width", "height", "left", "top")}
        address = {"seed": self.seed, "subject": self.subject, "visit": self.visit}
        return ids | address | shape | more | cxr.truth_of(self.study)


def make_film(seed: int, subject: int, side: int, visit: int = 0, odd: bool = False) -> Film:
    """A film a little narrower or lower than the drawn square; odd: both sides are odd numbers."""
    share = _share(f"shape|{seed}|{subject}|{visit}")
    cut = 2 * int(share * side / 16)
    width, height = (side - cut, side) if share * 997 % 1 < 0.7 else (side, side - cut)
    if odd:
        width, height = (width - 2) | 1, (height - 2) | 1
    return Film(
        seed, subject, visit, side, width, height, (side - width) // 2, (side - height) // 2
    )


def write_film(dest: Path, film: Film) -> None:
    """The JPEG as the release has it (equalised by rank, quality 95) and the study's report."""
    from PIL import Image

    folder = f"p{film.subject_id[:2]}/p{film.subject_id}"
    text = dest / f"mimic-cxr/2.0.0/files/{folder}/s{film.study_id}.txt"
    text.parent.mkdir(parents=True, exist_ok=True)
    lines = ["FINAL REPORT", *(f"{k.upper()}: {v}\n" for k, v in film.report.sections.items() if v)]
    text.write_text("".join(f" {line}\n" for line in lines), encoding="utf-8")
    path = dest / "mimic-cxr-jpg/2.1.0" / film.path(".jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(equalised(np.ascontiguousarray(film.cut(film.drawn[0])))).save(path, quality=95)


def write_csv(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], crlf: bool = False
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n" if crlf else "\n")
        writer.writerow(columns)
        writer.writerows(rows)


def plain(value: float, digits: int = 4) -> str:
    """A number without needless zeros; blank for NaN."""
    return (
        ""
        if np.isnan(value)
        else f"{round(float(value), digits):.{digits}f}".rstrip("0").rstrip(".")
    )
