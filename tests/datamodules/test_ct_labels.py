"""CT-RATE's labels by rules: against phantom reports, and sentences typed by hand."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.ct_labels import label_text, labels_of, main
from datamodules.ct_rate import LABELS
from datamodules.phantom import ct
from datamodules.phantom.ct_scene import draw_scene
from datamodules.phantom.ct_words import report_labels, write_report
from datamodules.tables import read_table
from medbench.core.errors import UserError

TOLD = 12  # of the eighteen: what the phantom draws
SENTENCES: dict[str, set[str]] = {
    "A nasogastric tube ends in the stomach.": {"Medical material"},
    "The port catheter has been removed.": set(),
    "Sternal wires are seen.": {"Medical material"},
    "Calcified plaques in the wall of the aortic arch.": {"Arterial wall calcification"},
    "Coronary artery calcifications are present.": {"Coronary artery wall calcification"},
    "Calcified plaques are seen in the aorta and the coronary arteries.": {
        "Arterial wall calcification",
        "Coronary artery wall calcification",
    },
    "The aorta is of normal calibre.": set(),
    "The heart is moderately enlarged.": {"Cardiomegaly"},
    "Heart size is normal.": set(),
    "Pericardial effusion measuring 8 mm.": {"Pericardial effusion"},
    "Neither pleural nor pericardial effusion is seen.": set(),
    "Bilateral pleural effusions, larger on the right.": {"Pleural effusion"},
    "No pericardial effusion; small left pleural effusion.": {"Pleural effusion"},
    "Sliding type hiatal hernia.": {"Hiatal hernia"},
    "There are enlarged mediastinal lymph nodes up to 14 mm.": {"Lymphadenopathy"},
    "No enlarged lymph nodes in the mediastinum or hila.": set(),
    "Lymph nodes of normal size.": set(),
    "Paraseptal emphysema in both apices.": {"Emphysema"},
    "A bulla of 3 cm in the left upper lobe and several smaller bullae.": {"Emphysema"},
    "Linear atelectasis in the lingula.": {"Atelectasis"},
    "A 5 mm nonspecific nodule in the right lower lobe.": {"Lung nodule"},
    "Hypodense nodule in the left thyroid lobe.": set(),
    "Patchy ground-glass opacities in both lungs.": {"Lung opacity"},
    "Consolidation with air bronchogram in the right middle lobe.": {
        "Consolidation",
        "Lung opacity",
    },
    "No mass, infiltration, or consolidation in either lung.": set(),
    "Sequelae of old tuberculosis at the apices.": {"Pulmonary fibrotic sequela"},
    "Mosaic attenuation pattern, possibly of small airway disease.": {"Mosaic attenuation pattern"},
    "Bilateral peribronchial thickening.": {"Peribronchial thickening"},
    "Cylindrical bronchiectasis in the left lower lobe.": {"Bronchiectasis"},
    "Smooth interlobular septal thickening at the bases.": {"Interlobular septal thickening"},
    "LUNGS: No nodule or bronchiectasis.": set(),
    "Pleural effusion: none.": set(),
    "Consolidation: no.": set(),
    "Possible consolidation at the left base.": {"Consolidation", "Lung opacity"},
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_gives_its_labels(sentence: str) -> None:
    assert labels_of(sentence) == SENTENCES[sentence]


def test_reports_of_phantoms_are_labelled_as_they_say() -> None:
    hits, wrong, told = np.zeros(18), np.zeros(18), np.zeros(18)
    for subject in range(200):
        place = ct.address(5, "train", subject)
        report = write_report(draw_scene(place), place)
        said = report_labels(report.mentions)
        truth = np.array([said[name] == 1 for name in LABELS])
        found = label_text(report.text) == 1
        hits += truth & found
        wrong += truth != found
        told += truth
    f1 = 2 * hits / np.maximum(2 * hits + wrong, 1)
    assert (told > 0).sum() == TOLD and (wrong[told == 0] == 0).all()
    assert f1[told > 0].min() >= 0.98


def test_a_table_is_labelled_in_the_columns_of_the_release(tmp_path: Path) -> None:
    reports, labels = tmp_path / "reports.csv", tmp_path / "labels.csv"
    reports.write_text(
        "VolumeName,Findings_EN,Impressions_EN\n"
        'train_1_a_1.nii.gz,"Heart is enlarged. No effusion.",Cardiomegaly.\n'
        "train_2_a_1.nii.gz,,\n"
    )
    main([f"in={reports}", f"out={labels}"])
    first, second = read_table(labels, ("VolumeName", *LABELS))
    assert [name for name in LABELS if first[name] == "1"] == ["Cardiomegaly"]
    assert {second[name] for name in LABELS} == {"0"}
    with pytest.raises(UserError, match="Type: python -m datamodules.ct_labels in="):
        main(["reports.csv"])
