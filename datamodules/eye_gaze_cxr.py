"""Eye Gaze Data for Chest X-rays: one radiologist's gaze and dictation on 1,083 MIMIC-CXR films."""

from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

from datamodules.base import expand, within
from datamodules.controls import SIGMA
from datamodules.eye_gaze_files import SCREEN, EyeGazeSource, Padding
from datamodules.gaze import Case, Focus, Look, Source, Weight
from datamodules.gaze_dataset import IMAGES, YIELDS, GazeData, Pair, cut_validation
from datamodules.geometry import Fit, Mode
from datamodules.inspection import Expect, check_counts
from datamodules.labels import CANONICAL, Blank, Uncertain, decode_labels
from datamodules.mimic_reports import Reports
from datamodules.mimic_tables import release_folder
from datamodules.splits import hash_share
from datamodules.tables import Row, read_table, unique
from medbench.core.errors import UserError

KEY, TOP = "eye_gaze_cxr", "egd-cxr"
TREE = f"""{TOP}/1.0.0/ (or the files in {TOP}/ itself)
  master_sheet.csv, eye_gaze.csv, fixations.csv, bounding_boxes.csv
  audio_segmentation_transcripts/DICOM_ID/transcript.json, left_lung.png, right_lung.png,
    mediastanum.png, aortic_knob.png
{IMAGES}"""
RELEASE = {"images": 1_083, "subjects": 1_038}  # counts of the release
PADS = ("left", "top", "right", "bottom")
CLASSES = {"Normal": "normal", "CHF": "chf", "pneumonia": "pneumonia"}
SHEET = (
    "dicom_id",
    "path",
    "study_id",
    "patient_id",
    "gender",
    "anchor_age",
    *(f"image_{side}_pad" for side in PADS),
    *CLASSES,
    *(f"{name.lower().replace(' ', '_')}__chx" for name in CANONICAL),
)


class EyeGazeCxr(GazeData):
    """One radiologist's readings of normal films, heart failure and pneumonia.

    root: the folder that holds egd-cxr/, and mimic-cxr-jpg/ unless `images` names where that is,
    and mimic-cxr/ (reports) unless `reports` does. prepared: a folder of `medbench.prepare`."""

    version = 1
    yields = (*YIELDS, "masks")
    citation = "Karargyris et al., Eye Gaze Data for Chest X-rays (Scientific Data 2021; 1.0.0)"
    split_source = "80 / 10 / 10 by hash of the patient; the release has none"
    tree = TREE

    def __init__(
        self,
        root: str,
        size: int = 512,
        fit: Mode = "stretch",  # as RadGazeGen
        text: Literal["transcription", "report"] = "transcription",
        gaze: Literal["fixations", "samples"] = "fixations",  # samples: eye_gaze.csv, 60 a second
        sigma: float = SIGMA,  # of the attention map, as a share of the width
        weight: Weight = "count",
        focus: Focus = "all",  # focal: the cluster, of two, that was looked at longer
        uncertain: Uncertain = "nan",
        blank: Blank = "nan",
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        images: str | None = None,
        reports: str | None = None,
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of images to leave out, one path a line
        prepared: str | None = None,
    ) -> None:
        look = Look(Fit(size, fit), sigma, weight, focus)
        super().__init__(root, images, look, expect, bad_files, prepared)
        self.text, self.gaze_source = text, gaze
        self.uncertain, self.blank = uncertain, blank
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.reports_root = expand(reports) if reports else self.root

    @cached_property
    def folder(self) -> Path:
        return release_folder(self.root, TOP, "master_sheet.csv", TREE)

    @cached_property
    def rows(self) -> list[Row]:
        """The master sheet, whose text cells may hold line breaks."""
        path = self.folder / "master_sheet.csv"
        rows = read_table(path, SHEET)
        unique(rows, "dicom_id", path)
        return rows

    @cached_property
    def source(self) -> EyeGazeSource:
        path = self.folder / "master_sheet.csv"
        padding = {
            row["dicom_id"]: _padding(row, f"{path}, record {i}")
            for i, row in enumerate(self.rows, start=1)
        }
        reports = Reports(self.reports_root) if self.text == "report" else None
        return EyeGazeSource(self.folder, self.gaze_source == "samples", padding, reports)

    def sources(self) -> dict[str, Source]:
        return {KEY: self.source}

    def count_mistakes(self) -> list[str]:
        subjects = {row["patient_id"] for row in self.rows}
        found = {"images": len(self.rows), "subjects": len(subjects)}
        return check_counts(found, RELEASE, self.expect)

    @cached_property
    def cases(self) -> list[Case]:
        """Every image of the master sheet."""
        path = self.folder / "master_sheet.csv"
        return [self._case(row, f"{path}, record {i}") for i, row in enumerate(self.rows, start=1)]

    def assign(self) -> dict[str, list[Pair]]:
        self.note(f"{len(self.cases)} images in the master sheet")
        pairs: list[Pair] = [(self.source, case) for case in self.cases]
        last = 1 - self.test_fraction
        rest, test = cut_validation(pairs, lambda subject: hash_share(KEY, subject) >= last)
        train, validation = cut_validation(
            rest, lambda subject: hash_share(KEY, subject) < self.val_fraction
        )
        return {"train": train, "validation": validation, "test": test}

    def _case(self, row: Row, where: str) -> Case:
        name = row["dicom_id"]
        parts = PurePosixPath(row["path"]).parts[-4:]  # group, subject, study, file
        if len(parts) < 4 or PurePosixPath(parts[-1]).stem != name:
            raise UserError(
                f"{where}: path {row['path']!r} is no path of {name}. Fetch the table again."
            )
        found = [ours for column, ours in CLASSES.items() if row[column].strip() in ("1", "1.0")]
        if len(found) != 1:
            raise UserError(
                f"{where}: {name} must be one of Normal, CHF and pneumonia; it is "
                f"{' and '.join(found) or 'none'}. Fetch the table again."
            )
        labels = {ours: row[f"{ours.lower().replace(' ', '_')}__chx"] for ours in CANONICAL}
        image = "/".join(("files", *parts[:3], f"{name}.jpg"))
        return Case(
            sample_id=name,
            subject_id=row["patient_id"],
            dicom_id=name,
            image=within(self.images, image, where),
            labels=decode_labels(labels, CANONICAL, self.uncertain, self.blank, where),
            readings=(name,),
            study_id=row["study_id"].removeprefix("s"),
            meta={
                "source": KEY,
                "dicom_id": name,
                "study_id": row["study_id"].removeprefix("s"),
                "class": found[0],
                "sex": row["gender"],
                "age_band": row["anchor_age"],
                "path": image,
            },
        )


def _padding(row: Row, where: str) -> Padding:
    cells = {side: row[f"image_{side}_pad"] for side in PADS}
    try:
        pads = {side: int(float(cell)) for side, cell in cells.items()}
    except ValueError:
        raise UserError(f"{where}: the padding {cells} is no four numbers.") from None
    found = Padding(**pads)
    if min(pads.values()) < 0 or min(found.shown) <= 0:
        raise UserError(f"{where}: the padding {pads} leaves nothing of {SCREEN[0]} x {SCREEN[1]}.")
    return found
