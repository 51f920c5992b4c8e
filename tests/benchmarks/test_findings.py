"""The chest judge that protocols measure with: every finding of the phantom is learnt."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.metrics.classification import area
from benchmarks.speed.findings import ASKED, fit_judge, judged
from datamodules.phantom_cxr import PhantomCxr
from lit_models.backbones.classifier import open_classifier


@pytest.mark.slow
def test_every_finding_is_learnt_in_minutes(out: Path) -> None:
    judge = open_classifier(fit_judge(out))
    fresh = PhantomCxr(n_test=2000, gaze=False, masks=False).split("test")
    scores, labels = judged(judge, fresh)
    areas = {n: area(scores[:, k], labels[:, k]) for k, n in enumerate(judge.label_names)}
    assert len(areas) == 14 and np.nanmin(list(areas.values())) >= ASKED, areas
