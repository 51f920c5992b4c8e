"""REFLACX's two label sets, the certainties they hold, and what they are in the fourteen."""

from collections.abc import Mapping

import numpy as np

from datamodules.labels import CANONICAL
from medbench.core.errors import UserError

PRESENT = 3  # the least certainty that counts: possibly
SET_A = (
    "Airway wall thickening",
    "Atelectasis",
    "Consolidation",
    "Emphysema",
    "Enlarged cardiac silhouette",
    "Fibrosis",
    "Fracture",
    "Groundglass opacity",
    "Mass",
    "Nodule",
    "Other",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary edema",
    "Quality issue",
    "Support devices",
    "Wide mediastinum",
)
SET_B = (
    "Abnormal mediastinal contour",
    "Acute fracture",
    "Atelectasis",
    "Consolidation",
    "Enlarged cardiac silhouette",
    "Enlarged hilum",
    "Groundglass opacity",
    "Hiatal hernia",
    "High lung volume / emphysema",
    "Interstitial lung disease",
    "Lung nodule or mass",
    "Other",
    "Pleural abnormality",
    "Pneumothorax",
    "Pulmonary edema",
    "Support devices",
)
SETS = {1: SET_A, 2: SET_B, 3: SET_B}  # by phase
TRUTHS = ("Support devices", "Quality issue")  # True or False instead of a certainty
TEXTS = ("Other",)  # entries joined with a bar
NO_FINDING = (*TRUTHS, *TEXTS)  # what is no finding, or is asked apart
# Every opacity is also Lung Opacity, as in the canonical fourteen.
MEANING = {
    "Abnormal mediastinal contour": ("Enlarged Cardiomediastinum",),
    "Wide mediastinum": ("Enlarged Cardiomediastinum",),
    "Acute fracture": ("Fracture",),
    "Fracture": ("Fracture",),
    "Atelectasis": ("Atelectasis", "Lung Opacity"),
    "Consolidation": ("Consolidation", "Lung Opacity"),
    "Enlarged cardiac silhouette": ("Cardiomegaly",),
    "Groundglass opacity": ("Lung Opacity",),
    "Lung nodule or mass": ("Lung Lesion", "Lung Opacity"),
    "Mass": ("Lung Lesion", "Lung Opacity"),
    "Nodule": ("Lung Lesion", "Lung Opacity"),
    "Pleural abnormality": ("Pleural Effusion",),  # or thickening: the set does not say
    "Pleural effusion": ("Pleural Effusion",),
    "Pleural thickening": ("Pleural Other",),
    "Pneumothorax": ("Pneumothorax",),
    "Pulmonary edema": ("Edema", "Lung Opacity"),
    "Support devices": ("Support Devices",),
}
MAPPED = tuple(n for n in CANONICAL if any(n in names for names in MEANING.values()))


def read_certainties(row: Mapping[str, str], phase: int, where: str) -> dict[str, float]:
    """Certainty 0 to 5 of each label of a phase's set; a truth is 0 or 5, text 5 where it is."""
    found = {}
    for name in SETS[phase]:
        cell = row[name].strip()
        if name in TEXTS:
            found[name] = 5.0 if cell else 0.0
        elif name in TRUTHS:
            found[name] = 5.0 * read_truth(cell, name, where)
        else:
            value = cell.removesuffix(".0")
            if value not in ("0", "1", "2", "3", "4", "5"):
                raise UserError(
                    f"{where}: {name} is {cell!r}; a certainty is 0 (absent) to 5 (consistent "
                    "with). Mend the cell, or fetch the table again."
                )
            found[name] = float(value)
    return found


def read_truth(cell: str, name: str, where: str) -> bool:
    """True or False as the release writes them."""
    value = {"true": True, "false": False, "1": True, "0": False}.get(cell.strip().lower())
    if value is None:
        raise UserError(f"{where}: {name} is {cell!r}; it is True or False. Mend the cell.")
    return value


def to_canonical(certainties: Mapping[str, float]) -> np.ndarray:
    """(14,) float32, 1 = certainty of at least 3; NaN where no label of the set stands for it.

    No Finding: every finding of the set is absent, those without a counterpart and Other too."""
    found = dict.fromkeys(CANONICAL, np.nan)
    for name, certainty in certainties.items():
        for canonical in MEANING.get(name, ()):
            found[canonical] = np.fmax(found[canonical], float(certainty >= PRESENT))
    if certainties.get("Pleural abnormality", PRESENT) < PRESENT:
        found["Pleural Other"] = 0.0
    findings = [value for name, value in certainties.items() if name not in NO_FINDING]
    none = max(findings, default=0) < PRESENT and not certainties.get("Other", 0)
    found["No Finding"] = float(none)
    return np.array(list(found.values()), np.float32)
