"""A folder of images, with a manifest, a table, or neither."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.folder import ALL, Folder
from medbench.core.errors import UserError
from medbench.core.sample_set import SampleSetWriter

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
    assert "is not a folder" in Folder(str(tmp_path / "nowhere")).check()[0]
