"""What the writers of CT layouts share: draws, NIfTI files, tables."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.phantom import ct
from datamodules.phantom.ct_grid import Grid, cube
from datamodules.phantom.ct_scene import Scene, draw_scene
from datamodules.phantom.ct_words import Report, write_report

Array = np.ndarray


@dataclass(frozen=True)
class Drawn:
    """One patient of a layout, before a volume is rendered."""

    scene: Scene
    report: Report


def draw_one(seed: int, subject: int, size: int, wishes: Mapping[str, Any] | None = None) -> Drawn:
    """The patient of a running number; `wishes` as in ct.draw."""
    place = ct.address(seed, "train", subject)
    scene = draw_scene(place, ct.least_feature(size), wishes)
    return Drawn(scene, write_report(scene, place))


def render(drawn: Drawn, size: int) -> ct.Volume:
    return ct.render(drawn.scene, cube(size, size))


def render_on(drawn: Drawn, grid: Grid) -> ct.Volume:
    return ct.render(drawn.scene, grid)


def write_nifti(
    path: Path, values: Array, spacing: Sequence[float], direction: Sequence[float]
) -> None:
    """(k, j, i) values; spacing z y x in mm; the nine direction cosines as ITK has them."""
    import SimpleITK as sitk

    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    image.SetSpacing([float(step) for step in spacing[::-1]])
    image.SetDirection([float(part) for part in direction])
    sitk.WriteImage(image, str(path), True)


LAS = (1, 0, 0, 0, -1, 0, 0, 0, 1)  # as the phantom draws
LPS = (1, 0, 0, 0, 1, 0, 0, 0, 1)  # as scanners do: rows run to the back
IDENTITY = (-1, 0, 0, 0, -1, 0, 0, 0, 1)  # a NIfTI affine of ones, in ITK's words


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
