"""One draw of the colonoscopy phantom: pixels, masks, facts and every parameter."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from datamodules.phantom.canvas import Canvas
from datamodules.phantom.colonoscopy_raster import KINDS, rasterise
from datamodules.phantom.colonoscopy_scene import Scene, draw_scene
from datamodules.phantom.colonoscopy_words import (
    CELL_PLACES,
    CELLS,
    INSTRUMENTS,
    LANDMARK_CELLS,
    SIZES,
    TYPES,
    Facts,
)
from datamodules.phantom.streams import Address

Array = np.ndarray
VERSION = 1
DOMAIN = "colonoscopy"
REFERENCE = 72  # pixels of the grid on which cells are counted, whatever the size of a frame


@dataclass(frozen=True)
class Frame:
    image: Array  # (3, size, size) uint8
    masks: dict[str, Array]  # (1, size, size) uint8, one of each kind
    truth: dict[str, str | float]


def address(seed: int, split: str, subject: int) -> Address:
    return Address(VERSION, seed, DOMAIN, split, subject)


def least_feature(of: int) -> float:
    """The least width of anything thin, 2.5 pixels of the `of` grid, in frame units."""
    return round(2.5 * 2 / of, 6)


def draw(
    seed: int,
    split: str,
    subject: int,
    *,
    size: int,
    of: int | None = None,
    min_feature: float | None = None,
    balanced: bool = False,
    few_colours: bool = False,
    set: Mapping[str, Any] | None = None,
) -> Frame:
    """A frame of size x size pixels: every (of/size)-th of the frame of `of` x `of`."""
    of = of or size
    least = least_feature(of) if min_feature is None else min_feature
    scene = draw_scene(address(seed, split, subject), least, balanced, few_colours, set)
    image, masks = render(scene, size, of)
    return Frame(image, masks, truth_of(scene, facts_of(scene)))


def render(scene: Scene, size: int, of: int, margin: int = 0) -> tuple[Array, dict[str, Array]]:
    """Pixels and masks. A mask is what lies in the field of view and under no artefact."""
    canvas = Canvas(size, of, coloured=True, margin=margin)
    field = rasterise(scene, canvas)
    masks = {kind: np.zeros((1, *canvas.shape), np.uint8) for kind in KINDS}
    for (kind, _), mask in canvas.objects.items():
        masks[kind][0] |= mask
    for kind, mask in masks.items():
        if kind not in ("box", "text"):
            mask[0] &= field & ~(masks["box"][0] | masks["text"][0]).astype(bool)
    return np.rint(np.minimum(np.maximum(canvas.pixels, 0), 255)).astype(np.uint8), masks


def facts_of(scene: Scene) -> Facts:
    """What the prompts may say. Findings are polyps, a diseased area and a z-line."""
    kinds = {tool.name for tool in scene.instruments}
    abnormal = ["polyp"] if scene.polyps else []
    abnormal += [scene.disease.name] if scene.disease else []
    marks = (scene.landmark.name,) if scene.landmark else ()
    cells = _cells_of(scene)
    return Facts(
        abnormalities=tuple(abnormal),
        landmarks=marks,
        kinds=tuple(kind for kind in INSTRUMENTS if kind in kinds),
        findings=len(scene.polyps) + (scene.disease is not None) + ("z-line" in marks),
        instruments=len(scene.instruments),
        polyps=len(scene.polyps),
        box=scene.box is not None,
        text=scene.panel is not None,
        colours=scene.colours,
        sizes=tuple(size for size in SIZES if any(p.size == size for p in scene.polyps)),
        types=tuple(kind for kind in TYPES if any(p.type == kind for p in scene.polyps)),
        procedure=scene.procedure,
        abnormality_cells=tuple(c for c in CELLS if c in cells["abnormality"]),
        landmark_cells=tuple(c for c in LANDMARK_CELLS if c in cells["landmark"]),
        instrument_cells=tuple(c for c in CELLS if c in cells["instrument"]),
    )


def _cells_of(scene: Scene) -> dict[str, set[str]]:
    """The cells that each group of objects is named in."""
    found: dict[str, set[str]] = {"abnormality": set(), "landmark": set(), "instrument": set()}
    groups = {"polyp": "abnormality", "disease": "abnormality"}
    canvas = Canvas(REFERENCE, REFERENCE, coloured=False)
    field = rasterise(scene, canvas)
    third = REFERENCE // 3
    visible = field.reshape(3, third, 3, third).sum(axis=(1, 3))
    for (kind, _), mask in canvas.objects.items():
        group = groups.get(kind, kind)
        if group in found:
            found[group] |= cells_of_mask(mask & field, visible)
    return found


def cells_of_mask(mask: Array, visible: Array) -> set[str]:
    """A cell counts when it holds 5 % of the object or the object covers 10 % of what is visible
    of it; the cell of the centroid always counts."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return set()
    third = mask.shape[0] // 3
    counts = np.bincount(rows // third * 3 + columns // third, minlength=9).reshape(3, 3)
    centre = (int(rows.mean() // third), int(columns.mean() // third))
    named = (counts >= 0.05 * len(rows)) | (counts >= 0.1 * np.maximum(visible, 1))
    return {cell for cell, place in CELL_PLACES.items() if named[place] or place == centre}


def truth_of(scene: Scene, facts: Facts) -> dict[str, str | float]:
    """Every parameter and every fact, flat: lists are joined or numbered."""
    found: dict[str, str | float] = {}
    for field in fields(scene):
        _flatten(found, field.name, getattr(scene, field.name))
    _flatten(found, "facts", facts)
    return found


def _flatten(found: dict[str, str | float], name: str, value: Any) -> None:
    if value is None or isinstance(value, str | float):
        found[name] = "" if value is None else value
    elif isinstance(value, int):
        found[name] = int(value)
    elif not isinstance(value, tuple):
        for part, inner in vars(value).items():
            _flatten(found, f"{name}.{part}", inner)
    elif all(isinstance(part, str) for part in value):
        found[name] = ", ".join(value)
    else:
        for index, part in enumerate(value):
            _flatten(found, f"{name}.{index}", part)
