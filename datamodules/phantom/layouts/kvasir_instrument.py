"""Kvasir-Instrument: frames with an instrument, masks, boxes, two lists.

kvasir-instrument/images/  masks/  bboxes.json  train.txt  test.txt"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.phantom import colonoscopy
from datamodules.phantom.layouts.hyper_kvasir import box_of
from datamodules.phantom.writing import Traps, steps, write_truth
from medbench.core.seeds import mix

VERSION = colonoscopy.VERSION
QUIRKS = {
    "bare_ids": "train.txt and test.txt name frames without extension",
    "two_suffixes": "images are JPEG and masks PNG, under one name",
    "mixed_sizes": "frames have several sizes",
}
TEST_EVERY = 5  # 118 of 590


def write(dest: Path, n: int, *, seed: int = 0, size: int = 128, traps: Traps = "forced") -> None:
    """n frames, every fifth of them for the test."""
    top = dest / "kvasir-instrument"
    for part in ("images", "masks"):
        (top / part).mkdir(parents=True)
    names = [f"ckcu{mix('instrument', seed, i) % 36**10:021d}" for i in range(n)]
    sides: tuple[list[str], list[str]] = ([], [])
    for index, name in enumerate(names):
        sides[index % TEST_EVERY == TEST_EVERY - 1].append(name)
    (top / "train.txt").write_text("".join(f"{name}\n" for name in sides[0]))
    (top / "test.txt").write_text("".join(f"{name}\n" for name in sides[1]))
    boxes, truth = {}, []
    for index in steps(range(n), "write kvasir_instrument"):
        name = names[index]
        side = size if traps == "off" or index % 2 else round(size * 1.25)
        frame = colonoscopy.draw(seed, "train", index, size=side, set={"block": "instrument"})
        picture = Image.fromarray(frame.image.transpose(1, 2, 0))
        picture.save(top / "images" / f"{name}.jpg", quality=95)
        mask = frame.masks["instrument"][0]
        Image.fromarray(mask * np.uint8(255)).save(top / "masks" / f"{name}.png")
        boxes[name] = {"height": side, "width": side, "bbox": box_of(mask, "instrument")}
        truth.append({"name": name, "instrument_pixels": int(mask.sum())} | frame.truth)
    (top / "bboxes.json").write_text(json.dumps(boxes))
    write_truth(dest, truth)
