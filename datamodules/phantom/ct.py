"""One draw of the chest CT phantom: Hounsfield units, masks and every parameter."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from datamodules.phantom.ct_anatomy import LOBES
from datamodules.phantom.ct_grid import EXTENT, Array, Grid, axis_grid, cube
from datamodules.phantom.ct_raster import MASKS, Raster
from datamodules.phantom.ct_scene import Scene, air_at, draw_scene, fluid_at
from datamodules.phantom.streams import Address

VERSION = 1
DOMAIN = "ct"
FINE = 0.6  # mm of the single plane on which the cardiothoracic ratio is counted


@dataclass(frozen=True)
class Volume:
    hu: Array  # (D, H, W) int16
    masks: dict[str, Array]  # (1, D, H, W) uint8; lobe 0 to 5, the others 0 and 1
    spacing_mm: tuple[float, float, float]  # z, y, x
    truth: dict[str, str | float]


def address(seed: int, split: str, subject: int, visit: int = 0) -> Address:
    return Address(VERSION, seed, DOMAIN, split, subject, visit)


def least_feature(of: int) -> float:
    """The least width of anything thin, 2.5 voxels of the `of` grid, in mm."""
    return round(2.5 * EXTENT[1] / of, 6)


def draw(
    seed: int,
    split: str,
    subject: int,
    *,
    size: int = 64,
    of: int | None = None,
    min_feature: float | None = None,
    set: Mapping[str, Any] | None = None,
) -> Volume:
    """A volume of size^3 voxels: every (of/size)-th of the volume of `of`^3."""
    of = of or size
    least = least_feature(of) if min_feature is None else min_feature
    scene = draw_scene(address(seed, split, subject), least, set)
    return render(scene, cube(size, of))


def render(scene: Scene, grid: Grid) -> Volume:
    """Voxels, masks and truth of a scene on any grid."""
    hu = np.empty(grid.shape, np.int16)
    masks = {name: np.empty((1, *grid.shape), np.uint8) for name in MASKS}
    low = air = 0
    raster = Raster(scene, grid)
    for part, planes in grid.slabs():
        slab = raster.draw(planes)
        hu[part] = np.clip(np.rint(slab.hu), -1024, 3071)
        for name in MASKS:
            masks[name][0, part] = slab.masks[name]
        low += int(slab.masks["low"].sum())
        air += int(slab.masks["air"].sum())
    spacing = spacing_of(grid)
    truth = truth_of(scene) | _counted(masks, spacing, low, air)
    return Volume(hu, masks, spacing, truth)


def spacing_of(grid: Grid) -> tuple[float, float, float]:
    """mm between neighbouring voxels, z, y, x."""
    steps = [
        round(float(axis.flat[-1] - axis.flat[0]) / (axis.size - 1), 6)
        for axis in (grid.z, grid.y, grid.x)
    ]
    return steps[0], steps[1], steps[2]


def _counted(
    masks: Mapping[str, Array], spacing: tuple[float, float, float], low: int, air: int
) -> dict[str, float]:
    """Quantities by counting voxels of the drawn grid; volumes in mL, %LAA in percent."""
    voxel = spacing[0] * spacing[1] * spacing[2] / 1000
    lung = int(np.count_nonzero((masks["lobe"] > 0) & (masks["airway"] == 0)))
    found: dict[str, float] = {
        f"counted.{name}_ml": round(np.count_nonzero(masks[name]) * voxel, 4)
        for name in MASKS
        if name != "lobe"
    }
    sizes = np.bincount(masks["lobe"].reshape(-1), minlength=6)
    for label, name in enumerate(LOBES, start=1):
        found[f"counted.{name.replace(' ', '_')}_ml"] = round(float(sizes[label]) * voxel, 4)
    found["counted.pneumothorax_ml"] = round(air * voxel, 4)
    found["counted.laa_950"] = round(100 * low / lung, 6) if lung else 0.0
    return found


def cardiothoracic_ratio(scene: Scene) -> float:
    """Width of the heart by width of lungs and heart, in the plane where the heart is widest.

    It is counted on a fine plane of its own, whatever grid is drawn."""
    shape = (1, round(EXTENT[1] / (4 * FINE)), round(EXTENT[2] / FINE))
    grid = axis_grid(shape, (FINE, 4 * FINE, FINE))
    z = np.full((1, 1, 1), scene.patient.heart[2], np.float32)
    grid = Grid(grid.x, grid.y, z, grid.places, grid.edge)
    heart, lung = scene.anatomy.heart(grid) > 0, scene.anatomy.cavity(grid) > 0
    for level, where in ((scene.fluid, fluid_at), (scene.air, air_at)):
        if level:
            lung &= where(grid, level) <= 0
    thorax = heart | lung
    return round(_width(heart) / _width(thorax), 5)


def _width(mask: Array) -> int:
    columns = np.flatnonzero(mask.any(axis=(0, 1)))
    return int(columns[-1] - columns[0] + 1)


def truth_of(scene: Scene) -> dict[str, str | float]:
    """Every parameter, flat; `ctr` is what a perfect measurement returns."""
    found: dict[str, str | float] = {}
    for field in fields(scene.patient):
        _flatten(found, f"patient.{field.name}", getattr(scene.patient, field.name))
    found["findings"] = ", ".join(scene.findings)
    for name, finding in scene.findings.items():
        prefix = name.replace(" ", "_")
        for field in fields(finding):
            if field.name != "name":
                _flatten(found, f"{prefix}.{field.name}", getattr(finding, field.name))
    for name, level in (("pleural_effusion", scene.fluid), ("pneumothorax", scene.air)):
        if level:
            found[f"{name}.level_mm"], found[f"{name}.solved_l"] = level.level, level.litres
    found["ctr"] = cardiothoracic_ratio(scene)
    return found


def _flatten(found: dict[str, str | float], name: str, value: Any) -> None:
    if isinstance(value, str):
        found[name] = value
    elif isinstance(value, bool | int | float):
        found[name] = int(value) if isinstance(value, bool | int) else value
    elif isinstance(value, Mapping):
        for part, inner in value.items():
            _flatten(found, f"{name.removesuffix('.numbers')}.{part}", inner)
    else:
        for index, part in enumerate(value):
            _flatten(found, f"{name}.{index}", part)
