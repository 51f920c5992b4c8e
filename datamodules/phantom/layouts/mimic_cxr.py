"""MIMIC-CXR's reports as text files or as the release's zip, with its two lists."""

import textwrap
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from datamodules.phantom.layouts.mimic_cohort import Visit, draw_cohort, truths
from datamodules.phantom.layouts.mimic_files import save
from datamodules.phantom.writing import Traps, write_truth

VERSION = 1
QUIRKS = {
    "leading_blanks": "every line begins with a blank, the title far from it",
    "wrapped": "lines end at 79 columns, in the middle of sentences",
    "de_identified": "names, dates and places are ___",
    "no_impression": "findings alone",
    "no_findings": "an impression alone",
    "neither": "a paragraph without a heading",
    "misspelled_heading": "IMPRESSON and FINDNGS",
    "joint_heading": "FINDINGS AND IMPRESSION",
    "addendum": "an addendum above a line of underscores",
    "wet_read": "a wet read with an impression of its own, before the final text",
    "empty_file": "a report of no bytes",
    "heading_in_sentence": "a word in capitals with a colon inside a sentence",
}
WIDTH = 79
TITLE = "FINAL REPORT".rjust(45)
ASIDE = "The request reads IMPRESSION: as before."
WET = "Nothing acute."
ADDENDUM = "The time of the study was corrected by ___."


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    reports: Literal["files", "zip"] = "files",
) -> None:
    """The reports of the studies of n films; no film is written."""
    visits = draw_cohort(n, seed, size, traps)
    write_reports(dest, visits, packed=reports == "zip")
    write_truth(dest, truths(visits))


def write_reports(dest: Path, visits: Sequence[Visit], packed: bool) -> None:
    """The texts, or mimic-cxr-reports.zip, and the lists of studies and records."""
    folder = dest / "mimic-cxr" / "2.0.0"
    folder.mkdir(parents=True, exist_ok=True)
    studies = [(v.subject_id, v.study_id, f"files/{v.folder}.txt") for v in visits]
    records = [
        (v.subject_id, v.study_id, film.dicom_id, f"files/{v.folder}/{film.dicom_id}.dcm")
        for v in visits
        for film in v.films
    ]
    save(folder / "cxr-study-list.csv.gz", ("subject_id", "study_id", "path"), studies)
    save(folder / "cxr-record-list.csv.gz", ("subject_id", "study_id", "dicom_id", "path"), records)
    texts = {path: typeset(visit) for visit, (_, _, path) in zip(visits, studies, strict=True)}
    if packed:
        with zipfile.ZipFile(folder / "mimic-cxr-reports.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for path, text in texts.items():
                file.writestr(zipfile.ZipInfo(path, (2019, 9, 19, 0, 0, 0)), text)
    else:
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")


def typeset(visit: Visit) -> str:
    """The report of a study as its file, with the study's quirks."""
    traps = visit.traps
    if "empty_file" in traps:
        return ""
    blocks = [TITLE, *_blocks(visit.report.sections, traps)]
    text = "\n\n".join(blocks) + "\n"
    if "wet_read" in traps:
        wet = f"{_paragraph('WET READ', '___ 8:05 AM')}\n\n{_paragraph('IMPRESSION', WET)}"
        text = text.replace(TITLE, f"{TITLE}\n\n{wet}", 1)
    if "addendum" in traps:
        rule = " " + "_" * 60
        text = f"{TITLE}\n\n{_paragraph('ADDENDUM', ADDENDUM)}\n\n{rule}\n\n{text}"
    return text


def _blocks(sections: Mapping[str, str], traps: frozenset[str]) -> list[str]:
    """The sections as paragraphs, under the headings that the quirks ask for."""
    found = {name.upper(): text for name, text in sections.items()}
    found["COMPARISON"] = "___." if not found.get("COMPARISON") else found["COMPARISON"]
    findings, impression = found.pop("FINDINGS", ""), found.pop("IMPRESSION", "")
    if "heading_in_sentence" in traps:
        findings = f"{findings} {ASIDE}"
    blocks = [_paragraph(name, text) for name, text in found.items() if text]
    if "neither" in traps:
        return [*blocks, _paragraph("", impression or findings)]
    if "joint_heading" in traps:
        return [*blocks, _paragraph("FINDINGS AND IMPRESSION", f"{findings} {impression}")]
    wrong = "misspelled_heading" in traps
    if findings and "no_findings" not in traps:
        blocks.append(_paragraph("FINDNGS" if wrong else "FINDINGS", findings))
    if impression and "no_impression" not in traps:
        blocks.append(_paragraph("IMPRESSON" if wrong else "IMPRESSION", impression))
    return blocks


def _paragraph(heading: str, text: str) -> str:
    """A heading and its text, wrapped, with a blank before each line."""
    whole = f"{heading}:  {text}" if heading else text
    lines = textwrap.wrap(whole, WIDTH - 1, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f" {line}" for line in lines)
