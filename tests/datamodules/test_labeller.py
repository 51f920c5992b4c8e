"""The report labeller: against the phantom's reports, against invented sentences.

F1 of a label pools its classes (present, absent, doubt): a mention of the wrong class counts as a
false alarm and as a miss. Rules were tuned on the parts `tune`, `held`, `later`, `tune2` and
`held2`: `held` was given up as a test when `held2` came, and `held2` after version 3 had read it
unseen (0.964 over all mentions, least label 0.889). Errors on `held3` are never looked at: the
labels' F1 on it is the figure. Eleven of the earlier sentences were labelled anew for `tune2`'s
conventions (likely is present, rule out is doubt, clear lungs have no opacity). No figure here
stands for real reports."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from datamodules.labeller import (
    f1_scores,
    label_text,
    label_values,
    main,
    mentioned,
    read_labels,
    write_labels,
)
from datamodules.labels import CANONICAL
from datamodules.phantom import cxr
from datamodules.phantom.cxr_report import write_report
from datamodules.phantom.cxr_study import PURPOSES
from medbench.core.errors import UserError

SENTENCES = Path(__file__).with_name("sentences.csv")
CLASSES = {"positive": 1.0, "negative": 0.0, "uncertain": -1.0}
LOOKED_AT = {"tune": 100, "held": 100, "later": 60, "tune2": 200, "held2": 200}


def sentences(*parts: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, 14) labels as written by hand, and as read by the labeller."""
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["half"] in parts]
    truth = [
        {name: value for part, value in CLASSES.items() for name in row[part].split("; ") if name}
        for row in rows
    ]
    return (
        np.stack([label_values(mentions) for mentions in truth]),
        np.stack([label_text(row["sentence"]) for row in rows]),
    )


def pooled(truth: np.ndarray, given: np.ndarray, value: float | None = None) -> float:
    """F1 over all labels but No Finding: of one class, or of the three together."""
    truth, given = truth[:, 1:], given[:, 1:]
    if value is None:
        total = (~np.isnan(truth)).sum() + (~np.isnan(given)).sum()
        return 2 * (truth == given).sum() / total
    total = (truth == value).sum() + (given == value).sum()
    return 2 * ((truth == value) & (given == value)).sum() / total


@pytest.mark.parametrize(("part", "count"), LOOKED_AT.items())
def test_sentences_written_by_hand(part: str, count: int) -> None:
    truth, given = sentences(part)
    assert len(truth) == count
    assert pooled(truth, given) >= 0.95
    for value in CLASSES.values():
        assert pooled(truth, given, value) >= 0.95


def test_sentences_whose_errors_were_never_looked_at() -> None:
    truth, given = sentences("held3")
    scores = f1_scores(list(truth), list(given))
    assert len(truth) == 240 and pooled(truth, given) >= 0.97
    assert all(score >= 0.9 for score in scores.values()), scores


def test_each_label_on_all_sentences_that_were_looked_at() -> None:
    truth, given = sentences(*LOOKED_AT)
    scores = f1_scores(list(truth), list(given))
    assert all(score >= 0.95 for score in scores.values()), scores


@pytest.mark.parametrize("subjects", [120, pytest.param(1500, marks=pytest.mark.slow)])
def test_phantom_reports_label_by_label(subjects: int) -> None:
    truth, given = [], []
    for subject in range(subjects):
        place = cxr.address(1, "test", subject)
        for study in cxr.journey(place, min_feature=5.0, projection=None):
            report = write_report(study, study.place.stream(PURPOSES.index("report")))
            truth.append(np.array([report.mentions.get(n, np.nan) for n in CANONICAL], np.float32))
            given.append(
                label_text(f"{report.sections['findings']} {report.sections['impression']}")
            )
    scores = f1_scores(truth, given)
    assert all(score >= 0.98 for score in scores.values()), scores


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        ("Pleural effusions, if any, are small.", "Pleural Effusion", -1),
        ("The heart is enlarged, though this is probably technical.", "Cardiomegaly", -1),
        ("No effusion, though the left base is hard to see.", "Pleural Effusion", 0),
        ("Fluid in the right minor fissure.", "Pleural Effusion", 1),
        ("No loculated fluid.", "Pleural Effusion", 0),
        ("There is no air in the left pleural space.", "Pneumothorax", 0),
        ("Small pneumothroax at the apex.", "Pneumothorax", 1),
        ("The heart is hard to judge but may be enlarged.", "Cardiomegaly", -1),
        ("No effusion on the right; a small one is seen on the left.", "Pleural Effusion", 1),
        ("Pneumothorax after chest tube removal.", "Support Devices", 0),
        ("Lungs are hyperinflated but clear.", "Lung Opacity", 0),
        ("ETT has been pulled back and is now at the clavicles.", "Support Devices", 1),
        ("The tip of the feeding tube is not seen.", "Support Devices", 1),
        ("Two chest tubes removed, small effusion.", "Support Devices", 0),
        ("A lucent line along the heart may be a skin fold.", "Support Devices", math.nan),
        ("The pacemaker lead is fractured.", "Fracture", math.nan),
        ("Little interval change in the effusion or edema.", "Edema", 1),
        ("Little if any effusion.", "Pleural Effusion", 0),
        ("Pleural thickening from an old empyema.", "Pleural Effusion", math.nan),
        ("Cannot rule out mild failure; no opacity to suggest pneumonia.", "Pneumonia", 0),
        ("Left effusion, infection is a less likely consideration.", "Pneumonia", -1),
        ("Atelectasis, and early pneumonia is possible.", "Atelectasis", 1),
        ("Consolidation: pneumonia versus hemorrhage.", "Consolidation", 1),
        ("The heart may be slightly larger than normal.", "Cardiomegaly", -1),
        ("Heart size is above normal.", "Cardiomegaly", 1),
        ("The heart is no longer enlarged.", "Cardiomegaly", 0),
        ("Opacity at the apex; a neoplasm must be excluded.", "Lung Lesion", -1),
        ("Nodular focus over a rib, a lung nodule is not excluded.", "Lung Lesion", -1),
        ("Nodular opacities are again seen.", "Lung Lesion", 1),
        ("The film is negative for nodules, effusion and pneumothorax.", "Pneumothorax", 0),
        ("No pneumothorax and mild basal atelectasis.", "Atelectasis", 1),
        ("It might be scarring after surgery, or a small effusion.", "Pleural Effusion", -1),
    ],
)
def test_faults_that_later_sentences_showed(text: str, label: str, value: float) -> None:
    assert mentioned(text).get(label, math.nan) == pytest.approx(value, nan_ok=True)


def test_strongest_statement_wins() -> None:
    text = "No effusion on the right. Possible effusion. There is an effusion on the left."
    assert mentioned(text) == {"Pleural Effusion": 1.0}
    assert mentioned("No effusion. Possible effusion.") == {"Pleural Effusion": -1.0}


def test_no_finding_ignores_devices_and_denials() -> None:
    names = list(CANONICAL)
    values = label_text("Endotracheal tube in place. No pneumothorax. The lungs are clear.")
    assert values[names.index("No Finding")] == 1
    assert values[names.index("Support Devices")] == 1
    assert values[names.index("Pneumothorax")] == 0
    assert np.isnan(label_text("Possible pneumonia.")[names.index("No Finding")])
    assert np.isnan(label_text("  ")).all()


def test_f1_counts_a_wrong_class_twice() -> None:
    truth = label_values({"Edema": 1.0})
    wrong = label_values({"Edema": -1.0})
    assert f1_scores([truth], [truth])["Edema"] == 1
    assert f1_scores([truth], [wrong])["Edema"] == 0
    assert f1_scores([truth] * 2, [truth, label_values({})])["Edema"] == pytest.approx(2 / 3)
    assert math.isnan(f1_scores([truth], [truth])["Fracture"])


def test_labels_of_another_tool(tmp_path: Path) -> None:
    table = tmp_path / "chexbert.csv"
    columns = [n.replace("Lung Opacity", "Airspace Opacity") for n in reversed(CANONICAL)]
    cells = ["1.0", "", "-1.0", "0.0", *[""] * 10]
    table.write_text(f"study_id,{','.join(columns)}\n50000001,{','.join(cells)}\n")
    labels = read_labels(table)["50000001"]
    found = {n: float(v) for n, v in zip(CANONICAL, labels, strict=True) if not np.isnan(v)}
    assert found == {"Support Devices": 1.0, "Pleural Other": -1.0, "Pleural Effusion": 0.0}
    again = ",".join(["0.0", *cells[1:]])
    table.write_text(f"{table.read_text()}50000001,{again}\n")
    with pytest.raises(UserError, match="row 3: study_id 50000001 stands twice"):
        read_labels(table)
    table.write_text(f"study_id,{','.join(columns)}\n50000001,2{','.join(['', *cells[1:]])}\n")
    with pytest.raises(UserError, match="row 2: Support Devices is '2'"):
        read_labels(table)


def test_command_writes_what_it_reads(tmp_path: Path) -> None:
    reports, labels = tmp_path / "reports.csv", tmp_path / "labels.csv"
    reports.write_text("study_id,text\n50000001,Mild edema. No effusion.\n50000002,\n")
    main([f"in={reports}", f"out={labels}"])
    found = read_labels(labels)
    assert np.array_equal(found["50000001"], label_text("Mild edema. No effusion."), True)
    assert np.isnan(found["50000002"]).all()
    write_labels(labels, "study_id", ["50000003"], ["Possible pneumonia."])
    assert read_labels(labels)["50000003"][CANONICAL.index("Pneumonia")] == -1
    with pytest.raises(UserError, match="in=FILE out=FILE"):
        main(["in=only"])
