"""AUROC of each finding: what the judge of chest radiographs learns on phantoms, in minutes.

    python -m benchmarks.speed.findings [out=outputs] [studies=4000]

The judge is the one that the protocols measure with (`cxr_judge`), fitted once under `out=` as by a
run; the studies are fresh, PA and AP, with findings as frequent as the phantom draws them."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.metrics.classification import area
from datamodules.base import Split
from datamodules.phantom_cxr import PhantomCxr
from lit_models.backbones.classifier import open_classifier
from medbench.core.errors import UserError
from medbench.library import Library
from medbench.measurement import compose_measurement, fit_extractors

JUDGE = "stage:cxr_judge"
ASKED = 0.95
BATCH = 100


def main() -> None:
    settings = {"out": "outputs", "studies": "4000"}
    settings |= dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    out, count = Path(settings["out"]), int(settings["studies"])
    began = time.process_time()
    folder = fit_judge(out)
    spent = time.process_time() - began
    judge = open_classifier(folder)
    scores, labels = judged(judge, PhantomCxr(n_test=count, gaze=False, masks=False).split("test"))
    print(f"{folder.name}: {spent / 60:.1f} minutes of the processor; {count} fresh studies")
    print("| finding | AUROC | present |\n| --- | --- | --- |")
    values = [area(scores[:, k], labels[:, k]) for k in range(len(judge.label_names))]
    for name, value, present in zip(judge.label_names, values, labels.sum(0), strict=True):
        print(f"| {name} | {value:.3f}{' *' * (value < ASKED)} | {int(present)} |")
    print(f"| mean; least | {np.mean(values):.3f}; {min(values):.3f} | |")


def fit_judge(out: Path) -> Path:
    """The folder of the fitted judge: found, or fitted now."""
    words = ["protocol=cxr_quick", "data=phantom_cxr", f"out={out}"]
    library = Library()
    plan = fit_extractors(compose_measurement(words, library, "paper"), library)
    return plan.stage(JUDGE).folder


def judged(judge: Any, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """(n, K) probabilities and (n, K) labels of every sample, in the judge's order of labels."""
    names = list(split[0]["label_names"])
    missing = [name for name in judge.label_names if name not in names]
    if missing:
        raise UserError(f"The data has no labels {', '.join(missing)}.")
    columns = [names.index(name) for name in judge.label_names]
    scores, labels = [], []
    for start in range(0, len(split), BATCH):
        samples = [split[i] for i in range(start, min(start + BATCH, len(split)))]
        images = torch.from_numpy(np.stack([sample["image"] for sample in samples]))
        scores.append(judge.scores(images).numpy())
        labels.append(np.stack([sample["labels"][columns] for sample in samples]))
    return np.concatenate(scores), np.concatenate(labels)


if __name__ == "__main__":
    main()
