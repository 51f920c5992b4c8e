"""CheXpert-style labels of a report by rules: python -m datamodules.labeller in=FILE out=FILE

Of each label: 1 = said to be present, 0 = said to be absent, -1 = said with doubt, NaN = not
mentioned. Where a report says several things, present wins over doubt and doubt over absence.
No Finding is 1 where none of the twelve pathologies is present or doubtful, else NaN; an empty
text has no label at all. History and advice are no mention; `rule out` is doubt. As in CheXpert's
coding `likely`, `probable` and `consistent with` mean present; a heart or mediastinum that is
called normal is an absent finding, and clear lungs have no opacity."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from datamodules.labels import CANONICAL, SYNONYMS, decode_labels
from datamodules.mentions import find_mentions
from datamodules.tables import read_table
from medbench.core.errors import UserError
from medbench.core.files import atomic_path
from medbench.core.progress import Progress

VERSION = 4  # raised when the same text would get other labels
NO_FINDING, DEVICES = CANONICAL[0], CANONICAL[-1]
PATHOLOGIES = CANONICAL[1:-1]
VALUES = {"present": 1.0, "uncertain": -1.0, "absent": 0.0}  # the first that was said wins
CELLS = {1.0: "1.0", 0.0: "0.0", -1.0: "-1.0"}


def label_text(text: str) -> np.ndarray:
    """(14,) float32 in the canonical order: 1, 0, -1 or NaN."""
    return label_values(mentioned(text)) if text.strip() else np.full(14, np.nan, np.float32)


def mentioned(text: str) -> dict[str, float]:
    """1, 0 or -1 for each of the thirteen labels that a text mentions."""
    said: dict[str, set[str]] = {}
    for mention in find_mentions(text):
        said.setdefault(mention.label, set()).add(mention.status)
    strongest = {
        label: next((value for status, value in VALUES.items() if status in statuses), None)
        for label, statuses in said.items()
    }
    return {label: value for label, value in strongest.items() if value is not None}


def label_values(mentions: Mapping[str, float]) -> np.ndarray:
    """(14,) float32 out of mentions, with No Finding by its rule."""
    values = np.array([mentions.get(name, np.nan) for name in CANONICAL], np.float32)
    found = any(mentions.get(name) in (1.0, -1.0) for name in PATHOLOGIES)
    values[0] = np.nan if found else 1.0
    return values


def f1_scores(truth: Sequence[np.ndarray], given: Sequence[np.ndarray]) -> dict[str, float]:
    """F1 of each label, its three classes pooled: a mention of the wrong class is both a false
    alarm and a miss, a blank on both sides counts nowhere; NaN where neither side mentions it."""
    right, missed, invented = _counts(np.stack(truth), np.stack(given))
    total = 2 * right + missed + invented
    scores = np.divide(2 * right, total, out=np.full(len(total), np.nan), where=total > 0)
    return dict(zip(CANONICAL, scores.tolist(), strict=True))


def _counts(truth: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each label: mentions that agree, that were not found as they are, that were invented."""
    agree = truth == given
    missed = ~np.isnan(truth) & ~agree
    invented = ~np.isnan(given) & ~agree
    return agree.sum(0).astype(float), missed.sum(0), invented.sum(0)


def read_labels(path: Path, key: str = "study_id") -> dict[str, np.ndarray]:
    """Labels that another labeller wrote (CheXpert, CheXbert): (14,) float32 by the key column.

    Cells are 1, 0, -1 and blank; columns go by name, so their order does not matter. A key may
    also be the column of texts that such a tool writes in place of a number."""
    labels: dict[str, np.ndarray] = {}
    for number, row in enumerate(read_table(path, [key], optional=[*CANONICAL, *SYNONYMS]), 2):
        name, where = row[key].strip(), f"{path}, row {number}"
        values = decode_labels(row, CANONICAL, "keep", "nan", where)
        if not np.array_equal(labels.setdefault(name, values), values, equal_nan=True):
            raise UserError(f"{where}: {key} {name} stands twice with other labels; keep one row.")
    return labels


def write_labels(path: Path, key: str, names: Iterable[str], texts: Iterable[str]) -> None:
    """A CSV of labels, one row for each text."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([key, *CANONICAL])
        for name, text in zip(names, texts, strict=True):
            writer.writerow([name, *(CELLS.get(float(v), "") for v in label_text(text))])


def main(arguments: Sequence[str]) -> None:
    """Label the column `text` of a table; its first column names the rows."""
    settings = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if set(settings) != {"in", "out"} or len(settings) != len(arguments):
        raise UserError(
            "Type: python -m datamodules.labeller in=FILE out=FILE; FILE is a CSV or JSONL with "
            "the columns study_id and text."
        )
    rows = read_table(Path(settings["in"]), ["study_id", "text"])
    with Progress("label reports", len(rows), unit="report") as bar:
        texts = (bar.update() or row["text"] for row in rows)  # type: ignore[func-returns-value]
        write_labels(Path(settings["out"]), "study_id", [row["study_id"] for row in rows], texts)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"{error}")
