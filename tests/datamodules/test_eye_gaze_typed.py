"""Eye Gaze Data typed by hand after the release's description: no writer is involved."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.eye_gaze_cxr import EyeGazeCxr

ONE = "0a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-01234567"
TWO = "1a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9-01234567"
SHEET = f"""dicom_id,path,study_id,patient_id,stay_id,gender,anchor_age,image_top_pad,\
image_bottom_pad,image_left_pad,image_right_pad,dx1,dx1_icd,normal_reports,Normal,CHF,pneumonia,\
consolidation,atelectasis__chx,cardiomegaly__chx,consolidation__chx,edema__chx,\
enlarged_cardiomediastinum__chx,fracture__chx,lung_lesion__chx,lung_opacity__chx,no_finding__chx,\
pleural_effusion__chx,pleural_other__chx,pneumonia__chx,pneumothorax__chx,support_devices__chx,\
cxr_exam_indication
{ONE},files/p10/p10000001/s50000001/{ONE}.dcm,50000001,10000001,39000001,F,20 - 30,0,0,480,480,\
"Heart failure,
unspecified",I509,,0,1,0,,,1,,-1,,,,,,0,,,,1,"___F with
""cough"" today"
{TWO},files/p11/p11000002/s50000002/{TWO}.dcm,50000002,11000002,39000002,M,70 - 80,135,135,60,60,\
Cough,R05,1,1,0,0,,,,,,,,,,1,,,,,,cough
"""
HEAD = (
    "SESSION_ID,MEDIA_ID,DICOM_ID,CNT,Time (in secs),TIMETICK(f=10000000),FPOGX,FPOGY,FPOGS,FPOGD,"
    "FPOGID,FPOGV,BPOGX,BPOGY,BPOGV,X_ORIGINAL,Y_ORIGINAL\n"
)
# Image one is 64 x 72, so 960 x 1080 on the screen; image two is 39 x 17: 40 x 18 when padded, on
# 1800 x 810 of the screen.
FIXATIONS = f"""{HEAD}1,1,{ONE},0,0.6,1,0.5,0.5,0.25,0.5,1,1,0,0,1,32,36
1,1,{ONE},1,1.2,2,0.375,0.25,0.75,0.25,2,1,0,0,1,16,18
1,1,{ONE},2,1.4,3,0.4,0.4,1.0,0.3,3,0,0,0,1,19.2,28.8
1,1,{ONE},3,1.9,4,-1,-1,1.5,0.2,4,1,0,0,1,-160.07,-72
1,0,calibration_1,0,0.1,1,0.5,0.5,0.1,0.2,1,1,0,0,1,10,10
1,2,{TWO},0,0.6,1,0.5,0.5,0.5,0.125,1,1,0,0,1,20,9
"""
SAMPLES = f"""{HEAD}1,1,{ONE},0,0.0167,1,0.5,0.5,0,0.0167,1,1,0,0,1,32,36
1,1,{ONE},1,0.0333,2,0.5,0.5,0,0.0333,1,1,0,0,1,32,36
1,1,{ONE},2,0.0500,3,0.5,0.5,0,0.0500,1,0,0,0,0,32,36
1,1,{ONE},3,0.0667,4,0.375,0.25,0.0667,0.01,2,1,0,0,1,16,18
"""
BOXES = f"""dicom_id,bbox_name,x1,x2,y1,y2
{ONE},cardiac silhouette,20,44,30,60
{ONE},left mid lung zone,40,60,20,40
"""
SAID = {
    "full_text": "enlarged heart.\nno effusion.",
    "time_stamped_text": [
        {"phrase": "enlarged heart", "begin_time": 0.5, "end_time": 1.25},
        {"phrase": "", "begin_time": 1.25, "end_time": 1.5},
        {"phrase": "no effusion", "begin_time": 1.5, "end_time": 2.5},
    ],
}


def write(root: Path) -> Path:
    top = root / "egd-cxr/1.0.0"
    top.mkdir(parents=True)
    for name, text in (
        ("master_sheet.csv", SHEET),
        ("fixations.csv", FIXATIONS),
        ("eye_gaze.csv", SAMPLES),
        ("bounding_boxes.csv", BOXES),
    ):
        (top / name).write_text(text, newline="")
    for name, (width, height), place in (
        (ONE, (64, 72), "p10/p10000001/s50000001"),
        (TWO, (39, 17), "p11/p11000002/s50000002"),
        ("0" * 8, (8, 8), ""),  # one folder more than images
    ):
        folder = top / "audio_segmentation_transcripts" / name
        folder.mkdir(parents=True)
        (folder / "transcript.json").write_text(json.dumps(SAID))
        for file, left, right in (
            ("left_lung.png", 0.6, 0.9),
            ("right_lung.png", 0.1, 0.4),
            ("mediastanum.png", 0.4, 0.6),
            ("aortic_knob.png", 0.5, 0.6),
        ):
            mask = np.zeros((height, width), np.uint8)
            mask[height // 4 : height // 2, int(left * width) : int(right * width)] = 255
            Image.fromarray(mask).save(folder / file)
        if place:
            path = root / "mimic-cxr-jpg/2.1.0/files" / place / f"{name}.jpg"
            path.parent.mkdir(parents=True)
            ramp = np.linspace(0, 255, width).astype(np.uint8)
            Image.fromarray(np.tile(ramp, (height, 1))).save(path, quality=95)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path)


def eye_gaze(root: Path, **settings: object) -> EyeGazeCxr:
    whole = {"size": 64, "expect": "subset", "val_fraction": 0, "test_fraction": 0}
    return EyeGazeCxr(str(root), **whole | settings)


def test_a_film_with_its_gaze(root: Path) -> None:
    data = eye_gaze(root)
    assert data.check("full") == []
    split = data.split("train")
    assert [split[i]["sample_id"] for i in range(len(split))] == [ONE, TWO]
    sample = split[0]
    assert sample["subject_id"] == "10000001"
    assert sample["text"] == "enlarged heart. no effusion."
    # not valid, not on the picture, and of the calibration: gone
    assert sample["gaze"].tolist() == [[0.5, 0.5, 0.25, 0.5], [0.25, 0.25, 0.75, 0.25]]
    found = dict(zip(sample["label_names"], sample["labels"].tolist(), strict=True))
    assert found["Cardiomegaly"] == 1 and found["Pleural Effusion"] == 0
    assert np.isnan(found["Edema"]) and np.isnan(found["Fracture"])
    assert sample["meta"]["class"] == "chf" and split[1]["meta"]["class"] == "normal"
    assert sample["meta"]["age_band"] == "20 - 30"
    assert sample["meta"]["box.cardiac silhouette"] == "20 30 44 60"
    assert len(data.funnel()) == 4 and data.funnel()[0].startswith("2 images")


def test_doubt_as_asked(root: Path) -> None:
    sample = eye_gaze(root, uncertain="one", blank="zero").split("train")[0]
    found = dict(zip(sample["label_names"], sample["labels"].tolist(), strict=True))
    assert found["Edema"] == 1 and found["Fracture"] == 0


def test_odd_sides_were_padded_by_a_pixel(root: Path) -> None:
    sample = eye_gaze(root).split("train")[1]
    assert sample["gaze"][0, :2].tolist() == pytest.approx([20 / 39, 9 / 17])


def test_masks_of_the_anatomy(root: Path) -> None:
    masks = eye_gaze(root).split("train")[0]["masks"]
    assert list(masks) == ["left_lung", "right_lung", "mediastinum", "aortic_knob"]
    columns = np.nonzero(masks["left_lung"][0])[1]
    assert (columns.min(), columns.max()) == (38, 56)
    assert set(np.unique(masks["left_lung"])) == {0, 1}


def test_phrases_have_their_times_and_may_be_empty(root: Path) -> None:
    words = eye_gaze(root).split("train").words(0)
    assert [(w.text, w.start, w.end) for w in words] == [
        ("enlarged heart", 0.5, 1.25),
        ("", 1.25, 1.5),
        ("no effusion", 1.5, 2.5),
    ]


def test_sixty_samples_a_second(root: Path) -> None:
    gaze = eye_gaze(root, gaze="samples").split("train")[0]["gaze"]
    assert gaze[:, 0].tolist() == pytest.approx([0.5, 0.5, 0.25])
    assert gaze[:, 3] == pytest.approx(0.025)  # the median step of what is valid
    assert len(eye_gaze(root, gaze="samples").split("train")[1]["gaze"]) == 0


def test_a_film_without_fixations_has_an_empty_map(root: Path) -> None:
    found = eye_gaze(root, gaze="samples").split("train")[1]["controls"]
    assert not found["hva"].any() and not found["gaze_density"].any()


BAD = [
    ("fixations.csv", "0,0,1,32,36", "0,0,1,37,36", "row 2: X_ORIGINAL.* is 37, 36.*32.0, 36.0"),
    ("fixations.csv", "0.375,0.25", "0.375,zero", "FPOGY holds text"),
    ("fixations.csv", "DICOM_ID", "DICOM", "no column DICOM_ID; did you mean DICOM"),
    ("master_sheet.csv", "0,1,0,,,1", "1,1,0,,,1", "must be one of Normal, CHF .*normal and chf"),
    ("master_sheet.csv", ",1,,-1", ",2,,-1", "Cardiomegaly is '2'"),
    ("master_sheet.csv", "0,0,480,480", "0,0,980,980", "padding .* leaves nothing of 1920 x 1080"),
    ("master_sheet.csv", "0,0,480,480", "0,0,,480", "is no four numbers"),
    ("master_sheet.csv", f"s50000001/{ONE}", f"s50000001/{TWO}", "is no path of"),
    ("bounding_boxes.csv", "left mid", "left middle", "row 3: the box 'left middle lung zone'"),
    ("bounding_boxes.csv", "20,44", "20,", "row 2: x1, y1, x2, y2 must be numbers"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), BAD)
def test_what_is_wrong_is_named(root: Path, name: str, old: str, new: str, message: str) -> None:
    path = root / "egd-cxr/1.0.0" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    found = eye_gaze(root).check()
    assert any(re.search(message, line) for line in found), found


def test_an_image_of_another_size_is_named(root: Path) -> None:
    path = next(root.rglob(f"{ONE}.jpg"))
    Image.fromarray(np.zeros((36, 32), np.uint8)).save(path)
    found = eye_gaze(root, expect="full").check()
    assert any("has 32 x 36 pixels, but" in line and "expect=subset" in line for line in found)
    assert eye_gaze(root).check() == []
    assert eye_gaze(root).split("train")[0]["gaze"][0].tolist() == [0.5, 0.5, 0.25, 0.5]


def test_a_damaged_transcript_is_named(root: Path) -> None:
    path = root / "egd-cxr/1.0.0/audio_segmentation_transcripts" / ONE / "transcript.json"
    path.write_text('{"full_text": "x", "time_stamped_text": [{"phrase": "x"}]}')
    assert any("entry 1 lacks phrase" in line for line in eye_gaze(root).check())
    path.write_text("{}")
    assert any("lacks full_text" in line for line in eye_gaze(root).check())
    path.unlink()
    assert any("missing" in line and "transcript.json" in line for line in eye_gaze(root).check())


def test_counts_of_the_release_are_compared(root: Path) -> None:
    found = eye_gaze(root, expect="full").check()
    assert any("images: 2 where the release has" in line for line in found)
