"""Solids of the chest as functions of coordinates: which point lies in which organ."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from datamodules.phantom.ct_grid import Array, Grid, Point, box, capsule, cube, ellipsoid
from datamodules.phantom.ct_patient import Patient

LOBES = ("left upper", "left lower", "right upper", "right middle", "right lower")  # 1 to 5
Segment = tuple[Point, Point, float]  # start, end, radius


@dataclass(frozen=True)
class Anatomy:
    """A patient with the heart and the fissures that the findings left."""

    patient: Patient
    ctr: float
    pericardium: float = 0.0  # mm of fluid round the heart
    oblique: tuple[float, float] = (0.0, 0.0)  # displacement of the right and left fissure
    horizontal: float = 0.0

    # heart and vessels ------------------------------------------------------------
    @cached_property
    def heart_axes(self) -> Point:
        """The half-axis along x is solved from the cardiothoracic ratio."""
        person = self.patient
        rise = (person.heart[2] - person.lung_z) / person.lung_axes[2]
        outer = person.lung_x + person.lung_axes[0] * (1 - rise * rise) ** 0.5
        return round(self.ctr * outer, 3), *person.heart_axes

    def heart(self, grid: Grid, more: float = 0.0) -> Array:
        a, b, c = self.heart_axes
        return ellipsoid(grid, self.patient.heart, (a + more, b + more, c + more))

    @cached_property
    def aorta(self) -> tuple[Segment, ...]:
        """Descending part, arch and ascending part."""
        r, top = self.patient.aorta, self.patient.carina[2] + 14
        path = [
            (20.0, -44.0, -170.0), (20.0, -44.0, top), (16.0, -34.0, top + 12),
            (6.0, -10.0, top + 17), (-6.0, 14.0, top + 10), (-10.0, 22.0, top - 6),
            (-6.0, 24.0, 0.0),
        ]  # fmt: skip
        return tuple((a, b, r) for a, b in pairwise(path))

    def aorta_inside(self, grid: Grid) -> Array:
        """Distance inside the aorta; a box keeps it cheap."""
        found = np.full(_shape(grid), -1e6, np.float32)
        for start, end, radius in self.aorta:
            if grid.z.ndim == 1:
                np.maximum(found, capsule(grid, start, end, radius), out=found)
                continue
            reach = radius + 2 * float(grid.edge)
            low = tuple(min(a, b) - reach for a, b in zip(start, end, strict=True))
            high = tuple(max(a, b) + reach for a, b in zip(start, end, strict=True))
            window = grid.window((low[0], low[1], low[2]), (high[0], high[1], high[2]))
            if window:
                part = found[window]
                np.maximum(part, capsule(grid.part(window), start, end, radius), out=part)
        return found

    # lungs --------------------------------------------------------------------------
    def pleura(self, grid: Grid) -> Array:
        """Distance inside both pleural cavities, without regard to heart and aorta."""
        person = self.patient
        ax, ay, az = (np.float32(half) for half in person.lung_axes)
        side = (np.abs(grid.x) - np.float32(person.lung_x)) / ax
        front = grid.y / ay
        up = (grid.z - np.float32(person.lung_z)) / az
        flat = side * side + front * front
        scale = np.float32(person.lung_axes[0] / 2 + 10)
        found = (np.float32(1) - (flat + up * up)) * scale
        right, left = (np.float32(value) for value in person.domes)
        dome = np.where(grid.x < 0, right, left) - np.float32(48) * flat
        np.minimum(found, (grid.z - dome) * np.float32(0.75), out=found)
        # the lungs come nearer to each other in front of the great vessels
        ahead = np.maximum(grid.y - np.float32(20), 0) / np.float32(50)
        half = np.float32(person.mediastinum) - np.float32(14) * np.minimum(ahead, 1)
        return np.minimum(found, np.abs(grid.x) - half)

    def cavity(self, grid: Grid) -> Array:
        """Distance inside the pleural cavities as heart, its sac and aorta leave them."""
        found = np.minimum(self.pleura(grid), -self.heart(grid, self.pericardium))
        return np.minimum(found, -self.aorta_inside(grid))

    def oblique_fissure(self, grid: Grid) -> Array:
        """Distance above the oblique fissure, mm along z; (1, H, W)-like plus z."""
        height, slope, bend = (np.float32(value) for value in self.patient.fissure)
        front, side = grid.y / np.float32(82), (np.abs(grid.x) - np.float32(68)) / np.float32(58)
        right, left = (np.float32(value) for value in self.oblique)
        plane = height - slope * grid.y + bend * (front * front - side * side)
        return grid.z - (plane + np.where(grid.x < 0, right, left))

    def horizontal_fissure(self, grid: Grid) -> Array:
        """Distance above the horizontal fissure, which only the right lung has."""
        front = grid.y / np.float32(82)
        height = np.float32(self.patient.horizontal + self.horizontal)
        return grid.z - (height - np.float32(6) * front * front)

    def lobes(self, grid: Grid) -> Array:
        """uint8 map, 1 to 5, of the lobe that a point would belong to if it lay in a lung."""
        lower, right = self.oblique_fissure(grid) < 0, grid.x < 0
        middle = self.horizontal_fissure(grid) < 0
        upper = np.where(right, np.where(middle, np.uint8(4), np.uint8(3)), np.uint8(1))
        return np.where(lower, np.where(right, np.uint8(5), np.uint8(2)), upper)

    @cached_property
    def centroids(self) -> dict[str, Point]:
        """The middle of each lobe, from a coarse grid."""
        grid = cube(32, 32)
        inside = self.cavity(grid) > 0
        lobes = self.lobes(grid)
        found = {}
        for label, name in enumerate(LOBES, start=1):
            z, y, x = np.nonzero(inside & (lobes == label))
            axes = (grid.x.reshape(-1)[x], grid.y.reshape(-1)[y], grid.z.reshape(-1)[z])
            x0, y0, z0 = (round(float(np.mean(values, dtype=np.float64)), 3) for values in axes)
            found[name] = (x0, y0, z0)
        return found

    # walls and bones ------------------------------------------------------------------
    def body(self, grid: Grid, less: float = 0.0) -> Array:
        """Distance inside the skin, or inside the fat that is `less` mm thick."""
        wide: float = max(148 + self.patient.habitus - less, 139)
        deep = max(104 + self.patient.habitus - less, 98)
        x, y = grid.x / np.float32(wide), grid.y / np.float32(deep)
        flat = (np.float32(1) - (x * x * (x * x) + y * y * (y * y))) * np.float32(28)
        return np.broadcast_to(flat, _shape(grid))

    def fat(self) -> float:
        """Thickness of the fat under the skin, 6 to 24 mm."""
        return 6 + 18 * (self.patient.habitus - 2) / 8

    def ribs(self, grid: Grid) -> Array:
        """A shell that narrows towards the neck, in bands that fall to the front."""
        x, y = grid.x / np.float32(134), grid.y / np.float32(92)
        up = np.maximum(grid.z - np.float32(10), 0) / np.float32(120)
        off = np.sqrt(x * x + y * y) - (np.float32(1) - np.float32(0.36) * up * up)
        shell = np.float32(2.5) - np.abs(off) * np.float32(110)
        turn = (grid.z + np.float32(0.45) * grid.y + np.float32(self.patient.ribs)) / np.float32(27)
        band = np.float32(5.5) - np.abs(turn - np.floor(turn) - np.float32(0.5)) * np.float32(27)
        return np.minimum(shell, band)

    def spine(self, grid: Grid) -> tuple[Array, Array]:
        """Distance inside the vertebrae and, in them, inside the spongy bone."""
        x, y = grid.x, grid.y + np.float32(72)
        round_ = (np.float32(1) - (x * x + y * y) / np.float32(17 * 17)) * np.float32(8.5)
        turn = (grid.z + np.float32(self.patient.discs)) / np.float32(26)
        away = np.abs(turn - np.floor(turn) - np.float32(0.5)) * np.float32(26)
        body = np.minimum(round_, np.float32(10.5) - away)
        arch = box(grid, (0.0, -97.0, 0.0), (3.0, 6.0, 1e3))
        arch = np.minimum(arch, np.float32(8) - away)
        return np.maximum(body, arch), body - np.float32(2.5)

    def plates(self) -> tuple[tuple[Point, Point, float], ...]:
        """Sternum and shoulder blades: centre, half sizes, tilt."""
        return (
            ((0.0, 94.0, 5.0), (15.0, 5.0, 85.0), 0.0),
            ((-98.0, -78.0, 60.0), (30.0, 3.5, 65.0), -0.3),
            ((98.0, -78.0, 60.0), (30.0, 3.5, 65.0), 0.3),
        )

    def belly(self) -> tuple[tuple[Point, Point, float], ...]:
        """Liver, spleen and stomach below the domes: centre, half-axes, HU."""
        return (
            ((-48.0, 10.0, -128.0), (88.0, 82.0, 76.0), 70.0),
            ((84.0, -38.0, -120.0), (34.0, 38.0, 44.0), 58.0),
            ((46.0, 32.0, -128.0), (42.0, 36.0, 44.0), 24.0),
        )


def _shape(grid: Grid) -> tuple[int, ...]:
    return np.broadcast_shapes(grid.x.shape, grid.y.shape, grid.z.shape)
