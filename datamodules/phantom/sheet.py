"""A labelled grid of what a phantom can draw: python -m datamodules.phantom.sheet cxr FILE.png"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from datamodules import controls
from datamodules.phantom import colonoscopy, ct, cxr
from datamodules.phantom.ct_findings import FINDINGS as CT_FINDINGS
from datamodules.phantom.ct_findings import Finding
from datamodules.phantom.ct_scene import draw_scene
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


LUNG_WINDOW, SOFT_WINDOW = (-1350.0, 150.0), (-160.0, 240.0)
PLANES = {  # finding of the CT phantom: window, plane and where to look when it has no place
    "pleural effusion": ("soft", "axial", -45.0),
    "emphysema": ("lung", "coronal", -5.0),
    "cardiomegaly": ("soft", "axial", -38.0),
    "pneumothorax": ("lung", "axial", 0.0),
    "pericardial effusion": ("soft", "axial", -38.0),
    "atelectasis": ("lung", "coronal", -25.0),
    "bronchiectasis": ("lung", "coronal", -25.0),
    "medical material": ("soft", "coronal", 8.0),
    "aortic calcium": ("soft", "axial", 50.0),
    "coronary calcium": ("soft", "axial", -20.0),
}
LOBE_COLOURS = ((255, 120, 90), (255, 200, 80), (90, 160, 255), (120, 230, 150), (190, 120, 255))


def ct_tiles() -> list[Tile]:
    """Every finding in a patient of its own, slices without any, and the masks."""
    tiles = []
    normal = _ct_volume(1, {})
    for label, window, plane, at in (
        ("no finding, axial", "lung", "axial", 30.0),
        ("no finding, soft tissue", "soft", "axial", -30.0),
        ("no finding, coronal", "lung", "coronal", -25.0),
        ("no finding, sagittal", "lung", "sagittal", -60.0),
    ):
        tiles.append((label, _slice(normal, window, plane, at)))
    for number, name in enumerate(CT_FINDINGS):
        wish = {"severity": 0.6, "side": "right", "lobe": "right lower", "kind": "lead"}
        volume = _ct_volume(2 + number, {name: wish})
        finding = draw_scene(ct.address(0, "test", 2 + number), 3.0, {name: wish}).findings[name]
        tiles.append((name, _slice(volume, *_view(name, finding))))
    return [*tiles, ("lobes", _overlay(normal, "lobe")), ("airways, vessels", _overlay(normal))]


def _ct_volume(subject: int, wishes: dict) -> ct.Volume:
    fixed = dict.fromkeys(CT_FINDINGS, False) | wishes
    return ct.draw(0, "test", subject, size=256, min_feature=3.0, set=fixed)


def _view(name: str, finding: Finding) -> tuple[str, str, float]:
    """Through the finding where it has a place of its own."""
    if name in PLANES and not (name.endswith("calcium") and finding.shapes):
        return PLANES[name]
    window = "soft" if name.endswith("calcium") else "lung"
    return window, "axial", finding.shapes[0][2]


def _slice(volume: ct.Volume, window: str, plane: str, at: float) -> Array:
    """uint8 as radiologists look: front or head up, the patient's right at the left."""
    low, high = LUNG_WINDOW if window == "lung" else SOFT_WINDOW
    grey = np.clip((_cut(volume.hu, plane, at).astype(np.float32) - low) / (high - low), 0, 1)
    return _scaled((grey * 255).astype(np.uint8))


def _cut(values: Array, plane: str, at: float) -> Array:
    """A plane at mm of the axis that it is across."""
    axis = {"axial": 0, "coronal": 1, "sagittal": 2}[plane]
    size = values.shape[axis]
    extent = ct.EXTENT[axis]
    index = min(max(int((at + extent / 2) / extent * size), 0), size - 1)
    flat = np.take(values, index, axis)[::-1]
    return flat[:, ::-1] if plane == "sagittal" else flat


def _scaled(pixels: Array) -> Array:
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _overlay(volume: ct.Volume, kind: str = "") -> Array:
    grey = _slice(volume, "lung", "coronal", -25.0)
    colour = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    names: list[tuple[str, Sequence[tuple[int, int, int]]]] = [(kind, LOBE_COLOURS)]
    if not kind:
        names = [("vessel", [(255, 70, 70)]), ("airway", [(90, 220, 255)])]
    for name, inks in names:
        flat = _cut(volume.masks[name][0], "coronal", -25.0)
        if not kind:  # a projection shows the tree
            flat = volume.masks[name][0].max(axis=1)[::-1]
        mask = np.asarray(Image.fromarray(flat).resize((SIDE, SIDE), Image.Resampling.NEAREST))
        for label, ink in enumerate(inks, start=1):
            colour[mask == label] = 0.55 * colour[mask == label] + 0.45 * np.array(ink)
    return colour.astype(np.uint8)


SHEETS: dict[str, Callable[[], list[Tile]]] = {
    "ct": ct_tiles,
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
    sheet = lay_out(SHEETS[given.phantom]())
    sheet.quantize(256, dither=Image.Dither.NONE).save(given.file, optimize=True)


if __name__ == "__main__":
    main()
