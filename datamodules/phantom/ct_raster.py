"""A CT scene on a grid: Hounsfield units and exact masks, slab by slab.

Edges are soft except where a threshold of -950 HU has to separate two tissues without error."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from datamodules.phantom.ct_anatomy import LOBES
from datamodules.phantom.ct_findings import Finding
from datamodules.phantom.ct_grid import (
    FAR,
    Array,
    Grid,
    Noise,
    Point,
    box,
    capsule,
    capsule_window,
    coverage,
    ellipsoid,
    grain,
)
from datamodules.phantom.ct_scene import Scene, air_at, fluid_at
from datamodules.phantom.ct_tree import Branches
from datamodules.phantom.streams import scramble

MASKS = ("lobe", "airway", "vessel", "lung_left", "lung_right", "heart", "effusion")
AIR, LUMEN, WALL, EMPTY = -1000.0, -995.0, -150.0, -985.0
FAT, MUSCLE, BLOOD, CONTRAST, FLUID = -100.0, 65.0, 48.0, 220.0, 15.0
LUNG_LEAST, EMPTY_MOST = -940.0, -960.0  # what %LAA-950 tells apart
SIGMA = 6.0
CELL = 14.0  # mm of the lattice of emphysema


@dataclass
class Slab:
    """What has been drawn of some planes."""

    grid: Grid
    hu: Array
    solid: Array  # where lung holds no air
    masks: dict[str, Array]  # bool; lobe is uint8


class Raster:
    """Draws slabs of one scene; textures are worked out once for all of them."""

    def __init__(self, scene: Scene, whole: Grid) -> None:
        self.scene, self.whole = scene, whole
        x, y, z = scene.shift
        self._coarse = Noise(whole, 11.0, (x, y, z))
        self._fine = Noise(whole, 4.3, (y, z, x))
        patchy = {"consolidation", "ground glass"} & set(scene.findings)
        self._border = Noise(whole, 15.0, (z, x, y)) if patchy else None

    def draw(self, grid: Grid) -> Slab:
        anatomy = self.scene.anatomy
        slab = Slab(grid, np.full(grid.shape, AIR, np.float32), np.zeros(grid.shape, bool), {})
        self._walls(slab)
        heart = anatomy.heart(grid)
        self._mediastinum(slab, heart)
        cavity = anatomy.cavity(grid)
        slab.masks["heart"] = heart > 0
        self._lungs(slab, cavity)
        self._tree(slab)
        self._holes(slab)
        self._bright_things(slab)
        self._finish(slab)
        return slab

    # walls and middle ---------------------------------------------------------------------
    def _walls(self, slab: Slab) -> None:
        grid, anatomy = slab.grid, self.scene.anatomy
        paint(slab.hu, anatomy.body(grid), grid, FAT)
        paint(slab.hu, anatomy.body(grid, anatomy.fat()), grid, MUSCLE)
        _solid(slab, (0.0, 10.0, 40.0), (46.0, 62.0, 118.0), -90.0)  # fat of the mediastinum
        for centre, axes, value in anatomy.belly():
            _solid(slab, centre, axes, value)
        more = float(grid.edge)
        window = grid.window((-20 - more, -106 - more, -200), (20 + more, -50 + more, 200))
        if window:
            part = grid.part(window)
            whole, spongy = anatomy.spine(part)
            paint(slab.hu[window], whole, part, 700.0)
            paint(slab.hu[window], spongy, part, 250.0)
        if float(grid.z.max()) > -122 - float(grid.edge):
            paint(slab.hu, np.minimum(anatomy.ribs(grid), grid.z + 122), grid, 450.0)
        for centre, half, tilt in anatomy.plates():
            reach = max(half[:2]) + 3 + float(grid.edge)
            low = (centre[0] - reach, centre[1] - reach, centre[2] - half[2] - more)
            high = (centre[0] + reach, centre[1] + reach, centre[2] + half[2] + more)
            window = grid.window(low, high)
            if window:
                part = grid.part(window)
                paint(slab.hu[window], box(part, centre, half, tilt), part, 300.0)

    def _mediastinum(self, slab: Slab, heart: Array) -> None:
        scene, grid = self.scene, slab.grid
        blood = CONTRAST if scene.patient.contrast else BLOOD
        _tube(slab, (5.0, -46.0, -150.0), (3.0, -42.0, 150.0), 7.0, 40.0)  # oesophagus
        for start, end, radius in scene.anatomy.aorta:
            _tube(slab, start, end, radius, blood)
        if scene.anatomy.pericardium:
            paint(slab.hu, scene.anatomy.heart(grid, scene.anatomy.pericardium), grid, 12.0)
        paint(slab.hu, heart, grid, BLOOD)

    # lungs ---------------------------------------------------------------------------------
    def _lungs(self, slab: Slab, cavity: Array) -> None:
        """What fills the pleural cavities, blended once into what lies round them."""
        scene, grid = self.scene, slab.grid
        inside = cavity > 0
        lobes = scene.anatomy.lobes(grid)
        texture = self._coarse(grid.z) * np.float32(30) + self._fine(grid.z) * np.float32(20)
        filling = texture + (np.float32(-885) - np.float32(0.35) * grid.y)
        self._fissures(grid, filling)
        self._dense(slab, filling, lobes)
        free = {}
        for name, level, where, value in (
            ("air", scene.air, air_at, LUMEN),
            ("effusion", scene.fluid, fluid_at, FLUID),
        ):
            free[name] = np.zeros(grid.shape, bool)
            if level is not None:
                depth = where(grid, level)
                free[name] = (depth > 0) & inside
                sharp = np.float32(1e-3) if name == "air" else grid.edge
                filling += coverage(depth, sharp) * (np.float32(value) - filling)
        free["air"] &= ~free["effusion"]
        slab.hu += coverage(cavity, grid.edge) * (filling - slab.hu)
        slab.hu[free["air"]] = LUMEN
        lung = inside & ~free["effusion"] & ~free["air"]
        slab.masks["effusion"], slab.masks["air"] = free["effusion"], free["air"]
        slab.masks["lobe"] = np.where(lung, lobes, np.uint8(0))
        slab.masks["lung_left"] = lung & (grid.x >= 0)
        slab.masks["lung_right"] = lung & (grid.x < 0)

    def _fissures(self, grid: Grid, filling: Array) -> None:
        """Sheets of 1 mm, which fine grids alone can show."""
        oblique, level = (
            self.scene.anatomy.oblique_fissure(grid), self.scene.anatomy.horizontal_fissure(grid)
        )  # fmt: skip
        sheet = np.float32(0.5) - np.abs(oblique) * np.float32(0.78)  # across, not along z
        front = (oblique > 0) & (grid.x < 0)
        sheet = np.maximum(sheet, np.where(front, np.float32(0.5) - np.abs(level), FAR))
        thin = np.minimum(np.float32(1), 1 / grid.edge)
        filling += coverage(sheet, grid.edge) * thin * (np.float32(-700) - filling)

    def _dense(self, slab: Slab, filling: Array, lobes: Array) -> None:
        """Ground glass, atelectasis, consolidation and nodules."""
        findings, grid = self.scene.findings, slab.grid
        for name, value in (("ground glass", -600.0), ("consolidation", 20.0)):
            finding = findings.get(name)
            if finding and self._border:
                inside = self._patch(grid, finding)
                share = coverage(inside, np.maximum(grid.edge, np.float32(3)))
                share *= lobes == LOBES.index(finding.lobe) + 1
                filling += share * (np.float32(value) - filling)
                slab.solid |= share > 0
        collapsed = findings.get("atelectasis")
        if collapsed:
            lobe = lobes == LOBES.index(collapsed.lobe) + 1
            filling[lobe] = 40 + (filling[lobe] + 860) * np.float32(0.3)
            slab.solid |= lobe
        nodules = findings.get("nodule")
        for x, y, z, radius, value in nodules.shapes if nodules else ():
            window = grid.window(*_corners((x, y, z), radius + 2 * float(grid.edge)))
            if window:
                part = grid.part(window)
                share = coverage(capsule(part, (x, y, z), (x, y, z), radius), part.edge)
                filling[window] += share * (np.float32(value) - filling[window])
                slab.solid[window] |= share > 0

    def _patch(self, grid: Grid, finding: Finding) -> Array:
        assert self._border is not None
        x, y, z, a, b, c = finding.shapes[0]
        rough = (self._border(grid.z) - np.float32(0.5)) * np.float32(1.1 * min(a, b, c))
        return ellipsoid(grid, (x, y, z), (a, b, c)) + rough

    # tree ----------------------------------------------------------------------------------
    def _tree(self, slab: Slab) -> None:
        scene, grid = self.scene, slab.grid
        blood = CONTRAST if scene.patient.contrast else BLOOD
        barred = slab.masks["effusion"] | slab.masks["air"]
        vessels, share, _ = _stamped(grid, (scene.tree.arteries, scene.tree.veins), 0.0, 0.0)
        share[barred | slab.masks["heart"]] = 0
        slab.hu += share * (np.float32(blood) - slab.hu)
        lumen, share, wall = _stamped(grid, (scene.tree.airways,), 0.2, 0.8)
        barred |= slab.masks["heart"]
        wall[barred], share[barred] = 0, 0
        slab.hu += wall * (np.float32(WALL) - slab.hu)
        slab.hu += share * (np.float32(LUMEN) - slab.hu)
        slab.masks["airway"] = lumen & ~barred
        slab.masks["vessel"] = vessels & (slab.masks["lobe"] > 0) & ~lumen
        slab.solid |= (wall > 0) | slab.masks["vessel"]

    # holes ---------------------------------------------------------------------------------
    def _holes(self, slab: Slab) -> None:
        """Emphysema and bullae, with hard edges."""
        findings, grid = self.scene.findings, slab.grid
        low = np.zeros(grid.shape, bool)
        emphysema = findings.get("emphysema")
        if emphysema:
            low |= _spots(grid, emphysema, self.scene.patient.lung_z)
        low &= ~slab.solid
        bullae = findings.get("bullae")
        for x, y, z, radius in bullae.shapes if bullae else ():
            window = grid.window(*_corners((x, y, z), radius + 1))
            if window:
                low[window] |= capsule(grid.part(window), (x, y, z), (x, y, z), radius) > 0
        low &= (slab.masks["lobe"] > 0) & ~slab.masks["airway"]
        slab.masks["low"] = low
        slab.hu[low] = EMPTY

    # bright things --------------------------------------------------------------------------
    def _bright_things(self, slab: Slab) -> None:
        findings = self.scene.findings
        for name in ("aortic calcium", "coronary calcium"):
            for x, y, z, radius in findings[name].shapes if name in findings else ():
                _tube(slab, (x, y, z), (x, y, z), radius, 600.0)
        material = findings.get("medical material")
        if material is None:
            return
        radius = material.numbers["width_mm"] / 2
        x, y, z = self.scene.patient.carina
        if material.kind == "tube":
            path = [(0.0, y + 14, 150.0), (x * 0.8, y + 3, z + 22)]
        elif material.kind == "lead":
            path = [(66.0, 92.0, 92.0), (30.0, 62.0, 104.0), (-18.0, 16.0, 80.0)]
            path += [(-22.0, 8.0, -8.0), (10.0, 30.0, -58.0)]
            _solid(slab, (70.0, 94.0, 86.0), (22.0, 6.0, 18.0), 1500.0)
        else:
            path = [(-64.0, 92.0, 92.0), (-40.0, 60.0, 104.0), (-22.0, 8.0, 84.0)]
            path += [(-22.0, 8.0, 4.0)]
            _solid(slab, (-68.0, 94.0, 88.0), (13.0, 6.0, 13.0), 1500.0)
        for start, end in pairwise(path):
            _tube(slab, start, end, radius, 1800.0 if material.kind == "lead" else 700.0)

    def _finish(self, slab: Slab) -> None:
        """Bounded noise, then the clamps that keep -950 HU a perfect threshold."""
        slab.hu += grain(slab.grid, self.scene.grain) * np.float32(SIGMA)
        lung = (slab.masks["lobe"] > 0) & ~slab.masks["airway"]
        low = slab.masks["low"]
        slab.hu[lung] = np.where(
            low[lung],
            np.minimum(slab.hu[lung], np.float32(EMPTY_MOST)),
            np.maximum(slab.hu[lung], np.float32(LUNG_LEAST)),
        )


# brushes ---------------------------------------------------------------------------------------
def paint(hu: Array, inside: Array, grid: Grid, value: float) -> None:
    hu += coverage(inside, grid.edge) * (np.float32(value) - hu)


def _corners(place: Point, reach: float) -> tuple[Point, Point]:
    x, y, z = place
    return (x - reach, y - reach, z - reach), (x + reach, y + reach, z + reach)


def _solid(slab: Slab, centre: Point, axes: Point, value: float) -> None:
    soft = 1 + float(slab.grid.edge) / (axes[0] * axes[1] * axes[2]) ** (1 / 3)
    low = tuple(c - a * soft - 1 for c, a in zip(centre, axes, strict=True))
    high = tuple(c + a * soft + 1 for c, a in zip(centre, axes, strict=True))
    window = slab.grid.window((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    if window:
        part = slab.grid.part(window)
        paint(slab.hu[window], ellipsoid(part, centre, axes), part, value)


def _tube(slab: Slab, start: Point, end: Point, radius: float, value: float) -> None:
    window = capsule_window(slab.grid, start, end, radius + float(slab.grid.edge))
    if window:
        part = slab.grid.part(window)
        paint(slab.hu[window], capsule(part, start, end, radius), part, value)


def _stamped(
    grid: Grid, trees: tuple[Branches, ...], wall: float, least: float
) -> tuple[Array, Array, Array]:
    """Membership of the segments, their coverage, and that with a wall round them.

    What is thinner than a voxel covers less of it."""
    member = np.zeros(grid.shape, bool)
    share, outer = np.zeros(grid.shape, np.float32), np.zeros((1, 1, 1), np.float32)
    if least:
        outer = np.zeros(grid.shape, np.float32)
    edge = float(grid.edge)
    bottom, top = float(grid.z.flat[0]), float(grid.z.flat[-1])
    for tree in trees:
        thick = np.maximum(tree.radius * wall, least)
        reach = tree.radius + thick + edge
        low = np.minimum(tree.start[:, 2], tree.end[:, 2]) - reach
        high = np.maximum(tree.start[:, 2], tree.end[:, 2]) + reach
        for i in np.flatnonzero((low <= top) & (high >= bottom)):
            start, end = tuple(tree.start[i].tolist()), tuple(tree.end[i].tolist())
            window = capsule_window(grid, start, end, float(reach[i]))
            if window is None:
                continue
            radius = float(tree.radius[i])
            part = grid.part(window)
            inside = capsule(part, start, end, radius)
            member[window] |= inside > 0
            thin = np.float32(min(1, 2 * radius / edge))
            np.maximum(share[window], coverage(inside, grid.edge) * thin, out=share[window])
            if least:
                thin = np.float32(min(1, 2 * (radius + float(thick[i])) / edge))
                covered = coverage(inside + np.float32(thick[i]), grid.edge) * thin
                np.maximum(outer[window], covered, out=outer[window])
    return member, share, outer


def _spots(grid: Grid, finding: Finding, middle: float) -> Array:
    """Spheres of emphysema: at most one in each cell of a jittered lattice, within the cell."""
    axes = (grid.z.reshape(-1), grid.y.reshape(-1), grid.x.reshape(-1))
    cells = [np.floor(axis / np.float32(CELL)).astype(np.int64) for axis in axes]
    low = [int(index.min()) for index in cells]
    sides = [int(index.max()) - first + 1 for index, first in zip(cells, low, strict=True)]
    offset = int(finding.numbers["offset"])
    words = _cell_words(low, sides, offset)
    unit = [((words >> np.uint64(13 * k)) & np.uint64(0x1FFF)).astype(np.float32) / 8192
            for k in range(4)]  # fmt: skip
    radius = np.float32(2.5) + np.float32(2.5) * unit[0]
    height = (np.arange(sides[0]) + low[0] + 0.5) * CELL
    share = finding.severity * np.clip(0.65 + (height - middle) / 150, 0.25, 1)
    present = ((words >> np.uint64(52)).astype(np.float32) / 4096) < share[:, None, None]
    radius = np.where(present, radius, np.float32(0)).astype(np.float32)
    square = np.zeros(grid.shape, np.float32)
    take = np.ix_(*(index - first for index, first in zip(cells, low, strict=True)))
    room = np.float32(CELL) - 2 * radius
    for axis, (values, index, free) in enumerate(zip(axes, cells, unit[1:], strict=True)):
        shape = tuple(-1 if i == axis else 1 for i in range(3))
        inside = (values - index.astype(np.float32) * np.float32(CELL)).reshape(shape)
        apart = inside - (radius + room * free)[take]
        square += apart * apart
    reach = radius[take]
    return square < reach * reach


def _cell_words(low: list[int], sides: list[int], offset: int) -> Array:
    """A hashed word for each cell of the lattice, whatever part of it is looked at."""
    z, y, x = (np.arange(first, first + n) + 64 for first, n in zip(low, sides, strict=True))
    number = (z[:, None, None] * 128 + y[:, None]) * 128 + x
    word = number.astype(np.uint64) + np.uint64(scramble(offset) >> 20)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = (word + np.uint64(0x9E3779B97F4A7C15)) ^ (word >> np.uint64(shift))
        word = word * np.uint64(factor)
    return word ^ (word >> np.uint64(31))
