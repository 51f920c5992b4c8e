"""The chest X-ray phantom as a dataset: radiographs, reports, gaze, masks, and pairs of visits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from datamodules import controls
from datamodules.base import DataModule, Level
from datamodules.controls import as_control
from datamodules.phantom import cxr
from datamodules.phantom.cxr_raster import ANATOMY
from datamodules.phantom.cxr_report import Report, write_progression, write_report
from datamodules.phantom.cxr_study import (
    FINDINGS,
    LABELS,
    LONG_TAIL,
    PROJECTIONS,
    PURPOSES,
    Study,
    labels_of,
)
from datamodules.phantom.gaze import GRID, draw_reading
from datamodules.phantom.streams import SPLITS, Address
from datamodules.registration import warp
from medbench.core.batch import Sample
from medbench.core.errors import UserError, nearest

Array = np.ndarray

MEMORY = 512 * 2**20  # bytes of drawn studies that a split keeps; beyond that it draws again
BLANK = 2 * 128 / 255 - 1  # of a prior that does not exist
DECK_STREAM = 255
GROUPS = {  # the long-tail classes, and how many of each are among a training deck
    "head": (
        8,
        (
            "No Finding",
            "Lung Opacity",
            "Cardiomegaly",
            "Atelectasis",
            "Pleural Effusion",
            "Support Devices",
            "Edema",
            "Pneumonia",
            "Pneumothorax",
            "Lung Lesion",
        ),
    ),
    "medium": (
        3,
        (
            "Fracture",
            "Enlarged Cardiomediastinum",
            "Consolidation",
            "Pleural Other",
            "Calcification of the Aorta",
            "Tortuous Aorta",
        ),
    ),
    "tail": (1, ("Pneumoperitoneum", "Subcutaneous Emphysema", "Pneumomediastinum")),
}
CLASS_GROUPS = {name: group for group, (_, names) in GROUPS.items() for name in names}


@dataclass(frozen=True)
class Row:
    """What one sample is drawn from."""

    study: Study
    prior: Study | None
    name: str  # the long-tail class, or empty


@dataclass(frozen=True)
class Drawn:
    """The arrays of a sample as they are kept: 8 bits and booleans."""

    image: Array
    prior: Array | None
    masks: dict[str, Array]  # eight pixels a byte
    gaze: Array | None
    maps: dict[str, Array]


class PhantomCxr(DataModule):
    """Drawn chest radiographs whose findings, posture, identity and gaze are known.

    It imitates geometry, encodings and texts, not clinical appearance."""

    version = 1
    modality = "chest X-ray"
    yields = (
        "image",
        "text",
        "texts",
        "texts.report",
        "texts.findings",
        "texts.impression",
        "texts.progression",
        "labels",
        "label_names",
        "prior_image",
        "prior_valid",
        "gaze",
        "controls",
        "controls.hva",
        "controls.gaze_density",
        "controls.canny",
        "controls.sobel",
        "controls.gl",
        "controls.segmentation",
        "masks",
        "age",
        "race",
        "sample_id",
        "subject_id",
        "meta",
    )
    phantom = True
    licence = "none needed: generated"
    citation = "medbench phantom"
    split_source = "drawn: every split has random streams of its own"
    location = ()

    def __init__(
        self,
        seed: int = 0,
        size: int = 64,
        of: int = 0,  # the grid that an image takes every (of/size)-th pixel of; 0 = size
        min_feature_mm: float = 0.0,  # least width of anything thin; 0 = 2.5 pixels of `of`
        n_train: int = 400,  # subjects
        n_validation: int = 50,
        n_test: int = 100,
        views: Sequence[str] = ("PA", "AP"),  # of PA, AP, LATERAL, LL
        pairs: bool = False,  # consecutive visits, all PA: the later one with its prior
        target: Literal["registered", "counterfactual", "raw"] = "registered",
        changed: bool = False,  # of the pairs, those in which a finding has changed
        longtail: bool = False,  # 19 classes, one each image; validation and test balanced
        balanced: bool = False,  # findings equally frequent and independent: for a judge
        equalise: bool = False,  # rank equalisation, as the real JPEG files have
        labels: Literal["image", "report"] = "image",  # report: what it says; doubt is NaN
        text: Literal["auto", "report", "findings", "impression", "progression"] = "auto",
        gaze: bool = True,  # a reading of each image and the maps; without them it is faster
        masks: bool = True,
    ) -> None:
        super().__init__()
        self.seed, self.size, self.of = seed, size, of or size
        self.n = dict(zip(SPLITS, (n_train, n_validation, n_test), strict=True))
        self.min_feature = min_feature_mm or cxr.least_feature(self.of)
        self.views, self.pairs, self.target, self.changed = tuple(views), pairs, target, changed
        self.longtail, self.balanced, self.equalise = longtail, balanced, equalise
        self.label_source, self.text = labels, text
        self.gaze, self.masks = gaze, masks
        self.label_names = [*LABELS, *(LONG_TAIL if longtail else ())]
        self._splits: dict[str, PhantomSplit] = {}

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = []
        if self.size < 16 or self.of % self.size:
            mistakes.append(
                f"size={self.size}, of={self.of}: size is at least 16 and divides `of`."
            )
        mistakes += [f"n_{name}={n} is negative." for name, n in self.n.items() if n < 0]
        wrong = [view for view in self.views if view not in PROJECTIONS]
        if wrong or not self.views:
            mistakes.append(f"views={list(self.views)}: give some of {', '.join(PROJECTIONS)}.")
        if self.pairs and (self.longtail or self.balanced):
            mistakes.append("pairs=true goes without longtail and balanced; set them to false.")
        if self.longtail and self.label_source == "report":
            mistakes.append("labels=report has no long-tail classes; set longtail=false.")
        return mistakes

    def split(self, name: str) -> "PhantomSplit":
        if name not in SPLITS:
            raise UserError(
                f"split {name} does not exist{nearest(name, SPLITS)} Known: {', '.join(SPLITS)}."
            )
        mistakes = self.check()
        if mistakes:
            raise UserError(*mistakes)
        if name not in self._splits:
            self._splits[name] = PhantomSplit(self, name)
        return self._splits[name]

    def place(self, split: str, subject: int) -> Address:
        """Where a subject's first study is drawn from."""
        return cxr.address(self.seed, split, subject)

    def rows(self, split: str) -> list[Row]:
        """What the samples of a split are drawn from."""
        found: list[Row] = []
        for subject in range(self.n[split]):
            found += self._pairs(split, subject) if self.pairs else [self._row(split, subject)]
        return found

    def _row(self, split: str, subject: int) -> Row:
        place = self.place(split, subject)
        name = self._class(split, subject) if self.longtail else ""
        study = cxr.draw_study(
            place,
            min_feature=self.min_feature,
            projection=cxr.draw_view(place, self.views),
            set=cxr.single(name) if name else None,
            longtail=self.longtail,
            balanced=self.balanced,
        )
        return Row(study, None, name)

    def _class(self, split: str, subject: int) -> str:
        """Of a shuffled deck with 8, 3 or 1 of a class; outside training all in turn."""
        if split != "train":
            return list(CLASS_GROUPS)[subject % len(CLASS_GROUPS)]
        deck = [f"{copy} {name}" for count, names in GROUPS.values() for name in names
                for copy in range(count)]  # fmt: skip
        number, card = divmod(subject, len(deck))
        return self.place(split, number).stream(DECK_STREAM).shuffled(deck)[card].partition(" ")[2]

    def _pairs(self, split: str, subject: int) -> list[Row]:
        """Consecutive visits of a subject, of whom there are at least two."""
        place = self.place(split, subject)
        visits = cxr.journey(place, min_feature=self.min_feature)
        if len(visits) < 2:
            visits = cxr.journey(place, min_feature=self.min_feature, visits=2)
        return [
            Row(later, prior, "")
            for prior, later in pairwise(visits)
            if not self.changed or set(later.changes.values()) - {"stable"}
        ]


class PhantomSplit:
    """The samples of one split; a study is drawn when first asked for and kept."""

    def __init__(self, module: PhantomCxr, name: str) -> None:
        self.module, self.name = module, name
        self._rows = module.rows(name)
        self._drawn: dict[int, Drawn] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        drawn, sample = self._draw(index), self.describe(index)
        prior = np.full((1, *drawn.image.shape), BLANK, np.float32)
        sample["image"] = _unit(drawn.image)
        sample["prior_image"] = prior if drawn.prior is None else _unit(drawn.prior)
        if self.module.masks:
            shape = drawn.image.shape
            sample["masks"] = {
                name: np.unpackbits(drawn.masks[name], axis=1, count=shape[1])[None]
                if name in drawn.masks
                else np.zeros((1, *shape), np.uint8)
                for name in (*ANATOMY, *FINDINGS)
            }
        if drawn.gaze is not None:
            sample["gaze"] = drawn.gaze.copy()
            sample["controls"] = {
                name: values[None].copy() if name == "gaze_density" else as_control(values)
                for name, values in drawn.maps.items()
            }
        sample["meta"] |= _truth(self._rows[index])
        return sample

    def describe(self, index: int) -> Sample:
        """A sample without its arrays and parameters: nothing is drawn."""
        row, module = self._rows[index], self.module
        study = row.study
        report = write_report(study, study.place.stream(PURPOSES.index("report")))
        texts = _texts(row, report)
        subject = f"{self.name}{study.patient.subject:06d}"
        prior = {} if row.prior is None else {"days": round(study.days - row.prior.days, 3)}
        group = {"class": row.name, "group": CLASS_GROUPS[row.name]} if row.name else {}
        auto = "impression" if row.prior is None else "progression"
        return {
            "text": texts[auto if module.text == "auto" else module.text],
            "texts": texts,
            "labels": self._labels(row, report),
            "label_names": list(module.label_names),
            "prior_valid": np.bool_(row.prior is not None),
            "age": np.float32(study.age),
            "race": np.int64(study.patient.group),
            "sample_id": f"{subject}-{study.place.visit:02d}",
            "subject_id": subject,
            "meta": {"view": study.projection, "visit": study.place.visit} | prior | group,
        }

    def _labels(self, row: Row, report: Report) -> Array:
        names = self.module.label_names
        found: Mapping[str, float] = labels_of(row.study, self.module.longtail)
        if row.name:
            found = {name: float(name == row.name) for name in names}
        if self.module.label_source == "report":
            found = {name: v for name, v in report.mentions.items() if v >= 0}
        return np.array([found.get(name, np.nan) for name in names], np.float32)

    def _draw(self, index: int) -> Drawn:
        found = self._drawn.get(index)
        if found is None:
            found = self._render(self._rows[index])
            size = found.image.nbytes * (10 if self.module.gaze else 2)
            if len(self._drawn) * size < MEMORY:
                self._drawn[index] = found
        return found

    def _render(self, row: Row) -> Drawn:
        module, study = self.module, row.study
        shown, prior = study, None
        if row.prior is not None:
            prior = self._picture(row.prior)[0]
            shown = study if module.target == "raw" else cxr.counterfactual(study, row.prior)
        image, masks = self._picture(shown)
        if row.prior is not None and module.target == "registered":
            later, _ = self._picture(study)
            matrix = cxr.later_to_prior(study, row.prior)
            image = np.rint(warp(later, matrix, later.shape)).astype(np.uint8)
        packed = {name: np.packbits(mask, axis=1) for name, mask in masks.items()}
        looked, maps = self._look(shown, image, masks) if module.gaze else (None, {})
        return Drawn(image, prior, packed if module.masks else {}, looked, maps)

    def _picture(self, study: Study) -> tuple[Array, dict[str, Array]]:
        return cxr.render(study, self.module.size, self.module.of, self.module.equalise)

    def _look(
        self, study: Study, image: Array, masks: dict[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        """The fixations of the first reader that lie in the image, and the control maps."""
        size, of = image.shape[0], self.module.of
        reading = draw_reading(study, masks=masks if (size, of) == (GRID, GRID) else None)
        places = reading.fixations[:, :2]
        kept = (places >= 0).all(1) & (places <= 1).all(1) & ~reading.lost
        looked = reading.fixations[kept]
        spread = np.repeat(reading.degree[kept, None], 2, axis=1)
        maps = {name: controls.extract(name, image) for name in ("canny", "sobel", "gl")}
        maps["segmentation"] = masks["left lung"] | masks["right lung"]
        hva = controls.attention(looked, size, size)
        maps["hva"] = np.rint(hva * 255).astype(np.uint8)
        density = controls.density(looked, spread, size, size, reading.shown[kept])
        return looked.astype(np.float32), maps | {"gaze_density": density}


def _texts(row: Row, report: Report) -> dict[str, str]:
    """Report, its two sections, and what has changed; without a prior the impression."""
    found = {"report": report.text} | {k: report.sections[k] for k in ("findings", "impression")}
    found["progression"] = found["impression"]
    if row.prior is not None:
        stream = row.study.place.stream(PURPOSES.index("progression"))
        found["progression"] = write_progression(row.prior, row.study, stream)
    return found


def _unit(pixels: Array) -> Array:
    """(H, W) 8-bit levels as (1, H, W) float32 in [-1, 1]."""
    return pixels[None].astype(np.float32) / np.float32(127.5) - np.float32(1)


def _truth(row: Row) -> dict[str, str | float]:
    return {f"truth.{name}": value for name, value in cxr.truth_of(row.study).items()}
