"""REFLACX: readings of MIMIC-CXR radiographs with eye tracking, dictation and ellipses."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from datamodules.base import expand, within
from datamodules.controls import SIGMA
from datamodules.gaze import Case, Focus, Look, Source, Weight
from datamodules.gaze_dataset import IMAGES, YIELDS, GazeData, Pair, cut_validation
from datamodules.geometry import Fit, Mode
from datamodules.inspection import Expect, check_counts
from datamodules.mimic_reports import Reports
from datamodules.mimic_tables import release_folder
from datamodules.reflacx_files import PHASES, ReflacxSource
from datamodules.reflacx_labels import SETS, read_certainties, read_truth, to_canonical
from datamodules.splits import hash_share
from datamodules.tables import Row, read_table, unique
from medbench.core.errors import UserError

KEY, TOP = "reflacx", "reflacx"
TREE = f"""{TOP}/1.0.0/ (or the files in {TOP}/ itself)
  main_data/metadata_phase_1.csv, metadata_phase_2.csv, metadata_phase_3.csv
  main_data/P102R000001/fixations.csv, timestamps_transcription.csv, transcription.txt,
    chest_bounding_box.csv, anomaly_location_ellipses.csv
  gaze_data/P102R000001/gaze.csv
{IMAGES}"""
RELEASE = {  # counts of the release
    "images of phase 1": 59,
    "images of phase 2": 50,
    "images of phase 3": 2_507,
    "usable readings": 3_032,
}
METADATA = (
    "id",
    "split",
    "eye_tracking_data_discarded",
    "image",
    "dicom_id",
    "subject_id",
    "image_size_x",
    "image_size_y",
)


class Reflacx(GazeData):
    """Readings of radiographs; phase 3 trains, the images that five radiologists read are for test.

    root: the folder that holds reflacx/, and mimic-cxr-jpg/ unless `images` names where that is,
    and mimic-cxr/ (reports) unless `reports` does. A training subject that is also in test is
    dropped. prepared: a folder of `python -m medbench.prepare`."""

    version = 1
    yields = (*YIELDS, "masks")
    citation = "Bigolin Lanfredi et al., REFLACX (Scientific Data 2022; PhysioNet 1.0.0)"
    split_source = "phases 1 and 2 for test, as RadGazeGen; validation by hash of the subject"
    tree = TREE

    def __init__(
        self,
        root: str,
        size: int = 512,
        fit: Mode = "stretch",  # as RadGazeGen
        text: Literal["transcription", "report"] = "transcription",
        gaze: Literal["fixations", "samples"] = "fixations",  # samples: each of the tracker's
        test_reader: Literal["pooled", "first", "each"] = "pooled",
        sigma: float = SIGMA,  # of the attention map, as a share of the width
        weight: Weight = "count",
        focus: Focus = "all",  # focal: the cluster, of two, that was looked at longer
        val_fraction: float = 0.05,
        images: str | None = None,
        reports: str | None = None,
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of images to leave out, one path a line
        prepared: str | None = None,
    ) -> None:
        look = Look(Fit(size, fit), sigma, weight, focus)
        super().__init__(root, images, look, expect, bad_files, prepared)
        self.text, self.gaze_source, self.test_reader = text, gaze, test_reader
        self.val_fraction = val_fraction
        self.reports_root = expand(reports) if reports else self.root

    @cached_property
    def folder(self) -> Path:
        return release_folder(self.root, TOP, "main_data", TREE)

    @cached_property
    def source(self) -> "ReflacxSource":
        reports = Reports(self.reports_root) if self.text == "report" else None
        sizes = {reading.id: reading.size for reading in self.readings}
        return ReflacxSource(self.folder, self.gaze_source == "samples", reports, sizes)

    def sources(self) -> dict[str, Source]:
        return {KEY: self.source}

    @cached_property
    def readings(self) -> list["Reading"]:
        """Every row of the three metadata tables, discarded ones too."""
        found = [r for phase in PHASES for r in read_phase(self.folder, phase)]
        twice = [name for name, n in Counter(r.id for r in found).items() if n > 1]
        if twice:
            raise UserError(f"{self.folder}: the reading {twice[0]} stands in two phases.")
        return found

    @cached_property
    def _discarded(self) -> Counter[str]:
        """How many readings of an image have no gaze."""
        return Counter(reading.dicom_id for reading in self.readings if reading.discarded)

    def count_mistakes(self) -> list[str]:
        found = {
            f"images of phase {phase}": len({r.dicom_id for r in self.readings if r.phase == phase})
            for phase in PHASES
        }
        found["usable readings"] = sum(not r.discarded for r in self.readings)
        return check_counts(found, RELEASE, self.expect)

    def cases(self) -> tuple[list[Case], list[Case]]:
        """Training cases (phase 3) and test cases, without discarded readings."""
        kept = [r for r in self.readings if not r.discarded]
        test = [self.case(group) for group in self._groups([r for r in kept if r.phase != 3])]
        return [self.case([r]) for r in kept if r.phase == 3], test

    def assign(self) -> dict[str, list[Pair]]:
        lost = sum(reading.discarded for reading in self.readings)
        self.note(f"{len(self.readings)} readings in the tables")
        self.note(f"{lost} dropped: eye tracking discarded")
        train, test = self.cases()
        several = len(self.readings) - lost - len(train)
        if several > len(test):
            self.note(f"{several} of phases 1 and 2 make {len(test)} test samples, one an image")
        held = {case.subject_id for case in test}
        free = [case for case in train if case.subject_id not in held]
        self.note(f"{len(train) - len(free)} of phase 3 dropped: their subject is in test")
        pairs: list[Pair] = [(self.source, case) for case in free]
        rest, validation = cut_validation(
            pairs, lambda subject: hash_share(KEY, subject) < self.val_fraction
        )
        return {
            "train": rest,
            "validation": validation,
            "test": [(self.source, case) for case in test],
        }

    def _groups(self, readings: list["Reading"]) -> list[list["Reading"]]:
        """The readings that make one test sample each."""
        if self.test_reader == "each":
            return [[reading] for reading in readings]
        by_image: dict[str, list[Reading]] = {}
        for reading in readings:
            by_image.setdefault(reading.dicom_id, []).append(reading)
        return [g[:1] if self.test_reader == "first" else g for g in by_image.values()]

    def case(self, group: list["Reading"]) -> Case:
        """The sample of one reading, or of several of one image."""
        first = group[0]
        labels = np.stack([reading.labels for reading in group])
        with np.errstate(invalid="ignore"):
            most = np.where(np.isnan(labels[0]), np.nan, labels.mean(axis=0) >= 0.5)
        return Case(
            sample_id=first.id if len(group) == 1 else first.dicom_id,
            subject_id=first.subject_id,
            dicom_id=first.dicom_id,
            image=within(self.images, first.image, first.where),
            labels=most.astype(np.float32),
            readings=tuple(reading.id for reading in group),
            study_id=first.study_id,
            meta={
                "source": KEY,
                "dicom_id": first.dicom_id,
                "study_id": first.study_id,
                "phase": first.phase,
                "reader_index": first.reader if len(group) == 1 else -1,
                "readers": len(group),
                "discarded": self._discarded[first.dicom_id],
                "split_mimic": first.split,
                "path": first.image,
            },
        )


@dataclass(frozen=True)
class Reading:
    """A row of the metadata."""

    id: str
    phase: int
    reader: int
    discarded: bool
    dicom_id: str
    study_id: str
    subject_id: str
    image: str  # below the release of MIMIC-CXR-JPG
    size: tuple[int, int]
    split: str
    labels: np.ndarray
    where: str


def read_phase(folder: Path, phase: int) -> list[Reading]:
    """The rows of one phase's table, with its own set of labels."""
    path = folder / "main_data" / f"metadata_phase_{phase}.csv"
    rows = read_table(path, (*METADATA, *SETS[phase]))
    unique(rows, "id", path)
    return [_reading(row, phase, f"{path}, row {i}") for i, row in enumerate(rows, start=2)]


def _reading(row: Row, phase: int, where: str) -> Reading:
    name = row["id"]
    if not (len(name) == 11 and name[0] == "P" and name[4] == "R" and name[1] == str(phase)):
        raise UserError(f"{where}: id {name!r}; a reading of phase {phase} is P{phase}02R123456.")
    parts = PurePosixPath(row["image"]).parts[-4:]  # group, subject, study, file
    if len(parts) < 4 or PurePosixPath(parts[-1]).stem != row["dicom_id"]:
        raise UserError(
            f"{where}: image {row['image']!r} is no path of {row['dicom_id']}. Fetch it again."
        )
    try:
        size = int(row["image_size_x"]), int(row["image_size_y"])
    except ValueError:
        raise UserError(f"{where}: image_size_x and image_size_y must be whole numbers.") from None
    return Reading(
        id=name,
        phase=phase,
        reader=int(name[2:4]),
        discarded=read_truth(
            row["eye_tracking_data_discarded"], "eye_tracking_data_discarded", where
        ),
        dicom_id=row["dicom_id"],
        study_id=parts[2].removeprefix("s"),
        subject_id=row["subject_id"],
        image="/".join(("files", *parts[:3], f"{row['dicom_id']}.jpg")),
        size=size,
        split=row["split"],
        labels=to_canonical(read_certainties(row, phase, where)),
        where=where,
    )
