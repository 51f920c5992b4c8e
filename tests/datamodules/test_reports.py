"""Sections of reports: each irregularity of the files, typed by hand; every sentence invented."""

from pathlib import Path

import pytest

from datamodules.reports import choose_text, clean_text, parse_report, read_ranges, strip_priors
from medbench.core.errors import UserError

PLAIN = """\
                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old woman with cough  // infiltrate?

 COMPARISON:  ___

 FINDINGS:
 There is a small left pleural effusion. No
 pneumothorax.

 IMPRESSION:
 Small left pleural effusion, new since ___.
"""


def test_plain_report() -> None:
    sections = parse_report(PLAIN)
    assert sections == {
        "examination": "CHEST (PA AND LAT)",
        "indication": "___ year old woman with cough // infiltrate?",
        "comparison": "___",
        "findings": "There is a small left pleural effusion. No pneumothorax.",
        "impression": "Small left pleural effusion, new since ___.",
    }
    assert parse_report(PLAIN.replace("\n", "\r\n")) == sections


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("IMPRESSION", "impression"),
        ("IMPRESSON", "impression"),
        ("IMPRESION", "impression"),
        ("Impression", "impression"),
        ("CONCLUSIONS", "impression"),
        ("FINDNGS", "findings"),
        ("FINIDNGS", "findings"),
        ("CHEST, TWO VIEWS", "findings"),
        ("PA AND LATERAL VIEWS OF THE CHEST", "findings"),
        ("ICATION", "indication"),
        ("MEDICATION", "other"),
    ],
)
def test_heading_opens_its_section(heading: str, section: str) -> None:
    sections = parse_report(f" FINAL REPORT\n {heading}:  Lungs are clear.\n")
    assert sections[section] == "Lungs are clear."


def test_heading_alone_on_its_line() -> None:
    text = " TECHNIQUE:  Portable.\n\n IMPRESSION\n\n Clear lungs.\n"
    assert parse_report(text)["impression"] == "Clear lungs."


def test_joint_heading_is_both_sections_and_given_once() -> None:
    sections = parse_report(" FINDINGS AND IMPRESSION:  Mild edema. No effusion.\n")
    assert sections["findings"] == sections["impression"] == "Mild edema. No effusion."
    assert choose_text(sections, "findings_impression") == "Mild edema. No effusion."
    text = " WET READ:\n IMPRESSION: Clear.\n\n FINDINGS/IMPRESSION: Edema.\n"
    assert parse_report(text)["impression"] == "Edema."


def test_final_impression_wins_over_wet_read() -> None:
    text = (
        " WET READ: ___ ___ ___ 9:15 PM\n  IMPRESSION:  Clear.\n ______\n"
        "                                 FINAL REPORT\n IMPRESSION:  Small effusion.\n"
    )
    sections = parse_report(text)
    assert sections["impression"] == "Small effusion."
    assert sections["wet_read"].startswith("___")


def test_empty_last_section_keeps_the_earlier_text() -> None:
    assert parse_report(" IMPRESSION: Edema.\n\n IMPRESSION:\n")["impression"] == "Edema."


def test_addendum_is_kept_apart() -> None:
    text = (
        "                                 FINAL REPORT\n ADDENDUM  The tube was moved.\n\n"
        " IMPRESSION: not this one.\n" + " " + "_" * 78 + "\n" + PLAIN
    )
    sections = parse_report(text)
    assert sections["addendum"].startswith("The tube was moved.")
    assert sections["impression"] == "Small left pleural effusion, new since ___."


def test_heading_like_text_in_a_sentence() -> None:
    wrapped = " FINDINGS:  " + "The catheter that was seen on the study before was replaced by x y"
    text = f"{wrapped}\n PICC: its tip is in the SVC. See FINDINGS: above. Ratio: 0.5.\n"
    findings = parse_report(text)["findings"]
    assert findings.endswith("PICC: its tip is in the SVC. See FINDINGS: above. Ratio: 0.5.")


def test_parts_of_findings_open_no_section() -> None:
    text = " FINDINGS:\n LUNGS: Clear.\n HEART: Normal.\n\n IMPRESSION: Normal.\n"
    assert parse_report(text)["findings"] == "LUNGS: Clear. HEART: Normal."


def test_without_findings_and_impression_the_last_paragraph_stands() -> None:
    text = (
        " FINAL REPORT\n INDICATION:  Cough.\n\n PA and lateral.\n\n Lungs are clear.\n No edema.\n"
    )
    sections = parse_report(text)
    assert sections["last_paragraph"] == "Lungs are clear. No edema."
    assert choose_text(sections) == ""
    chosen = choose_text(sections, fallback=("findings", "last_paragraph"))
    assert chosen == "Lungs are clear. No edema."
    assert "last_paragraph" not in parse_report(" FINAL REPORT\n\n INDICATION:  Cough.\n")


@pytest.mark.parametrize("text", ["", "\n \n", "                FINAL REPORT\n"])
def test_empty_report_has_no_section(text: str) -> None:
    assert parse_report(text) == {}


def test_preamble_and_choice_of_section() -> None:
    sections = parse_report(" Portable film.\n\n FINDINGS: A.\n\n IMPRESSION: B.\n")
    assert sections["preamble"] == "Portable film."
    assert choose_text(sections, "report") == "A. B."
    assert choose_text({"findings": "A."}, fallback=("findings",)) == "A."


def test_marked_ranges(tmp_path: Path) -> None:
    table = tmp_path / "ranges.csv"
    table.write_text("study_id,section,start,end\n50000001,impression,9,14\n")
    ranges = read_ranges(table)
    assert parse_report("no head: edema", ranges["50000001"])["impression"] == "edema"
    table.write_text("study_id,section,start,end\n50000001,impression,9,4\n")
    with pytest.raises(UserError, match=r"row 2: start=9"):
        read_ranges(table)


def test_strip_priors_removes_whole_sentences() -> None:
    text = "1. Small effusion. 2. Edema has improved since ___. 3. Heart is large."
    assert strip_priors(text) == "Small effusion. Heart is large."


def test_clean_text() -> None:
    text = "1. Right effusion, new since ___. 2. Discussed with Dr. ___ by telephone."
    assert clean_text(text) == "Right effusion, new since."
