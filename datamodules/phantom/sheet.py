"""A labelled grid of what a phantom can draw: python -m datamodules.phantom.sheet cxr FILE.png"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from datamodules import controls
from datamodules.phantom import colonoscopy, cxr
from datamodules.phantom.cxr_study import FINDINGS, Study
from datamodules.phantom.gaze import draw_reading

Array = np.ndarray
Tile = tuple[str, Array]  # a label and (H, W) or (H, W, 3) uint8

SIDE, LABEL = 192, 16  # of a tile and of the line above it, pixels
COLUMNS = 6
COLOURS = {  # of the masks in an overlay
    "left lung": (60, 140, 255),
    "right lung": (60, 200, 255),
    "heart": (255, 70, 70),
    "mediastinum": (255, 190, 60),
    "spine": (190, 110, 255),
    "clavicles": (120, 255, 120),
    "trachea": (255, 255, 120),
    "facies diaphragmatica": (255, 120, 220),
}


def cxr_tiles() -> list[Tile]:
    """Every finding at a middle severity in a patient of its own; views, masks and gaze."""
    tiles = [("No Finding", _radiograph(2, cxr.single("No Finding")))]
    for index, name in enumerate(FINDINGS):
        fixed = cxr.single(name) | {name: {"severity": 0.6}}
        tiles.append((name, _radiograph(3 + index, fixed)))
    fluid = {"Pleural Effusion": {"severity": 0.4}}
    tiles.append(("lateral view, fluid", _radiograph(4, cxr.single("Edema") | fluid, "LATERAL")))
    turned = {"posture": {"theta": 0.16, "sx": 0.93, "tx": -0.05}, "Cardiomegaly": {}}
    tiles.append(("AP view, turned", _radiograph(31, cxr.single("Cardiomegaly") | turned, "AP")))
    tiles.append(("masks", _masks(2)))
    tiles.append(("gaze of a reader", _gaze(9)))
    return [*tiles, ("rank equalised", _radiograph(2, cxr.single("No Finding"), equalise=True))]


def _study(subject: int, fixed: dict, view: str = "PA") -> Study:
    place = cxr.address(0, "test", subject)
    return cxr.draw_study(place, min_feature=4.0, projection=view, set=fixed)


def _radiograph(subject: int, fixed: dict, view: str = "PA", equalise: bool = False) -> Array:
    return cxr.render(_study(subject, fixed, view), SIDE, equalise=equalise)[0]


def _masks(subject: int) -> Array:
    pixels, masks = cxr.render(_study(subject, cxr.single("No Finding")), SIDE)
    colour = np.repeat(pixels[..., None], 3, axis=2).astype(np.float32)
    for name, ink in COLOURS.items():
        colour[masks[name]] = 0.6 * colour[masks[name]] + 0.4 * np.array(ink)
    return colour.astype(np.uint8)


def _gaze(subject: int) -> Array:
    study = _study(subject, cxr.single("Lung Lesion") | {"Lung Lesion": {"severity": 0.8}})
    pixels, _ = cxr.render(study, SIDE)
    heat = controls.attention(draw_reading(study).fixations, SIDE, SIDE)[..., None]
    ink = np.array((255, 120, 30), np.float32)
    return (pixels[..., None] * (1 - 0.7 * heat) + 0.7 * heat * ink).astype(np.uint8)


def colonoscopy_tiles() -> list[Tile]:
    """Frames of every block with the first of what they show."""
    tiles = []
    for subject in range(24):
        frame = colonoscopy.draw(0, "test", subject, size=SIDE)
        tiles.append((str(frame.truth["block"]), frame.image.transpose(1, 2, 0)))
    return sorted(tiles, key=lambda tile: tile[0])


SHEETS: dict[str, Callable[[], list[Tile]]] = {
    "cxr": cxr_tiles,
    "colonoscopy": colonoscopy_tiles,
}


def lay_out(tiles: list[Tile]) -> Image.Image:
    """The tiles in rows, each under its label."""
    rows = -(-len(tiles) // COLUMNS)
    step = SIDE + LABEL
    sheet = Image.new("RGB", (COLUMNS * (SIDE + 2) + 2, rows * (step + 2) + 2), (250, 250, 250))
    draw = ImageDraw.Draw(sheet)
    for index, (label, pixels) in enumerate(tiles):
        x, y = 2 + index % COLUMNS * (SIDE + 2), 2 + index // COLUMNS * (step + 2)
        draw.text((x + 2, y + 2), label, fill=(20, 20, 20))
        sheet.paste(Image.fromarray(pixels).convert("RGB"), (x, y + LABEL))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phantom", choices=sorted(SHEETS))
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    lay_out(SHEETS[given.phantom]()).save(given.file, optimize=True)


if __name__ == "__main__":
    main()
