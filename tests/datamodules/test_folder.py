"""A folder of images, with a manifest, a table, or neither."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.folder import ALL, Folder
from datamodules.preparing import prepare
from medbench.core.batch import collate
from medbench.core.errors import UserError
from medbench.core.sample_set import SampleSetWriter
from tests.datamodules.handmade import dicom, nifti
from tests.datamodules.test_pictures import RIGHT_HANDED

NAMES = ["0.png", "2.png", "sub/1.png", "sub/3.png"]


def fill(folder: Path, n: int = 4) -> Path:
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    for index in range(n):
        grey = np.full((8, 8, 3), 5 * index, np.uint8)
        Image.fromarray(grey).save(folder / ("sub" if index % 2 else ".") / f"{index}.png")
    return folder


def test_a_bare_folder_is_read_in_order(tmp_path: Path) -> None:
    folder = Folder(str(fill(tmp_path)))
    samples = folder.split(ALL)
    assert [samples[i]["sample_id"] for i in range(4)] == [
        "0.png",
        "2.png",
        "sub/1.png",
        "sub/3.png",
    ]
    assert samples[0]["image"].shape == (3, 8, 8) and samples[0]["image"].max() == -1
    assert "text" not in samples[0] and folder.requests() is None and folder.arms() == []


def test_the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    one = fill(tmp_path / "one")
    other = tmp_path / "other"
    shutil.copytree(one, other)
    assert Folder(str(one)).content(ALL) == Folder(str(other)).content(ALL)
    path = other / "0.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))
    assert Folder(str(one)).content(ALL) != Folder(str(other)).content(ALL)


def test_captions_and_labels_come_from_a_table(tmp_path: Path) -> None:
    fill(tmp_path)
    lines = [
        "file,caption,subject_id,polyp",
        '0.png,"a, b\nc",x,1',
        "2.png,d,x,",
        "sub/1.png,e,y,0",
    ]
    table = tmp_path / "captions.csv"
    table.write_text("\n".join([*lines, "sub/3.png,f,z,0"]))
    samples = Folder(str(tmp_path)).split(ALL)
    assert samples[0]["text"] == "a, b\nc" and samples[0]["subject_id"] == "x"
    assert samples[0]["label_names"] == ["polyp"] and np.isnan(samples[1]["labels"][0])
    table.write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"1 images without a line.*sub/3\.png has no line"):
        Folder(str(tmp_path)).split(ALL)
    rows = [{"file": n, "text": "t"} for n in NAMES]
    table.write_text(
        "\n".join(["file,polyp,Sex,age", *(f"{n},1,F,{60 + i}" for i, n in enumerate(NAMES))])
    )
    about = Folder(str(tmp_path)).split(ALL)[1]
    assert about["label_names"] == ["polyp"]
    assert about["meta"]["sex"] == "F" and about["meta"]["age"] == 61
    elsewhere = tmp_path / "table.jsonl"
    elsewhere.write_text("\n".join(map(json.dumps, rows)))
    assert Folder(str(tmp_path), str(elsewhere)).split(ALL)[3]["text"] == "t"


def test_a_sample_set_gives_its_arms_and_requests(tmp_path: Path) -> None:
    writer = SampleSetWriter(tmp_path, {}, 8)
    for arm in ("one", "two"):
        for index in range(2):
            request = {"text": f"{arm} {index}", "meta": {"template": "class"}}
            record = {"sample_id": f"s{index}", "subject_id": "p", "seed": 1, "request": request}
            writer.write(arm, index, np.zeros((3, 8, 8), np.float32), record)
    writer.finish({"one": 2, "two": 2})
    folder = Folder(str(tmp_path), arm="two")
    assert [folder.split(ALL)[i]["text"] for i in range(2)] == ["two 0", "two 1"]
    assert folder.arms() == ["two"] and folder.requests() is not None
    assert folder.requests() != Folder(str(tmp_path), arm="one").requests()
    with pytest.raises(UserError, match="no arm three; it has one, two"):
        Folder(str(tmp_path), arm="three").split(ALL)


def test_splits_are_by_subject_and_disjoint(tmp_path: Path) -> None:
    fill(tmp_path, 40)
    folder = Folder(str(tmp_path), validation=0.3, test=0.3)
    ids = [
        {row["subject_id"] for row in folder.split(name).rows}  # type: ignore[attr-defined]
        for name in ("train", "validation", "test")
    ]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 40


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "2.png").write_bytes(b"not an image")
    samples = Folder(str(tmp_path)).split(ALL)
    with pytest.raises(UserError, match=r"2\.png cannot be read"):
        samples[1]
    (tmp_path / "empty").mkdir()
    assert Folder(str(tmp_path / "empty")).check()[0].endswith("are read.")
    assert "does not exist" in Folder(str(tmp_path / "nowhere")).check()[0]


# other kinds of files -------------------------------------------------------------------
def test_volumes_and_ct_slices_are_windowed(tmp_path: Path) -> None:
    volume = np.arange(24, dtype=np.int16).reshape(2, 3, 4) * 100 - 1000
    nifti(tmp_path / "a.nii.gz", volume, np.array(RIGHT_HANDED))
    with pytest.raises(
        UserError, match=r"a\.nii\.gz holds values from -1000 to 1300.*data\.window"
    ):
        Folder(str(tmp_path)).split(ALL)[0]
    folder = Folder(str(tmp_path), window=(-1000, 1000))
    sample = folder.split(ALL)[0]
    assert folder.check() == [] and sample["image"].shape == (1, 2, 3, 4)
    assert sample["image"].min() == -1 and sample["image"].max() == 1
    assert sample["spacing_mm"].tolist() == [4, 3, 2]
    (tmp_path / "slice.dcm").write_bytes(dicom(np.zeros((3, 4), np.uint16)))
    [text] = Folder(str(tmp_path), window=(0, 1)).check()
    assert text.startswith("The folder holds 1 pictures (slice.dcm, ...) and 1 volumes (a.nii.gz")
    assert "the lower first" in Folder(str(tmp_path), window=(1, 0)).check()[0]


def test_radiographs_of_all_formats_look_the_same(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (20, 20)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "b.png")
    (tmp_path / "c.dcm").write_bytes(dicom(grey))
    (tmp_path / "d.dcm").write_bytes(dicom(255 - grey, "MONOCHROME1"))
    np.savez(tmp_path / "e.npz", grey)
    folder = Folder(str(tmp_path))
    images = [folder.split(ALL)[i]["image"] for i in range(5)]
    assert folder.check() == folder.check("full") == []
    assert all(np.abs(image - images[0]).max() < 1e-6 for image in images)


def test_mixed_sizes_are_named_and_made_one(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name, size in (("a", (30, 20)), ("b", (24, 48))):
        grey = np.random.default_rng(0).integers(0, 255, size[::-1]).astype(np.uint8)
        Image.fromarray(grey).save(root / f"{name}.png")
    both = Folder(str(root)).split(ALL)
    with pytest.raises(UserError, match=r"a\.png has the shape .* and that of b\.png .*image_size"):
        collate([both[0], both[1]])
    folder = Folder(str(root), image_size=16)
    rows = folder.split(ALL)
    assert collate([rows[0], rows[1]])["image"].shape == (2, 1, 16, 16)
    prepare(folder.preparations()["resized"], tmp_path, quiet=True)
    quick = Folder(str(root), image_size=16, prepared=str(tmp_path))
    assert quick.check() == [] and np.array_equal(quick.split(ALL)[1]["image"], rows[1]["image"])


def test_what_is_wrong_with_a_table_is_named_with_its_row(tmp_path: Path) -> None:
    fill(tmp_path)
    good = ["file,text,sample_id,polyp", "0.png,a,s0,1", "2.png,b,s1,", "sub/1.png,c,s2,0"]
    good.append("sub/3.png,d,s3,0")
    cases = {
        "row 3: the label polyp is 'yes', which is not a number. Labels": (2, "2.png,b,s1,yes"),
        "sample_id 's0' stands in rows 2 and 3": (2, "2.png,b,s0,"),
        "names 0.png more than once, in rows 2 and 3": (2, "0.png,b,s1,"),
        "row 3: '../2.png' leads outside the folder": (2, "../2.png,b,s1,"),
        "row 3: '/etc/passwd' leads outside": (2, "/etc/passwd,b,s1,"),
        "line 3: 3 cells where the header has 4": (2, "2.png,b,s1"),
    }
    for message, (place, line) in cases.items():
        lines = [*good[:place], line, *good[place + 1 :]]
        (tmp_path / "captions.csv").write_text("\n".join(lines))
        [text] = Folder(str(tmp_path)).check()
        assert message in text
    (tmp_path / "captions.csv").write_text("\n".join(good))
    assert Folder(str(tmp_path)).check() == []


def test_bad_files_are_left_out_only_by_a_list(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "2.png").write_bytes(b"not an image")
    assert "2.png does not start as a .png file does" in " ".join(Folder(str(tmp_path)).check())
    listed = tmp_path / "bad.txt"
    listed.write_text("2.png\n")
    folder = Folder(str(tmp_path), bad_files=str(listed))
    assert folder.check() == [] and len(folder.split(ALL)) == 3
    assert folder.funnel() == ["1 files are left out by data.bad_files: 2.png"]
    full = Folder(str(tmp_path), bad_files=str(listed)).check("full")
    assert any("one grey value" in text for text in full)  # as they are drawn here
