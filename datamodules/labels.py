"""The fourteen labels of chest radiographs, and how files write them."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from medbench.core.errors import UserError

Uncertain = Literal["nan", "zero", "one", "keep"]
Blank = Literal["nan", "zero"]

CANONICAL = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
SYNONYMS = {"Airspace Opacity": "Lung Opacity"}
_CODES: dict[str, float | str] = {"": "blank", "1": 1.0, "0": 0.0, "-1": "uncertain"}
_UNCERTAIN = {"nan": np.nan, "zero": 0.0, "one": 1.0, "keep": -1.0}
_BLANK = {"nan": np.nan, "zero": 0.0}


def decode_labels(
    row: Mapping[str, str],
    names: Sequence[str] = CANONICAL,
    uncertain: Uncertain = "nan",
    blank: Blank = "nan",
    where: str = "",
) -> np.ndarray:
    """(len(names),) float32 out of a row's cells 1, 0, -1 and blank; NaN = unlabelled.

    `where` names file and row for the error of any other cell."""
    return np.array([_decode(row, name, uncertain, blank, where) for name in names], np.float32)


def _decode(
    row: Mapping[str, str], name: str, uncertain: Uncertain, blank: Blank, where: str
) -> float:
    cell = row[column_of(row, name, where)].strip()
    code = _CODES.get(cell.removesuffix(".0") if cell else "")
    if code is None:
        raise UserError(
            f"{where}: {name} is {cell!r}; a label is 1, 0, -1 (doubt) or blank. Mend the cell."
        )
    if code == "uncertain":
        return _UNCERTAIN[uncertain]
    return _BLANK[blank] if code == "blank" else float(code)


def column_of(row: Mapping[str, str], name: str, where: str = "") -> str:
    """The column that holds a canonical label: its own name or a synonym's."""
    for column in (name, *(other for other, known in SYNONYMS.items() if known == name)):
        if column in row:
            return column
    raise UserError(f"{where}: the label column {name} is missing. It has: {', '.join(row)}.")


def label_columns(header: Sequence[str]) -> list[str]:
    """The columns of a header that hold one of the fourteen, as the file spells them."""
    known = {*CANONICAL, *SYNONYMS}
    return [column for column in header if column in known]
