"""One visit of a CT patient with everything that is solved for: anatomy, tree, fluid levels."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from datamodules.phantom.ct_anatomy import LOBES, Anatomy
from datamodules.phantom.ct_findings import Finding, draw_findings
from datamodules.phantom.ct_grid import Array, Grid, Point, cube
from datamodules.phantom.ct_patient import PURPOSES, Patient, draw_patient
from datamodules.phantom.ct_tree import Branches, Tree, grow_tree
from datamodules.phantom.streams import Address

REFERENCE = 112  # the grid on which levels are solved, whatever the size of a volume
FULLEST = 0.85  # of a pleural cavity that fluid or air may take


@dataclass(frozen=True)
class Level:
    """Fluid behind a plane, or air in front of one, in the pleural cavities of some sides."""

    sides: tuple[str, ...]
    level: float  # mm along the tilted direction
    litres: float  # what it was solved for


@dataclass(frozen=True)
class Scene:
    patient: Patient
    findings: dict[str, Finding]
    anatomy: Anatomy
    place: Address
    grain: int  # words of the noise
    shift: Point

    # worked out when they are needed: a report needs neither
    @cached_property
    def tree(self) -> Tree:
        normal = Anatomy(self.patient, self.patient.ctr)
        return _widened(grow_tree(self.place, normal), self.findings.get("bronchiectasis"))

    @cached_property
    def _free(self) -> "tuple[Level | None, Level | None]":
        return _levels(self.anatomy, self.findings)

    @property
    def fluid(self) -> "Level | None":
        return self._free[0]

    @property
    def air(self) -> "Level | None":
        return self._free[1]


def draw_scene(place: Address, least: float = 1.0, set: Mapping[str, Any] | None = None) -> Scene:
    """A function of the address alone; `set` changes findings by name (see draw_findings)."""
    patient = draw_patient(place)
    normal = Anatomy(patient, patient.ctr)
    findings = draw_findings(place, normal, least, set)
    anatomy = _changed(normal, findings)
    texture = place.stream(PURPOSES["texture"])
    shift = (texture.uniform(0, 90), texture.uniform(0, 90), texture.uniform(0, 90))
    return Scene(patient, findings, anatomy, place, texture.word(), shift)


def _changed(normal: Anatomy, findings: Mapping[str, Finding]) -> Anatomy:
    large, sac = findings.get("cardiomegaly"), findings.get("pericardial effusion")
    oblique, horizontal = [0.0, 0.0], 0.0
    collapsed = findings.get("atelectasis")
    if collapsed:
        shift, side = collapsed.numbers["shift_mm"], int(collapsed.side == "left")
        if collapsed.lobe.endswith("lower"):
            oblique[side] = -shift
        elif collapsed.lobe == "left upper":
            oblique[side] = shift
        else:
            horizontal = -shift if collapsed.lobe.endswith("middle") else shift
    return Anatomy(
        normal.patient,
        large.numbers["ctr"] if large else normal.ctr,
        sac.numbers["thickness_mm"] if sac else 0.0,
        (oblique[0], oblique[1]),
        horizontal,
    )


def _widened(tree: Tree, finding: Finding | None) -> Tree:
    """The bronchi of one lobe with larger radii."""
    if finding is None:
        return tree
    part = tree.airways
    inside = part.lobe == LOBES.index(finding.lobe) + 1
    radius = np.where(inside, part.radius * finding.numbers["factor"], part.radius).round(6)
    return Tree(Branches(part.start, part.end, radius, part.lobe), tree.arteries, tree.veins)


# fluid and air ---------------------------------------------------------------------------
def sides_of(name: str) -> tuple[str, ...]:
    return ("right", "left") if name == "both" else (name,)


def backward(grid: Grid) -> Array:
    """mm towards the back, a little tilted: with an exact coronal plane whole layers of voxels
    would switch together."""
    return np.float32(0.08) * grid.x + np.float32(0.12) * grid.z - grid.y


def of_sides(grid: Grid, sides: tuple[str, ...]) -> Array:
    """Where x lies on one of the sides, (1, 1, W)."""
    found = np.zeros(grid.x.shape, bool)
    for side in sides:
        found |= grid.x < 0 if side == "right" else grid.x >= 0
    return found


def fluid_at(grid: Grid, level: Level) -> Array:
    """Distance behind the fluid's surface; within the cavity, on the level's sides."""
    return np.where(of_sides(grid, level.sides), backward(grid) - np.float32(level.level), -1e6)


def air_at(grid: Grid, level: Level) -> Array:
    """Distance in front of the surface of free air."""
    return np.where(of_sides(grid, level.sides), np.float32(level.level) - backward(grid), -1e6)


def _levels(anatomy: Anatomy, findings: Mapping[str, Finding]) -> tuple[Level | None, Level | None]:
    wanted = [findings.get(name) for name in ("pleural effusion", "pneumothorax")]
    if not any(wanted):
        return None, None
    grid = cube(REFERENCE, REFERENCE)
    depth, inside = backward(grid), np.zeros(grid.shape, bool)
    for part, slab in grid.slabs():
        inside[part] = anatomy.cavity(slab) > 0
    voxel = 292.0 * 316 * 316 / REFERENCE**3 / 1e6
    found: list[Level | None] = []
    for finding, sign in zip(wanted, (-1, 1), strict=True):
        if finding is None:
            found.append(None)
            continue
        sides = sides_of(finding.side)
        ordered = np.sort(sign * depth[inside & of_sides(grid, sides)])
        count = min(finding.numbers["litres"] / voxel, FULLEST * len(ordered))
        before, after = ordered[int(count) - 1], ordered[min(int(count), len(ordered) - 1)]
        level = sign * round(float(before + after) / 2, 6)
        found.append(Level(sides, level, round(count * voxel, 6)))
    return found[0], found[1]
