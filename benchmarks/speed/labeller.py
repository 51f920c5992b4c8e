"""F1 of the report labeller, label by label: python -m benchmarks.speed.labeller [reports=4000]

Against what phantom reports mention, and against the sentences written by hand in
tests/datamodules/sentences.csv. Classes are pooled: a mention of the wrong class (present, absent,
doubt) counts as a false alarm and as a miss. The last columns are the three classes alone. Errors
on every part of the sentences but held3 were looked at, so held3 gives the figure."""

import csv
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from datamodules.labeller import f1_scores, label_text, label_values
from datamodules.labels import CANONICAL
from datamodules.phantom import cxr
from datamodules.phantom.cxr_report import write_report
from datamodules.phantom.cxr_study import PURPOSES

SENTENCES = Path("tests/datamodules/sentences.csv")
CLASSES = {"positive": 1.0, "negative": 0.0, "uncertain": -1.0}  # by column, in the CheXpert coding
Labels = np.ndarray  # (n, 14): 1, 0, -1 or NaN
Table = list[dict[str, float]]  # a column: F1 by label


def main() -> None:
    settings = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    texts, truth = zip(
        *itertools.islice(reports(), int(settings.get("reports", 4000))), strict=True
    )
    began = time.process_time()
    given = [label_text(text) for text in texts]
    rate = len(texts) / (time.process_time() - began)
    print(f"{len(texts)} phantom reports, {rate:.0f} a second on one core\n")
    print_table(np.stack(truth), np.stack(given))
    for part in halves():
        texts, truth = zip(*sentences((part,)), strict=True)
        print(f"\n{len(texts)} sentences written by hand ({part})\n")
        print_table(np.stack(truth), np.stack([label_text(text) for text in texts]))


def reports() -> Iterator[tuple[str, Labels]]:
    """Findings and impression of every study of phantom patients, and what they mention."""
    for subject in itertools.count():
        place = cxr.address(2, "test", subject)
        for study in cxr.journey(place, min_feature=5.0):
            report = write_report(study, study.place.stream(PURPOSES.index("report")))
            said = [report.mentions.get(name, np.nan) for name in CANONICAL]
            text = f"{report.sections['findings']} {report.sections['impression']}"
            yield text, np.array(said, np.float32)


def halves() -> list[str]:
    """The parts of the table of sentences, in its order."""
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        return list(dict.fromkeys(row["half"] for row in csv.DictReader(file)))


def sentences(parts: Sequence[str]) -> Iterator[tuple[str, Labels]]:
    """Sentences of some parts of the table, with the labels that a person gave them."""
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["half"] in parts:
                said = {n: v for part, v in CLASSES.items() for n in row[part].split("; ") if n}
                yield row["sentence"], label_values(said)


def print_table(truth: Labels, given: Labels) -> None:
    """Markdown: F1 pooled and of each class alone, mentions; least, mean and pooled over labels."""
    columns: Table = [f1_scores(list(truth), list(given))]
    for value in CLASSES.values():
        true, said = (np.where(labels == value, value, np.nan) for labels in (truth, given))
        columns.append(f1_scores(list(true), list(said)))
    print(f"| label | F1 | {' | '.join(CLASSES)} | mentions |\n| --- | --- |{' --- |' * 4}")
    for place, name in enumerate(CANONICAL):
        cells = " | ".join(_shown(column[name]) for column in columns)
        print(f"| {name} | {cells} | {int((~np.isnan(truth[:, place])).sum())} |")
    for label, fold in (("least", np.nanmin), ("mean", np.nanmean)):
        cells = " | ".join(_shown(float(fold(list(column.values())))) for column in columns)
        print(f"| {label} | {cells} | |")
    mentions, found = ((~np.isnan(labels[:, 1:])).sum() for labels in (truth, given))
    pooled = 2 * (truth[:, 1:] == given[:, 1:]).sum() / (mentions + found)
    print(f"| all mentions | {pooled:.3f} | | | | {mentions} |")


def _shown(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


if __name__ == "__main__":
    main()
