"""The chest CT phantom as a dataset: drawn volumes with masks, reports and labels."""

from typing import Any, Literal

import numpy as np

from datamodules.base import DataModule, Level
from datamodules.phantom import ct
from datamodules.phantom.ct_findings import FINDINGS
from datamodules.phantom.ct_grid import EXTENT, cube
from datamodules.phantom.ct_patient import PURPOSES
from datamodules.phantom.ct_scene import Scene, draw_scene
from datamodules.phantom.ct_words import (
    LABELS,
    Report,
    image_labels,
    prompt_pair,
    report_labels,
    write_report,
)
from datamodules.phantom.streams import SPLITS, Address
from medbench.core.batch import Sample
from medbench.core.errors import UserError, nearest

MEMORY = 512 * 2**20  # bytes of drawn volumes that a split keeps; beyond that it draws again
REPORTS = "reports"  # a split of texts without volumes, for stages that read text alone
FIRST_REPORT = 1 << 24  # the subjects of that split are nobody else's
Section = Literal["findings_impression", "findings", "impression"]


class PhantomCt(DataModule):
    """Cartoon chest CTs whose every volume, ratio and share is known.

    It imitates geometry, densities and reports, not clinical appearance. Besides the three splits,
    split("reports") gives texts without volumes."""

    version = ct.VERSION
    modality = "ct"
    bits = 16
    yields = (
        "image",
        "text",
        "texts",
        "texts.findings",
        "texts.impression",
        "texts.report",
        "labels",
        "label_names",
        "masks",
        "spacing_mm",
        "age",
        "sample_id",
        "subject_id",
        "meta",
    )
    phantom = True
    licence = "none needed: generated"
    citation = "medbench phantom; grid and window after MedSyn, labels after CT-RATE"
    split_source = "drawn: every split has random streams of its own"
    location = ()

    def __init__(
        self,
        seed: int = 0,
        size: int = 64,
        of: int = 256,  # the grid that a volume takes every (of/size)-th voxel of; 0 = size
        min_feature_mm: float = 0.0,  # least width of anything thin; 0 = 2.5 voxels of `of`
        n_train: int = 120,
        n_validation: int = 24,
        n_test: int = 48,
        text_only: int = 200,
        window: tuple[float, float] = (-1024.0, 600.0),  # HU at -1 and at 1
        section: Section = "findings_impression",
        labels: Literal["image", "report"] = "image",  # what the volume shows, or the report says
        prompts: Literal["own", "effusion", "bullae", "cardiomegaly"] = "own",
        balanced: bool = False,  # every finding at one half: for a judge
    ) -> None:
        """prompts: with any but own, each subject comes twice, with and without that finding."""
        super().__init__()
        self.seed, self.size, self.of = seed, size, of or size
        self.n = dict(zip(SPLITS, (n_train, n_validation, n_test), strict=True))
        self.n[REPORTS] = text_only
        self.least = min_feature_mm or ct.least_feature(self.of)
        self.window, self.section = window, section
        self.label_source, self.prompts, self.balanced = labels, prompts, balanced
        self._splits: dict[str, PhantomVolumes] = {}

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = []
        if self.size < 8 or self.of % self.size:
            mistakes.append(f"size={self.size}, of={self.of}: size is at least 8 and divides `of`.")
        mistakes += [f"n_{name}={n} is negative." for name, n in self.n.items() if n < 0]
        if len(self.window) != 2 or self.window[0] >= self.window[1]:
            mistakes.append(f"window={list(self.window)}: two values in HU, the lower one first.")
        return mistakes

    def split(self, name: str) -> "PhantomVolumes":
        if name not in self.n:
            raise UserError(
                f"split {name} does not exist{nearest(name, self.n)} Known: {', '.join(self.n)}."
            )
        mistakes = self.check()
        if mistakes:
            raise UserError(*mistakes)
        if name not in self._splits:
            self._splits[name] = PhantomVolumes(self, name)
        return self._splits[name]


class PhantomVolumes:
    """The volumes of one split; one is drawn when first asked for and kept."""

    def __init__(self, module: PhantomCt, name: str) -> None:
        self.module, self.name = module, name
        self._twice = module.prompts != "own" and name != REPORTS
        self._drawn: dict[int, ct.Volume] = {}
        self._told: dict[int, tuple[Scene, Report]] = {}
        spacing = [extent / module.size for extent in EXTENT]
        self._spacing = np.array(spacing, np.float32)

    def __len__(self) -> int:
        return self.module.n[self.name] * (2 if self._twice else 1)

    def __getitem__(self, index: int) -> Sample:
        sample = self.describe(index)
        if self.name == REPORTS:
            return sample
        volume, module = self._volume(index), self.module
        truth = {f"truth.{name}": value for name, value in volume.truth.items()}
        return sample | {
            "image": to_unit(volume.hu, module.window)[None],
            "masks": {name: mask.copy() for name, mask in volume.masks.items()},
            "spacing_mm": self._spacing.copy(),
            "meta": sample["meta"] | truth,
        }

    def describe(self, index: int) -> Sample:
        """A sample without its arrays and parameters: nothing is drawn."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        scene, report = self._text(index)
        texts = {
            "findings": report.findings,
            "impression": report.impression,
            "report": report.text,
            "findings_impression": f"{report.findings} {report.impression}",
        }
        found = image_labels(scene)
        if self.module.label_source == "report":
            found = report_labels(report.mentions)
        subject, variant = self._subject(index)
        name = f"{self.name}-{self.module.seed}-{subject:06d}"
        return {
            "text": texts[self.module.section],
            "texts": {key: texts[key] for key in ("findings", "impression", "report")},
            "labels": np.array([found[label] for label in LABELS], np.float32),
            "label_names": list(LABELS),
            "age": np.float32(scene.patient.age),
            "sample_id": f"{name}-{variant}" if variant else name,
            "subject_id": name,
            "meta": {"split": self.name, "sex": scene.patient.sex, "prompt": variant or "own"},
        }

    def _subject(self, index: int) -> tuple[int, str]:
        """The subject, and with or without the finding where it comes twice."""
        if not self._twice:
            return index, ""
        return index // 2, ("with", "without")[index % 2]

    def _place(self, subject: int) -> Address:
        if self.name == REPORTS:
            return ct.address(self.module.seed, "train", FIRST_REPORT + subject)
        return ct.address(self.module.seed, self.name, subject)

    def _text(self, index: int) -> tuple[Scene, Report]:
        if index not in self._told:
            subject, variant = self._subject(index)
            place = self._place(subject)
            wishes = self._halves(place) if self.module.balanced else {}
            deny: list[str] = []
            if variant:
                pair = prompt_pair(self.module.prompts)
                wishes |= pair.with_finding if variant == "with" else pair.without
                deny = [pair.finding]
            scene = draw_scene(place, self.module.least, wishes)
            self._told[index] = scene, write_report(scene, place, deny)
        return self._told[index]

    def _volume(self, index: int) -> ct.Volume:
        found = self._drawn.get(index)
        if found is None:
            module = self.module
            found = ct.render(self._text(index)[0], cube(module.size, module.of))
            nbytes = found.hu.nbytes + sum(mask.nbytes for mask in found.masks.values())
            if (len(self._drawn) + 1) * nbytes < MEMORY:
                self._drawn[index] = found
        return found

    def _halves(self, place: Address) -> dict[str, Any]:
        draw = place.stream(PURPOSES["pairs"])
        return {name: draw.chance(0.5) for name in FINDINGS}


def to_unit(hu: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """HU as float32 in [-1, 1]: the window's ends at -1 and 1, clipped."""
    low, high = window
    clipped = np.clip(hu.astype(np.float32), low, high)
    return (clipped - np.float32(low)) * np.float32(2 / (high - low)) - np.float32(1)
