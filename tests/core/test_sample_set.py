"""Sample sets: whole or not there, continued after any interruption, read with distrust."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medbench.core.errors import UserError
from medbench.core.files import is_complete
from medbench.core.sample_set import (
    MANIFEST,
    PROVENANCE,
    SampleSetWriter,
    decode_image,
    read_manifest,
)


def picture(seed: int, channels: int = 3) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(-1, 1, (channels, 8, 6))
    return values.astype(np.float32)


def record(index: int) -> dict[str, Any]:
    request = {"text": f"prompt {index}", "meta": {"template": "class"}}
    return {
        "sample_id": f"s{index}",
        "subject_id": f"p{index}",
        "seed": 2**62 + index,
        "request": request,
    }


def write_set(folder: Path, n: int = 3, bits: int = 8, channels: int = 3) -> None:
    writer = SampleSetWriter(folder, {"method": "toy"}, bits)
    for index in range(n):
        writer.write("prompts", index, picture(index, channels), record(index))
    writer.finish({"prompts": n})


@pytest.mark.parametrize(("bits", "channels"), [(8, 3), (8, 1), (16, 1)])
def test_what_is_written_is_read_within_half_a_grey_level(
    tmp_path: Path, bits: int, channels: int
) -> None:
    write_set(tmp_path, 2, bits, channels)
    for index, line in enumerate(read_manifest(tmp_path)):
        image = decode_image(tmp_path / line["file"])
        assert image.dtype == np.float32 and image.shape == (channels, 8, 6)
        error = np.abs(image - picture(index, channels)).max()
        assert error <= 1 / (2**bits - 1) + 1e-6
        assert line["request"] == record(index)["request"] and line["seed"] == 2**62 + index
    assert is_complete(tmp_path) and not list(tmp_path.glob("manifest.part-*"))


def test_an_interrupted_set_is_continued_and_damage_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = SampleSetWriter(tmp_path, {}, 8)
    for index in range(4):
        writer.write("prompts", index, picture(index), record(index))
    part = tmp_path / "manifest.part-0.jsonl"
    part.write_bytes(part.read_bytes()[:-20])  # the last line is torn
    (tmp_path / "prompts/000001.png").write_bytes(b"short")
    again = SampleSetWriter(tmp_path, {}, 8)
    assert again.done("prompts") == {0, 2}
    assert "1 damaged lines" in caplog.text
    with pytest.raises(UserError, match="lacks 2 of 4 samples"):
        again.finish({"prompts": 4})
    for index in (1, 3):
        again.write("prompts", index, picture(index), record(index))
    again.finish({"prompts": 4})
    whole = tmp_path / "whole"
    write_set(whole, 4)
    assert (tmp_path / MANIFEST).read_bytes() == (whole / MANIFEST).read_bytes()
    assert SampleSetWriter(tmp_path, {}, 8).done("prompts") == {0, 1, 2, 3}


def test_parts_of_several_processes_are_ordered_by_arm_and_index(tmp_path: Path) -> None:
    for part in (1, 0):
        writer = SampleSetWriter(tmp_path, {}, 8, part)
        for arm in ("zebra", "apple"):
            writer.write(arm, part, picture(part), record(part))
    writer.finish({"zebra": 2, "apple": 2})
    order = [(line["arm"], line["index"]) for line in read_manifest(tmp_path)]
    assert order == [("zebra", 0), ("zebra", 1), ("apple", 0), ("apple", 1)]


def test_clipping_is_counted_and_nan_is_refused(tmp_path: Path) -> None:
    writer = SampleSetWriter(tmp_path, {}, 8)
    image = np.zeros((3, 4, 4), np.float32)
    image[0, 0, :2] = (1.5, 1.001)  # the second rounds to white without clipping
    writer.write("prompts", 0, image, record(0))
    writer.write("prompts", 1, image * 0, record(1))
    writer.finish({"prompts": 2})
    counts = json.loads((tmp_path / PROVENANCE).read_text())["clipped"]
    assert counts == {"images": 1, "values": 1, "of_values": 96}
    image[0, 0, 0] = np.nan
    with pytest.raises(UserError, match="not finite"):
        writer.write("prompts", 2, image, record(2))


LINE = {"arm": "a", "index": 0, "file": "a/0.png"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": "../0.png"}, "leaves the folder"),
        ({"file": "/etc/passwd"}, "not a relative path"),
        ({"file": "out/0.png"}, "link out of the folder"),
        ({"arm": "../up"}, "not an arm's name"),
        ({"index": "0"}, "not of type int"),
        ({"surprise": 1}, "'surprise' is not known"),
        ({"request": "text"}, "not of type dict"),
    ],
)
def test_a_manifest_is_not_trusted(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    lines = [json.dumps(LINE), json.dumps(LINE | {"index": 1} | change)]
    (folder / MANIFEST).write_text("\n".join(lines))
    with pytest.raises(UserError, match=words) as caught:
        read_manifest(folder)
    assert f"{folder / MANIFEST}, line 2" in str(caught.value)


def test_a_short_manifest_is_filled(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps(LINE) + "\n")
    (line,) = read_manifest(tmp_path)
    assert line["sample_id"] == line["subject_id"] == "a/0" and line["request"] == {}
    (tmp_path / MANIFEST).write_text("{not json\n")
    with pytest.raises(UserError, match="line 1, is damaged"):
        read_manifest(tmp_path)


def test_images_that_would_be_misread_are_refused(tmp_path: Path) -> None:
    jpeg = tmp_path / "x.jpg"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(jpeg)
    assert decode_image(jpeg).max() == -1
    jpeg.write_bytes(jpeg.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"x\.jpg cannot be read"):
        decode_image(jpeg)
    deep = tmp_path / "deep.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(deep)
    data = bytearray(deep.read_bytes())
    data[24] = 16  # the bit depth in the header
    deep.write_bytes(bytes(data))
    with pytest.raises(UserError, match="16-bit colour"):
        decode_image(deep)
    clear = tmp_path / "clear.png"
    Image.fromarray(np.zeros((4, 4, 4), np.uint8)).save(clear)
    with pytest.raises(UserError, match="transparent"):
        decode_image(clear)
