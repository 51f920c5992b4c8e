"""Tubes, lines and generators of a chest radiograph, as polylines of canonical points."""

from collections.abc import Callable, Sequence

from datamodules.phantom import cxr_anatomy as anatomy
from datamodules.phantom.cxr_study import MM, PURPOSES, Device
from datamodules.phantom.streams import Address, Stream
from medbench.core.errors import UserError, nearest

Point = tuple[float, float]

KINDS = {  # how often each is among the devices of a study
    "endotracheal tube": 0.30,
    "central venous line": 0.42,
    "nasogastric tube": 0.30,
    "pacemaker": 0.20,
    "chest tube": 0.10,
    "monitoring leads": 0.30,
}


KIND_STREAMS = 48  # beside the purposes and the findings


def draw_devices(
    place: Address,
    min_feature: float,
    pneumothorax: str = "",
    kinds: Sequence[str] | None = None,
) -> tuple[Device, ...]:
    """The devices of a study that has some; a drain lies on the side of a pneumothorax.

    min_feature: mm. kinds: those to draw, instead of chance."""
    s, least = place.stream(PURPOSES.index("devices")), min_feature * MM
    chosen = [kind for kind, share in KINDS.items() if s.chance(share)]
    usual = s.choose(tuple(KINDS))
    drain = s.chance(0.6)
    names = chosen or [usual]
    if pneumothorax and drain and "chest tube" not in names:
        names = [*names, "chest tube"]
    for name in kinds or ():
        if name not in KINDS:
            known = ", ".join(KINDS)
            raise UserError(f"devices: {name} is not known{nearest(name, KINDS)} Known: {known}.")
    wanted = names if kinds is None else kinds
    return tuple(
        make(place.stream(KIND_STREAMS + index), least, pneumothorax)
        for index, (kind, make) in enumerate(MAKERS.items())
        if kind in wanted
    )


def _sign(s: Stream, right: float) -> tuple[str, int]:
    return ("right", -1) if s.chance(right) else ("left", 1)


def _width(mm: float, least: float) -> float:
    """At least as wide as anything thin may be; half of it still shows at a high contrast."""
    return round(max(mm * MM, 0.55 * least), 6)


def _curve(points: Sequence[Point], steps: int = 3) -> tuple[Point, ...]:
    """A smooth line through the points (Catmull-Rom), rounded."""
    ends = [points[0], *points, points[-1]]
    found: list[Point] = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        for i in range(steps):
            t = i / steps
            found.append((_between(a[0], b[0], c[0], d[0], t), _between(a[1], b[1], c[1], d[1], t)))
    return (*found, (round(points[-1][0], 6), round(points[-1][1], 6)))


def _between(a: float, b: float, c: float, d: float, t: float) -> float:
    twice = 2 * b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return round(twice / 2, 6)


def _endotracheal(s: Stream, least: float, _: str) -> Device:
    above = s.uniform(15, 70)
    tip = (anatomy.CARINA[0], round(anatomy.CARINA[1] - above * MM, 6))
    position = (
        "low, close to the carina"
        if above < 25
        else ("in the mid trachea" if above < 55 else "high, at the level of the clavicles")
    )
    line = ((s.uniform(-0.02, 0.02), -1.1), (0.0, -0.8), tip)
    return Device("endotracheal tube", "", position, tip, (line,), _width(5, least))


def _central(s: Stream, least: float, _: str) -> Device:
    side, sign = _sign(s, 0.7)
    deep = s.unit()
    tip = (-0.10, round(-0.22 + 0.36 * deep, 6))
    position = "in the lower superior vena cava"
    if deep < 0.25:
        position = "in the upper superior vena cava"
    if deep > 0.75:
        position = "in the right atrium"
    neck = s.chance(0.5)
    start = (sign * 0.16, -1.05) if neck else (sign * 0.72, -0.62)
    middle = (sign * 0.13, -0.68) if neck else (sign * 0.36, -0.60)
    points = [start, middle, (-0.11 if sign < 0 else 0.02, -0.48), (-0.11, -0.3), tip]
    line = _curve(points)
    return Device("central venous line", side, position, tip, (line,), _width(2.5, least))


def _nasogastric(s: Stream, least: float, _: str) -> Device:
    deep = s.unit()
    tip = (0.42, 0.78) if deep < 0.8 else (0.06, 0.42)
    points: list[Point] = [(0.0, -1.1), (0.015, -0.7), (0.03, -0.1)]
    points += [(0.06, 0.5), (0.16, 0.7), tip] if deep < 0.8 else [tip]
    position = "in the stomach" if deep < 0.8 else "in the distal oesophagus"
    return Device("nasogastric tube", "", position, tip, (_curve(points),), _width(3, least))


def _pacemaker(s: Stream, least: float, _: str) -> Device:
    side, sign = _sign(s, 0.15)
    x, y = round(sign * s.uniform(0.52, 0.6), 6), s.uniform(-0.60, -0.52)
    leads = 1 + s.chance(0.6)
    ends: list[Point] = [(0.26, 0.5), (-0.12, 0.24)]
    box = (x, y, round(max(22 * MM, 1.2 * least), 6), round(max(18 * MM, 1.0 * least), 6))
    lines = []
    for index in range(leads):
        points = [(x, y), (sign * 0.30, -0.66 + 0.03 * index), (-0.05, -0.5), (-0.11, -0.2)]
        lines.append(_curve([*points, (-0.12, 0.1), ends[index]]))
    position = "with leads in the right atrium and right ventricle"
    if leads == 1:
        position = "with a lead in the right ventricle"
    return Device("pacemaker", side, position, ends[0], tuple(lines), _width(2.5, least), (box,))


def _drain(s: Stream, least: float, pneumothorax: str) -> Device:
    side, sign = _sign(s, 0.5)
    if pneumothorax in ("left", "right"):
        side, sign = pneumothorax, {"right": -1, "left": 1}[pneumothorax]
    apical = s.chance(0.6)
    tip = (round(sign * 0.38, 6), -0.5) if apical else (round(sign * 0.3, 6), 0.34)
    points = [(sign * 1.02, 0.42), (sign * 0.78, 0.2), (sign * 0.62, -0.08 if apical else 0.3), tip]
    position = "at the apex" if apical else "at the base"
    return Device("chest tube", side, position, tip, (_curve(points),), _width(6, least))


def _leads(s: Stream, least: float, _: str) -> Device:
    """Electrodes with wires that run off the picture."""
    spots = ((-0.5, -0.42), (0.5, -0.46), (0.62, 0.34))
    boxes, lines = [], []
    size = round(max(5 * MM, 0.55 * least), 6)
    for x, y in spots:
        x, y = round(x + s.uniform(-0.06, 0.06), 6), round(y + s.uniform(-0.08, 0.08), 6)
        boxes.append((x, y, size, size))
        lines.append(
            _curve([(x, y), (1.1 * x, y + 0.3), (1.5 * x, y + 0.5), (2.0 * x, y + 0.9)], 3)
        )
    position = "over the chest"
    tip = (boxes[0][0], boxes[0][1])
    width = _width(1.5, 0.7 * least)
    return Device("monitoring leads", "", position, tip, tuple(lines), width, tuple(boxes))


MAKERS: dict[str, Callable[[Stream, float, str], Device]] = {
    "endotracheal tube": _endotracheal,
    "central venous line": _central,
    "nasogastric tube": _nasogastric,
    "pacemaker": _pacemaker,
    "chest tube": _drain,
    "monitoring leads": _leads,
}
