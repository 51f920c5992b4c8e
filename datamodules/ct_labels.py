"""CT-RATE's eighteen labels out of a report by rules: python -m datamodules.ct_labels in=F out=F

A label is 1 where a phrase of it is said to be there or possibly there, else 0, as in the release,
whose labels are predicted from reports too. Fluid in the pericardium is no pleural effusion."""

import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.ct_rate import LABELS
from datamodules.negation import assertions, split_sentences
from datamodules.tables import read_table
from medbench.core.errors import UserError
from medbench.core.files import atomic_path

VERSION = 1
VESSEL = "aort(?:a|ic)|arterial|arteries|artery|vascular|atherosclero(?:tic|sis)"
CORONARY = "coronary"
CALCIUM = "calcifi(?:ed|cations?|c)|calcific|calcified plaques?"
PHRASES: dict[str, str] = {
    "Medical material": (
        "endotracheal tubes?|tracheostomy(?: tube| cannula)?|nasogastric tubes?|chest tubes?"
        "|drains?"
        "|(?:central venous |venous )?(?:port |port-?a-?cath )?catheters?|pacemakers?|stents?"
        "|(?:prosthetic|mechanical) valves?|sternal wires?|sternotomy sutures?|surgical clips?"
        "|leads?|icd|implants?"
    ),
    "Cardiomegaly": (
        "cardiomegaly|(?:heart|cardiac silhouette|heart size|heart dimensions)"
        "(?: (?:size|is|are|appears?|was))* (?:mildly |moderately |markedly |slightly )*"
        "(?:enlarged|increased)|enlarge(?:d|ment of the) (?:heart|cardiac silhouette)"
    ),
    "Pericardial effusion": (
        "pericardial (?:and pleural )?(?:effusions?|fluid)|(?:effusion|fluid) in the pericardi\\w+"
        "|fluid around the heart|pericardial or pleural effusions?"
    ),
    "Hiatal hernia": "hiatal hernias?|hiatus hernias?",
    "Lymphadenopathy": (
        "lymphadenopath(?:y|ies)|adenopathy"
        "|(?:enlarged|pathological(?:ly enlarged)?) (?:\\w+ )?lymph nodes?"
    ),
    "Emphysema": "emphysema(?:tous)?(?: (?:changes?|areas?))?|bullae?|bullous",
    "Atelectasis": "atelectas[ie]s|atelectatic|(?:lobar |lung )?collapse",
    "Lung nodule": "(?:micro)?nodul(?:es?|ar(?:ity)?)(?: (?:lesions?|opacit(?:y|ies)))?",
    "Lung opacity": (
        "(?:ground[- ]glass |airspace )?opacit(?:y|ies)|opacification|ground[- ]glass"
        "|infiltrat(?:es?|ions?)|consolidations?|consolidated|consolidative"
    ),
    "Pulmonary fibrotic sequela": (
        "fibro(?:tic|sis)|fibroatelectatic|(?:pleuroparenchymal )?sequel(?:a|ae|ar)(?: changes?)?"
        "|scarring"
    ),
    "Pleural effusion": (
        "(?:pleural )?effusions?(?: in the (?:\\w+ )?pleura\\w*)?|pleural fluid|hydrothorax"
    ),
    "Mosaic attenuation pattern": "mosaic (?:attenuation|perfusion|pattern)",
    "Peribronchial thickening": (
        "peribronchial (?:wall )?thickening|bronchial wall thickening"
        "|thickening of the bronchial walls?"
    ),
    "Consolidation": "consolidations?|consolidated|consolidative",
    "Bronchiectasis": "bronchiectas[ie]s|bronchiectatic",
    "Interlobular septal thickening": (
        "(?:interlobular )?septal thickening|thickening of the (?:interlobular )?septa"
    ),
}
OF_HEART = re.compile("pericardi")
NOT_LUNG = re.compile("thyroid|adrenal|hepatic|liver|breast|renal|surrenal")
_WORDS = {name: re.compile(rf"(?<![\w-])(?:{phrase})(?![\w])") for name, phrase in PHRASES.items()}
_CALCIUM, _CORONARY = re.compile(CALCIUM), re.compile(CORONARY)
_VESSEL = re.compile(VESSEL)
_PLAQUE = re.compile("atherosclero(?:tic|sis)|atheromatous plaques?")


def label_text(text: str) -> np.ndarray:
    """(18,) float32 of 0 and 1 in the release's order."""
    found: set[str] = set()
    for sentence in split_sentences(text):
        found |= labels_of(sentence)
    return np.array([float(name in found) for name in LABELS], np.float32)


def labels_of(sentence: str) -> set[str]:
    """The labels that one sentence says are there, or possibly there."""
    lowered = sentence.lower()
    places = [
        (name, match.span())
        for name, words in _WORDS.items()
        for match in words.finditer(lowered)
        if _counts(name, lowered, match)
    ]
    places += _calcium(lowered)
    said = assertions(sentence, [span for _, span in places])
    return {
        name
        for (name, _), status in zip(places, said, strict=True)
        if status in ("present", "uncertain")
    }


def _counts(name: str, sentence: str, match: re.Match[str]) -> bool:
    """Whether a phrase is of the organ that its label is about."""
    if name == "Pleural effusion":
        before = sentence[max(0, match.start() - 25) : match.start()]
        alone = OF_HEART.search(before) and "pleural" not in before + match.group()
        return not alone and "pericardi" not in sentence[match.end() : match.end() + 18]
    if name == "Lung nodule":
        return not NOT_LUNG.search(sentence)
    if name == "Lung opacity":
        return not re.match(r"(?: \w+){0,2} nodul", sentence[match.end() : match.end() + 30])
    return True


def _calcium(sentence: str) -> list[tuple[str, tuple[int, int]]]:
    """Calcium belongs to the coronary arteries, to other arteries, or to both if both are named."""
    found = []
    coronary = _CORONARY.search(sentence)
    rest = re.sub(r"coronary (?:artery|arteries|arterial)?(?: wall)?", " ", sentence)
    other = _VESSEL.search(rest)
    for match in [*_CALCIUM.finditer(sentence), *_PLAQUE.finditer(sentence)]:
        if coronary:
            found.append(("Coronary artery wall calcification", match.span()))
        if other:
            found.append(("Arterial wall calcification", match.span()))
    return found


def main(arguments: Sequence[str]) -> None:
    """Label the findings and impressions of a table of CT-RATE's columns."""
    given = dict(part.partition("=")[::2] for part in arguments)
    if set(given) != {"in", "out"}:
        raise UserError("Type: python -m datamodules.ct_labels in=reports.csv out=labels.csv")
    columns = ("VolumeName", "Findings_EN", "Impressions_EN")
    rows = read_table(Path(given["in"]), columns)
    with atomic_path(Path(given["out"])) as path, path.open("w", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["VolumeName", *LABELS])
        for row in rows:
            values = label_text(f"{row['Findings_EN']}\n\n{row['Impressions_EN']}")
            writer.writerow([row["VolumeName"], *values.astype(int).tolist()])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
