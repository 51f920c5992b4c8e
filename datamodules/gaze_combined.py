"""REFLACX and Eye Gaze Data together: the training and the test images of RadGazeGen."""

from collections import Counter
from functools import cached_property
from typing import Literal

from datamodules.base import expand
from datamodules.controls import SIGMA
from datamodules.eye_gaze_cxr import KEY as EYE_GAZE
from datamodules.eye_gaze_cxr import TREE as EYE_GAZE_TREE
from datamodules.eye_gaze_cxr import EyeGazeCxr
from datamodules.gaze import Case, Focus, Look, Source, Weight
from datamodules.gaze_dataset import YIELDS, GazeData, Pair, cut_validation
from datamodules.geometry import Fit, Mode
from datamodules.inspection import Expect
from datamodules.labels import Blank, Uncertain
from datamodules.reflacx import KEY as REFLACX
from datamodules.reflacx import TREE as REFLACX_TREE
from datamodules.reflacx import Reflacx
from datamodules.splits import hash_share

KEY = "gaze_combined"


class GazeCombined(GazeData):
    """Eye Gaze Data and REFLACX's phase 3 train, REFLACX's phases 1 and 2 are for test.

    An image that is in both is taken from REFLACX. paper_split: subjects of test may train, as in
    the paper, which removes repeated images only; otherwise they are dropped from training."""

    version = 1
    yields = YIELDS
    citation = f"{Reflacx.citation}; {EyeGazeCxr.citation}"
    split_source = "RadGazeGen's, computed; without the subjects of test unless paper_split"
    tree = f"{EYE_GAZE_TREE}\n{REFLACX_TREE}"
    with_masks = False  # one has ellipses, the other anatomy

    def __init__(
        self,
        root: str,
        size: int = 512,
        fit: Mode = "stretch",
        text: Literal["transcription", "report"] = "transcription",
        gaze: Literal["fixations", "samples"] = "fixations",
        test_reader: Literal["pooled", "first", "each"] = "pooled",
        sigma: float = SIGMA,  # of the attention map, as a share of the width
        weight: Weight = "count",
        focus: Focus = "all",
        uncertain: Uncertain = "nan",
        blank: Blank = "nan",
        paper_split: bool = False,
        val_fraction: float = 0.05,
        images: str | None = None,
        reports: str | None = None,
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of images to leave out, one path a line
        prepared: str | None = None,
    ) -> None:
        look = Look(Fit(size, fit), sigma, weight, focus)
        super().__init__(root, images, look, expect, bad_files, prepared)
        self.reflacx = Reflacx(
            root,
            text=text,
            gaze=gaze,
            test_reader=test_reader,
            images=images,
            reports=reports,
            expect=expect,
        )
        self.eye_gaze = EyeGazeCxr(
            root,
            text=text,
            gaze=gaze,
            uncertain=uncertain,
            blank=blank,
            images=images,
            reports=reports,
            expect=expect,
        )
        self.paper_leak, self.val_fraction = paper_split, val_fraction
        self.reports_root = expand(reports) if reports else self.root

    def sources(self) -> dict[str, Source]:
        return {REFLACX: self.reflacx.source, EYE_GAZE: self.eye_gaze.source}

    def count_mistakes(self) -> list[str]:
        return self.reflacx.count_mistakes() + self.eye_gaze.count_mistakes()

    @cached_property
    def parts(self) -> tuple[list[Case], list[Case], list[Case]]:
        """Training cases of the two releases without repeated images, and test cases."""
        train, test = self.reflacx.cases()
        known = {case.dicom_id for case in (*train, *test)}
        own = [case for case in self.eye_gaze.cases if case.dicom_id not in known]
        return own, train, test

    def assign(self) -> dict[str, list[Pair]]:
        own, train, test = self.parts
        both = len(self.eye_gaze.cases) - len(own)
        self.note(
            f"{len(self.eye_gaze.cases)} images of {EYE_GAZE}, {len(train)} readings of {REFLACX}"
        )
        self.note(f"{both} dropped from {EYE_GAZE}: their image is in {REFLACX}")
        pairs: list[Pair] = [(self.eye_gaze.source, case) for case in own]
        pairs += [(self.reflacx.source, case) for case in train]
        self.note(f"{len(pairs)} for training, {len(test)} for test")
        held = {case.subject_id for case in test}
        shared = Counter(case.subject_id in held for _, case in pairs)[True]
        if self.paper_leak:
            self.note(f"{shared} for training are of subjects that are in test (paper_split)")
        else:
            pairs = [pair for pair in pairs if pair[1].subject_id not in held]
            self.note(f"{shared} dropped: their subject is in test")
        rest, validation = cut_validation(pairs, self._is_held_out)
        return {
            "train": rest,
            "validation": validation,
            "test": [(self.reflacx.source, case) for case in test],
        }

    def _is_held_out(self, subject: str) -> bool:
        return hash_share(KEY, subject) < self.val_fraction
