"""REFLACX typed by hand after the release's description: no writer is involved."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.reflacx import Reflacx
from medbench.core.errors import UserError

NAMES_A = (
    "Airway wall thickening,Atelectasis,Consolidation,Emphysema,Enlarged cardiac silhouette,"
    "Fibrosis,Fracture,Groundglass opacity,Mass,Nodule,Other,Pleural effusion,"
    "Pleural thickening,Pneumothorax,Pulmonary edema,Quality issue,Support devices,"
    "Wide mediastinum"
)
NAMES_B = (
    "Abnormal mediastinal contour,Acute fracture,Atelectasis,Consolidation,"
    "Enlarged cardiac silhouette,Enlarged hilum,Groundglass opacity,Hiatal hernia,"
    "High lung volume / emphysema,Interstitial lung disease,Lung nodule or mass,Other,"
    "Pleural abnormality,Pneumothorax,Pulmonary edema,Support devices"
)
ONE = "0a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-01234567"
TWO = "1a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-01234567"
HEAD = "id,split,eye_tracking_data_discarded,image,dicom_id,subject_id,image_size_x,image_size_y,"
WEB = "physionet.org/files/mimic-cxr/2.0.0/files/"
IN_A = f"{WEB}p10/p10000001/s50000001/{ONE}.dcm,{ONE},10000001,80,60"
IN_B = f"{WEB}p11/p11000002/s50000002/{TWO}.dcm,{TWO},11000002,40,40"
PHASE_1 = f"""{HEAD}{NAMES_A}
P101R000001,train,False,{IN_A},0,4,0,0,0,0,0,0,0,3,,0,0,0,0,False,True,0
P102R000002,train,False,{IN_A},0,1,0,0,0,0,0,0,0,3,azygos lobe|scoliosis,5,0,0,0,False,True,0
P103R000003,train,True,{IN_A},0,4,0,0,0,0,0,0,0,0,,0,0,0,0,False,True,0
"""
PHASE_3 = f"""{HEAD}{NAMES_B}
P300R000004,test,False,{IN_B},0,0,0,0,5,0,0,0,0,0,0,,2,0,0,False
"""
FIXED = (
    "timestamp_start_fixation,timestamp_end_fixation,x_position,y_position,pupil_area_normalized,"
    "angular_resolution_x_pixels_per_degree,angular_resolution_y_pixels_per_degree,window_width,"
    "window_level,xmin_shown_from_image,ymin_shown_from_image,xmax_shown_from_image,"
    "ymax_shown_from_image,xmin_in_screen_coordinates,ymin_in_screen_coordinates,"
    "xmax_in_screen_coordinates,ymax_in_screen_coordinates"
)
WHOLE = "0,0,80,60,480,0,3360,2160"
FIXATIONS_1 = f"""{FIXED}
0.5,0.75,20.5,30.5,0.9,8,8,1,0.5,{WHOLE}
1,1.5,60,15,0.9,4,4,1,0.5,40,0,80,30,480,0,3360,2160
2,2.25,-6.5,30,0.9,8,8,1,0.5,{WHOLE}
3,3.5,78,58,0.9,8,8,1,0.5,{WHOLE}
"""
FIXATIONS_2 = f"""{FIXED}
0.25,0.5,40,30,1.1,8,8,1,0.5,{WHOLE}
"""
FIXATIONS_4 = f"""{FIXED}
0,1,10,10,1,4,4,1,0.5,0,0,40,40,840,0,3000,2160
"""
WORDS = """word,timestamp_start_word,timestamp_end_word
left,0.5,0.75
nodule,0.75,1.25
.,1.25,1.25
"""
SAMPLES = """timestamp_sample,x_position,y_position,pupil_area_normalized,\
angular_resolution_x_pixels_per_degree,angular_resolution_y_pixels_per_degree,window_width,\
window_level,xmin_shown_from_image,ymin_shown_from_image,xmax_shown_from_image,\
ymax_shown_from_image,xmin_in_screen_coordinates,ymin_in_screen_coordinates,\
xmax_in_screen_coordinates,ymax_in_screen_coordinates
0.000,10,10,1,4,4,1,0.5,0,0,40,40,840,0,3000,2160
0.001,,,,4,4,1,0.5,0,0,40,40,840,0,3000,2160
0.002,12,10,1,4,4,1,0.5,0,0,40,40,840,0,3000,2160
"""
CHEST = "xmin,ymin,xmax,ymax\n10,5,70,55\n"
NONE = "False,False,False,False,False,False,False,False,False,"
ELLIPSES_1 = f"""xmin,ymin,xmax,ymax,certainty,{NAMES_A}
20,10,60,40,4,False,True,{NONE[6:]}False,False,False,False,False,False,False,False
0,0,10,10,2,False,True,{NONE[6:]}False,False,False,False,False,False,False,False
"""


def crlf(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.replace("\n", "\r\n").encode())


def write(root: Path) -> Path:
    main = root / "reflacx/1.0.0/main_data"
    crlf(main / "metadata_phase_1.csv", PHASE_1)
    crlf(main / "metadata_phase_2.csv", f"{HEAD}{NAMES_B}\n")
    crlf(main / "metadata_phase_3.csv", PHASE_3)
    blank_a = f"xmin,ymin,xmax,ymax,certainty,{NAMES_A}\n"
    for name, fixations, said, ellipses, chest in (
        ("P101R000001", FIXATIONS_1, "left nodule.", ELLIPSES_1, CHEST),
        ("P102R000002", FIXATIONS_2, "nodule of the left lung.\r\n", blank_a, CHEST),
        ("P300R000004", FIXATIONS_4, "large heart.", blank_a.replace(NAMES_A, NAMES_B), CHEST),
    ):
        crlf(main / name / "fixations.csv", fixations)
        crlf(main / name / "timestamps_transcription.csv", WORDS)
        crlf(main / name / "transcription.txt", said)
        crlf(main / name / "chest_bounding_box.csv", chest)
        crlf(main / name / "anomaly_location_ellipses.csv", ellipses)
    crlf(main / "P103R000003/chest_bounding_box.csv", CHEST)
    crlf(main / "P103R000003/anomaly_location_ellipses.csv", blank_a)
    crlf(root / "reflacx/1.0.0/gaze_data/P300R000004/gaze.csv", SAMPLES)
    for group, subject, study, dicom, size in (
        ("p10", "p10000001", "s50000001", ONE, (80, 60)),
        ("p11", "p11000002", "s50000002", TWO, (40, 40)),
    ):
        path = root / "mimic-cxr-jpg/2.1.0/files" / group / subject / study / f"{dicom}.jpg"
        path.parent.mkdir(parents=True)
        ramp = np.tile(np.linspace(0, 255, size[0]).astype(np.uint8), (size[1], 1))
        Image.fromarray(ramp).save(path, quality=95)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path)


def reflacx(root: Path, **settings: object) -> Reflacx:
    return Reflacx(str(root), **{"size": 40, "expect": "subset", "val_fraction": 0} | settings)


def test_a_reading_of_phase_three_is_a_training_sample(root: Path) -> None:
    data = reflacx(root)
    assert data.check("full") == []
    sample = data.split("train")[0]
    assert len(data.split("train")) == 1
    assert (sample["sample_id"], sample["subject_id"]) == ("P300R000004", "11000002")
    assert sample["text"] == "large heart."
    assert sample["gaze"].tolist() == [[0.25, 0.25, 0, 1]]
    meta = sample["meta"]
    assert (meta["dicom_id"], meta["phase"], meta["reader_index"]) == (TWO, 3, 0)
    assert (meta["study_id"], meta["split_mimic"]) == ("50000002", "test")


def labels(sample: dict) -> dict[str, float]:
    return dict(zip(sample["label_names"], sample["labels"].tolist(), strict=True))


def test_label_set_b_becomes_the_fourteen(root: Path) -> None:
    found = labels(reflacx(root).split("train")[0])
    assert found["Cardiomegaly"] == 1 and found["No Finding"] == 0
    assert found["Pleural Effusion"] == 0 == found["Pleural Other"]  # certainty 2: unlikely
    assert np.isnan(found["Pneumonia"])


def test_label_set_a_becomes_the_fourteen(root: Path) -> None:
    found = labels(reflacx(root, test_reader="first").split("test")[0])
    assert found["Atelectasis"] == 1 == found["Lung Lesion"] == found["Lung Opacity"]
    assert found["Support Devices"] == 1 and found["Pleural Effusion"] == 0
    assert np.isnan(found["Pneumonia"])


def test_five_readers_are_pooled(root: Path) -> None:
    data = reflacx(root)
    assert len(data.split("test")) == 1  # and the discarded reading is none of them
    sample = data.split("test")[0]
    assert sample["sample_id"] == ONE
    assert sample["meta"]["readers"] == 2 and sample["meta"]["discarded"] == 1
    assert sample["text"] == "nodule of the left lung."  # the reader with more words
    assert len(sample["gaze"]) == 4  # that outside the image is gone
    assert labels(sample)["Pleural Effusion"] == 1 == labels(sample)["Atelectasis"]  # half of them
    assert "1 dropped: eye tracking discarded" in data.funnel()
    assert "2 of phases 1 and 2 make 1 test samples, one an image" in data.funnel()
    each = reflacx(root, test_reader="each").split("test")
    assert [each[i]["sample_id"] for i in range(2)] == ["P101R000001", "P102R000002"]
    assert len(reflacx(root, test_reader="first").split("test")[0]["gaze"]) == 3


def test_words_have_their_times_and_marks_are_words(root: Path) -> None:
    words = reflacx(root, test_reader="first").split("test").words(0)
    assert [(w.text, w.start, w.end) for w in words] == [
        ("left", 0.5, 0.75),
        ("nodule", 0.75, 1.25),
        (".", 1.25, 1.25),
    ]


def test_ellipses_lie_in_their_boxes_from_certainty_three(root: Path) -> None:
    sample = reflacx(root, test_reader="first", size=80).split("test")[0]
    mask = sample["masks"]["Atelectasis"][0]
    rows, columns = np.nonzero(mask)  # 80 x 60 stretched to 80 x 80
    assert (columns.min(), columns.max()) == (20, 59)
    assert abs(rows.min() - 10 * 80 / 60) <= 1 and abs(rows.max() + 1 - 40 * 80 / 60) <= 1
    assert mask.sum() == pytest.approx(np.pi * 20 * 20, rel=0.02)
    assert np.array_equal(sample["masks"]["Lung Opacity"][0], mask)
    assert not sample["masks"]["Pneumothorax"].any()


def test_attention_is_limited_to_the_chest(root: Path) -> None:
    sample = reflacx(root, test_reader="first", size=80, sigma=0.02).split("test")[0]
    heat = sample["controls"]["hva"][0]
    assert heat[round(30.5 / 60 * 80), 20] > 0.9 and heat[20, 60] > 0.9
    assert heat[77, 78] == 0  # in the image, beyond the chest box
    assert len(sample["gaze"]) == 3


def test_density_knows_zoom_and_what_was_shown(root: Path) -> None:
    found = reflacx(root, test_reader="first", size=80).split("test")[0]["controls"]
    density = found["gaze_density"][0]
    assert density.sum() == pytest.approx(1)
    # 0.5 s zoomed, whole; 0.25 s whole; 0.5 s in the corner, of which (Phi(1/4))^2 is left
    assert density[:40, 44:76].sum() == pytest.approx(0.5 / (0.5 + 0.25 + 0.5 * 0.358), rel=0.01)
    data = reflacx(root, test_reader="first")
    gaze = data.source.gaze(data.split("test").pairs[0][1], 80, 60)
    assert gaze.degree[:, 0].tolist() == [8, 4, 8, 8]
    assert gaze.shown[1].tolist() == [40, 0, 80, 30]
    assert gaze.points[2].tolist() == [-6.5, 30]


def test_nothing_is_seen_beyond_what_was_shown(root: Path) -> None:
    path = root / "reflacx/1.0.0/main_data/P101R000001/fixations.csv"
    zoomed = "1,1.5,42,28,0.9,4,4,1,0.5,40,0,80,30,480,0,3360,2160"
    crlf(path, f"{FIXED}\n{zoomed}\n")
    found = reflacx(root, test_reader="first", size=80).split("test")[0]["controls"]
    density = found["gaze_density"][0]
    assert density[36, 41] > 0 and density.sum() == pytest.approx(1)
    assert not density[:, :40].any() and not density[40:].any()


@pytest.mark.parametrize(("other", "healthy"), [("", 1), ("azygos lobe|scoliosis", 0)])
def test_something_other_is_a_finding(root: Path, other: str, healthy: int) -> None:
    path = root / "reflacx/1.0.0/main_data/metadata_phase_3.csv"
    text = path.read_bytes().decode()
    new = text.replace("40,40,0,0,0,0,5,", "40,40,0,0,0,0,0,").replace(",,2,", f",{other},2,")
    assert new != text
    path.write_bytes(new.encode())
    assert labels(reflacx(root).split("train")[0])["No Finding"] == healthy


def test_samples_of_the_tracker_without_blinks(root: Path) -> None:
    gaze = reflacx(root, gaze="samples").split("train")[0]["gaze"]
    assert gaze[:, 0].tolist() == pytest.approx([0.25, 0.3])
    assert gaze[:, 3].tolist() == pytest.approx([0.001, 0.001])


BAD = [
    ("metadata_phase_3.csv", "Hiatal hernia", "Hiatal hernias", r"did you mean Hiatal hernias"),
    ("metadata_phase_3.csv", ",5,0,0", ",6,0,0", r"row 2: Enlarged cardiac silhouette is '6'"),
    ("metadata_phase_3.csv", "P300R", "P200R", "a reading of phase 3 is P3"),
    ("metadata_phase_3.csv", "/s50000002/1", "/s50000002/2", "is no path of"),
    ("metadata_phase_3.csv", ",40,40", ",41,40", "has 40 x 40 pixels, but .* on 41 x 40"),
    (
        "metadata_phase_3.csv",
        ",test,False",
        ",test,no",
        "row 2: eye_tracking_data_discarded is 'no'",
    ),
    ("P300R000004/fixations.csv", "0,1,10", "2,1,10", "row 2: the fixation ends before it starts"),
    ("P300R000004/fixations.csv", "0,1,10", "0,1,", "row 2: a cell is blank"),
    ("P300R000004/fixations.csv", "0,1,10", "0,1,x", "its cells are numbers"),
    ("P300R000004/chest_bounding_box.csv", "10,5,70,55", "", "has 0 rows; it holds one box"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), BAD)
def test_what_is_wrong_is_named(root: Path, name: str, old: str, new: str, message: str) -> None:
    path = root / "reflacx/1.0.0/main_data" / name
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new).encode())
    found = reflacx(root, expect="full").check()
    assert any(re.search(message, line) for line in found), found


def test_a_missing_image_is_named_or_left_out(root: Path) -> None:
    next(root.rglob(f"{TWO}.jpg")).unlink()
    (root / "PHANTOM.json").write_text("{}")  # else the counts of the release are missed too
    found = reflacx(root, expect="full").check()
    assert len(found) == 1 and "1 of 2 files are missing" in found[0] and TWO in found[0]
    data = reflacx(root)
    assert data.check() == [] and len(data.split("train")) == 0
    assert "1 dropped: their image is not there (expect=subset)" in data.funnel()


def test_a_subject_of_test_does_not_train(root: Path) -> None:
    path = root / "reflacx/1.0.0/main_data/metadata_phase_3.csv"
    text = path.read_text().replace("11000002", "10000001").replace("p11/", "p10/")
    path.write_text(text)
    data = reflacx(root)
    assert len(data.split("train")) == 0
    assert "1 of phase 3 dropped: their subject is in test" in data.funnel()


def test_counts_of_the_release_are_compared(root: Path) -> None:
    found = reflacx(root, expect="full").check()
    assert any("images of phase 3: 1 where the release has" in line for line in found)


def test_an_unknown_split_and_a_wrong_root(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"split trian .* did you mean train\?"):
        reflacx(root).split("trian")
    found = Reflacx(str(root / "reflacx")).check()
    assert any("give its parent" in line or "Expected below" in line for line in found)
