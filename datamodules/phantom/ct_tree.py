"""Airways and vessels of the lungs as round-ended segments, grown a generation at a time."""

from dataclasses import dataclass

import numpy as np

from datamodules.phantom.ct_anatomy import LOBES, Anatomy
from datamodules.phantom.ct_grid import Array, points
from datamodules.phantom.ct_patient import PURPOSES
from datamodules.phantom.streams import Address, Stream

GENERATIONS = 4
RATIO = 0.78  # of a child's radius to its parent's
LEAST_VESSEL = 0.8  # mm


@dataclass(frozen=True)
class Branches:
    """Segments, one a row; lobe 0 is outside the lobes."""

    start: Array  # (n, 3) float64, mm, x y z
    end: Array
    radius: Array  # (n,)
    lobe: Array  # (n,) int

    def __len__(self) -> int:
        return len(self.radius)


def join(*parts: Branches) -> Branches:
    return Branches(
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.end for part in parts]),
        np.concatenate([part.radius for part in parts]),
        np.concatenate([part.lobe for part in parts]),
    )


@dataclass(frozen=True)
class Tree:
    airways: Branches  # radii are of the lumen
    arteries: Branches
    veins: Branches


def grow_tree(place: Address, anatomy: Anatomy) -> Tree:
    """The trees of a patient; `anatomy` is the one without findings."""
    draw = Address(place.version, place.seed, place.domain, place.split, place.subject).stream(
        PURPOSES["tree"]
    )
    trunk, roots = _central_airways(anatomy)
    bronchi = _grow(draw, anatomy, roots, lengthen=3.0)
    airways = _scaled(join(trunk, *bronchi), anatomy.patient.airway_ml)
    arteries = _beside(draw, anatomy, bronchi)
    stems = _stems(anatomy, (8.0, -20.0, 2.0), 4.4, lean=0.5)
    veins = join(*_grow(draw, anatomy, stems, lengthen=3.6))
    return Tree(airways, join(_trunks(), arteries), veins)


def _central_airways(anatomy: Anatomy) -> tuple[Branches, Branches]:
    """Trachea, main bronchi and the intermediate one; and the five lobar bronchi."""
    person = anatomy.patient
    x, y, z = person.carina
    windpipe = 8.0 if person.sex == "M" else 7.0
    right, left = (x - 19, y - 3, z - 14.5), (x + 40, y - 5, z - 22)
    between = (x - 29, y - 6, z - 34)
    rows = [
        ((0.0, y + 14, 150.0), (x, y, z), windpipe),
        ((x, y, z), right, 6.5),
        ((x, y, z), left, 5.8),
        (right, between, 5.4),
    ]
    hubs = {
        "left upper": left, "left lower": left, "right upper": right,
        "right middle": between, "right lower": between,
    }  # fmt: skip
    lobar = []
    for name in LOBES:
        hub, aim = np.array(hubs[name]), np.array(anatomy.centroids[name])
        way = aim - hub
        length = 17.0 if name != "right middle" else 14.0
        lobar.append((hub, hub + way / _norm(way[None])[0] * length, 4.6))
    trunk = _branches(rows, [0] * len(rows))
    return trunk, _branches(lobar, list(range(1, 6)))


def _branches(rows: list, lobes: list[int]) -> Branches:
    start, end = (np.array([row[i] for row in rows], float).round(6) for i in (0, 1))
    return Branches(start, end, np.array([row[2] for row in rows], float), np.array(lobes))


def _stems(
    anatomy: Anatomy, hub: tuple[float, float, float], radius: float, lean: float
) -> Branches:
    """One stem for each lobe from a common place, leaning below the way to the lobe's middle."""
    rows = []
    for name in LOBES:
        aim = np.array(anatomy.centroids[name]) + np.array([0, 0, -12.0])
        first = np.array(hub) + np.array([np.sign(aim[0]) * 26, -4.0, 0.0])
        rows.append((first, first + lean * (aim - first), radius))
    return _branches(rows, list(range(1, 6)))


def _trunks() -> Branches:
    """The pulmonary trunk and its two main arteries, and two great veins, in the mediastinum."""
    rows = [
        ((14.0, 30.0, 4.0), (10.0, 4.0, 26.0), 12.0),
        ((10.0, 4.0, 26.0), (38.0, -22.0, 22.0), 9.0),
        ((10.0, 4.0, 26.0), (-34.0, -20.0, 14.0), 9.0),
        ((-22.0, 10.0, -10.0), (-22.0, 6.0, 150.0), 8.0),  # superior vena cava
        ((-18.0, -6.0, -40.0), (-16.0, -8.0, -150.0), 10.0),  # inferior vena cava
    ]
    return _branches(rows, [0] * len(rows))


# growing ---------------------------------------------------------------------------
def _grow(
    draw: Stream, anatomy: Anatomy, roots: Branches, lengthen: float, least: float = 0.6
) -> list[Branches]:
    """Roots and four generations of two children each, kept inside their lobe."""
    found, parent = [roots], roots
    across = _perpendicular(_direction(roots))
    for _ in range(GENERATIONS):
        parent, across = _children(draw, anatomy, parent, across, lengthen, least)
        found.append(parent)
    return found


def _children(
    draw: Stream, anatomy: Anatomy, parent: Branches, across: Array, lengthen: float, least: float
) -> tuple[Branches, Array]:
    """Two children a parent in a plane turned by 90 degrees against the one before."""
    n = len(parent)
    tangent = np.array([draw.uniform(0.54, 0.87) for _ in range(2 * n)])  # of 28 to 41 degrees
    stretch = np.array([draw.uniform(0.85, 1.15) for _ in range(2 * n)])
    way = np.repeat(_direction(parent), 2, axis=0)
    sign = np.tile([1.0, -1.0], n)[:, None]
    plane = np.repeat(across, 2, axis=0)
    heading = _unit(way + sign * tangent[:, None] * plane)
    radius = np.maximum(np.repeat(parent.radius, 2) * RATIO, least).round(6)
    lobe = np.repeat(parent.lobe, 2)
    start = np.repeat(parent.end, 2, axis=0)
    length = np.clip(2 * radius * lengthen * stretch, 5, 26)[:, None]
    aims = np.array([anatomy.centroids[name] for name in LOBES])[lobe - 1]
    end = start + length * heading
    for share in (0.5, 1.0):  # bend back what would leave its lobe
        outside = ~_belongs(anatomy, end, lobe)
        home = _unit(aims - start + 1e-3)
        bent = start + length * (1 - 0.4 * share) * _unit(heading + 1.4 * share * home)
        end = np.where(outside[:, None], bent, end)
    kept = _belongs(anatomy, end, lobe)
    next_plane = _unit(_cross(way, plane) * 1.0 + 0.15 * plane)[kept]
    children = Branches(start[kept], end[kept].round(6), radius[kept], lobe[kept])
    return children, _perpendicular(_direction(children), next_plane)


def _belongs(anatomy: Anatomy, places: Array, lobe: Array) -> Array:
    """Whether points lie at least 4 mm inside their lobe's lung."""
    if not len(places):
        return np.zeros(0, bool)
    grid = points(places)
    return (anatomy.cavity(grid) > 4) & (anatomy.lobes(grid) == lobe)


def _beside(draw: Stream, anatomy: Anatomy, bronchi: list[Branches]) -> Branches:
    """Arteries along the bronchi, one generation further than these."""
    found: list[Branches] = []
    tips = bronchi[0]
    for level, part in enumerate(bronchi):
        side = _perpendicular(_direction(part), np.tile([0.0, 0.6, 0.8], (len(part), 1)))
        radius = np.maximum(part.radius * 0.82, LEAST_VESSEL)
        away = side * (1.25 * part.radius + radius + 0.6)[:, None]
        moved = Branches(
            (part.start + away).round(6), (part.end + away).round(6), radius.round(6), part.lobe
        )
        found.append(moved)
        if level:  # a bridge from the end of the parent's artery
            ends = tips.end[_nearest(tips.end, part.start)]
            found.append(Branches(ends, moved.start, moved.radius, moved.lobe))
        tips = moved
    across = _perpendicular(_direction(tips))
    last, _ = _children(draw, anatomy, tips, across, 4.0, LEAST_VESSEL)
    return join(*found, last)


def _nearest(places: Array, wanted: Array) -> Array:
    apart = ((places[:, None] - wanted[None]) ** 2).sum(2)
    return apart.argmin(0)


def _scaled(airways: Branches, millilitres: float) -> Branches:
    """All radii times one factor, so that the sum of pi r^2 L is the wanted volume."""
    length = _norm(airways.end - airways.start)
    volume = float((np.float64(3.141592653589793) * airways.radius**2 * length).sum()) / 1000
    factor = round((millilitres / volume) ** 0.5, 6)
    radius = (airways.radius * factor).round(6)
    return Branches(airways.start, airways.end, radius, airways.lobe)


# vectors -----------------------------------------------------------------------------
def _norm(vectors: Array) -> Array:
    return np.sqrt(vectors[:, 0] ** 2 + vectors[:, 1] ** 2 + vectors[:, 2] ** 2)


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(_norm(vectors), 1e-9)[:, None]


def _direction(part: Branches) -> Array:
    return _unit(part.end - part.start)


def _cross(a: Array, b: Array) -> Array:
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def _perpendicular(way: Array, near: Array | None = None) -> Array:
    """Unit vectors across `way`, as near as possible to the given ones."""
    if near is None:
        near = np.tile([0.35, 0.5, 0.8], (len(way), 1))
    dot = (way * near).sum(1, keepdims=True)
    return _unit(near - dot * way + 1e-6)
