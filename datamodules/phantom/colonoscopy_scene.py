"""The parameters of a colonoscopy frame: which objects there are, where, and how they look.

Lengths are in frame units (the square frame is [-1, 1] x [-1, 1], x to the right, y down) unless a
name says mm. Every purpose has its own stream, so that one can be set without moving another."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from datamodules.phantom.colonoscopy_words import (
    BLOCKS,
    COLOURS,
    INSTRUMENTS,
    LANDMARKS,
    SIZES,
    TYPES,
)
from datamodules.phantom.streams import Address, Stream
from medbench.core.errors import UserError, nearest

MM = 2 / 50  # frame units in a millimetre: 50 mm of mucosa across the frame
PURPOSES = ("block", "scene", "findings", "disease", "landmarks", "instruments", "artefacts")
FEW_STREAM, BLOCK_STREAM = 254, 255  # beside the purposes' own
SETTABLE = {  # what `set=` may name, and the purpose that it belongs to
    "block": "block",
    "palette": "scene",
    "procedure": "scene",
    "polyps": "findings",
    "size": "findings",
    "type": "findings",
    "colours": "findings",
    "disease": "disease",
    "landmark": "landmarks",
    "instruments": "instruments",
    "box": "artefacts",
    "text": "artefacts",
}

# Shares of the real table, by block where the blocks differ.
POLYP_COUNTS = {1: 578.0, 2: 32.0, 3: 5.0, 4: 3.0, 5: 2.0, 6: 1.0, 16: 1.0}
SIZE_SHARES = dict(zip(SIZES, (101.0, 184.0, 177.0, 129.0), strict=True))
SIZES_MM = dict(zip(SIZES, ((3.0, 4.5), (5.0, 10.0), (11.0, 20.0), (21.0, 32.0)), strict=True))
TYPE_SHARES = {"is": 214.0, "ip": 188.0, "iia": 183.0}
RARE_COLOURS = dict(zip(COLOURS[4:], (33.0, 29.0, 26.0, 12.0, 9.0, 7.0, 3.0), strict=True))
COLOUR_SHARES = {  # pink, red, white, yellow
    "polyp": (0.96, 0.49, 0.36, 0.05),
    "ulcerative colitis": (0.975, 0.94, 0.78, 0.17),
    "oesophagitis": (0.975, 0.90, 0.79, 0.12),
}
INSTRUMENT_SHARES = {
    ("tube",): 386.0,
    ("biopsy forceps",): 70.0,
    ("polyp snare", "tube"): 33.0,
    ("polyp snare",): 25.0,
    ("metal clip",): 14.0,
    ("biopsy forceps", "tube"): 6.0,
    ("injection needle",): 2.0,
    ("biopsy forceps", "metal clip"): 1.0,
}
# Balanced frames: half show one kind of thing, half anything beside anything.
FOCUS = {"polyp": 0.18, "disease": 0.12, "landmark": 0.1, "instrument": 0.1, "mixed": 0.5}
FIFTHS = (  # directions a fifth of a turn apart, each far from the one before
    (1.0, 0.0),
    (-0.809017, 0.587785),
    (0.309017, -0.951057),
    (0.309017, 0.951057),
    (-0.809017, -0.587785),
)
PALETTES = {  # the mucosa of a block, red, green and blue in 0..255
    "polyp": (228.0, 134.0, 100.0),
    "ulcerative colitis": (214.0, 104.0, 92.0),
    "oesophagitis": (226.0, 174.0, 156.0),
    "instrument": (212.0, 134.0, 88.0),
}


@dataclass(frozen=True)
class Polyp:
    x: float
    y: float
    mm: float  # diameter of the dome or head, length of the plateau
    size: str
    type: str
    axis: tuple[float, float]  # of the plateau, or towards the foot of the stalk
    salt: int  # of the patches' places


@dataclass(frozen=True)
class Disease:
    """A diffuse area (ulcerative colitis) or radial streaks (oesophagitis)."""

    name: str
    x: float
    y: float
    radius: float
    streaks: tuple[tuple[float, float, float, float, float], ...]  # axis, from, to, half width
    count: int  # of the streaks that show; more when there are more colours
    salt: int


@dataclass(frozen=True)
class Landmark:
    name: str
    x: float
    y: float
    radius: float
    axis: tuple[float, float]
    waves: tuple[float, float]  # of the z-line, as shares of its radius
    tint: float


@dataclass(frozen=True)
class Instrument:
    name: str
    x: float  # of the tip
    y: float
    axis: tuple[float, float]  # from the tip to the border
    width: float  # of the shaft
    spread: float  # how far jaws, loop or clip stand open


@dataclass(frozen=True)
class Scene:
    block: str
    palette: tuple[float, float, float]
    procedure: str
    aspect: float
    lumen: tuple[float, float]
    folds: tuple[float, float, float, float]  # frequency, depth, axis
    vessels: float
    speculars: tuple[tuple[float, float, float], ...]
    border: tuple[float, float, float]  # half width, half height, cut of the corners
    shifts: tuple[float, float, float, float]  # of the noise tables
    colours: tuple[str, ...]
    polyps: tuple[Polyp, ...]
    disease: Disease | None
    landmark: Landmark | None
    instruments: tuple[Instrument, ...]
    box: tuple[str, float, float] | None  # colour, width, height
    panel: tuple[int, int, tuple[int, ...]] | None  # rows, columns, glyphs
    min_feature: float


def draw_scene(
    address: Address,
    min_feature: float,
    balanced: bool = False,
    few_colours: bool = False,
    set: Mapping[str, Any] | None = None,
) -> Scene:
    """The scene at an address; `set` fixes what it names and changes nothing else.

    few_colours: one or two colours of four, evenly; otherwise at the real table's rates."""
    fixed = dict(set or {})
    for name in fixed.keys() - SETTABLE.keys():
        raise UserError(
            f"set: {name} cannot be set{nearest(name, SETTABLE)} Known: {', '.join(SETTABLE)}."
        )
    if few_colours and "colours" not in fixed:
        fixed["colours"] = _draw_few(address.stream(FEW_STREAM))
    streams = {p: address.stream(i) for i, p in enumerate(PURPOSES)}
    block = fixed.get("block", _draw_block(address, streams["block"], balanced))
    disease = _draw_disease(streams["disease"], block, min_feature, balanced, fixed)
    landmark = _draw_landmark(streams["landmarks"], block, balanced, fixed)
    polyps, colours = _draw_findings(streams["findings"], block, disease, balanced, fixed)
    box, panel = _draw_artefacts(streams["artefacts"], balanced, fixed)
    instruments = _draw_instruments(streams["instruments"], block, min_feature, balanced, fixed)
    return Scene(
        block=block,
        **_draw_view(streams["scene"], block, balanced, fixed),
        colours=colours,
        polyps=polyps,
        disease=disease,
        landmark=landmark,
        instruments=instruments,
        box=box,
        panel=panel,
        min_feature=min_feature,
    )


def _draw_block(address: Address, own: Stream, balanced: bool) -> str:
    """Exactly a quarter each: every four subjects in a row are a permutation of the blocks.

    Balanced frames have a focus instead."""
    if balanced:
        return own.weighted(FOCUS)
    group = Address(
        address.version, address.seed, address.domain, address.split, address.subject // 4
    )
    return group.stream(BLOCK_STREAM).shuffled(BLOCKS)[address.subject % 4]


def _shown(focus: str, kind: str, chance: bool) -> bool:
    """Whether a balanced frame with this focus shows a kind of thing."""
    return focus == kind or (focus == "mixed" and chance)


def _draw_view(s: Stream, block: str, balanced: bool, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The wall, the light, the border. In balanced frames the palette tells nothing of a block."""
    one, other, share = s.choose(BLOCKS), s.choose(BLOCKS), s.unit()
    base: tuple[float, ...] = PALETTES[fixed.get("palette", one if balanced else block)]
    if balanced and "palette" not in fixed:
        base = _blend(base, PALETTES[other], share)
    tone = s.uniform(0.88, 1.08)
    palette = tuple(round(value * tone * s.uniform(0.96, 1.04), 6) for value in base)
    usual = "gastroscopy" if block == "oesophagitis" else "colonoscopy"
    procedure = s.choose(("colonoscopy", "gastroscopy")) if balanced else usual
    aspects = {1.25: 0.55, 1.333333: 0.15, 1.170213: 0.2, 1.791045: 0.1}
    speculars = [
        (s.uniform(-0.8, 0.8), s.uniform(-0.8, 0.8), s.uniform(0.012, 0.028)) for _ in range(8)
    ]
    return {
        "palette": palette,
        "procedure": fixed.get("procedure", procedure),
        "aspect": s.weighted(aspects),
        "lumen": (s.uniform(-0.3, 0.3), s.uniform(-0.3, 0.3)),
        "folds": (s.uniform(1.0, 1.7), s.uniform(0.22, 0.38), *s.direction()),
        "vessels": s.uniform(0.15, 0.4),
        "speculars": tuple(speculars[: s.integer(2, 8)]),
        "border": (s.uniform(0.92, 0.99), s.uniform(0.92, 0.99), s.uniform(1.45, 1.75)),
        "shifts": tuple(float(s.integer(0, 255)) for _ in range(4)),
    }


def _blend(one: tuple[float, ...], other: tuple[float, ...], share: float) -> tuple[float, ...]:
    return tuple(a + share * (b - a) for a, b in zip(one, other, strict=True))


def _draw_findings(
    s: Stream, block: str, disease: Disease | None, balanced: bool, fixed: Mapping[str, Any]
) -> tuple[tuple[Polyp, ...], tuple[str, ...]]:
    """The polyps, and the colours that all abnormalities of the frame share."""
    usual = s.weighted(POLYP_COUNTS)
    has = s.chance({"polyp": 1.0, "instrument": 0.23, "oesophagitis": 0.012}.get(block, 0.002))
    count = usual if has else 0
    if balanced:
        count = s.weighted({1: 0.48, 2: 0.28, 3: 0.14, 4: 0.1})
        count = count if _shown(block, "polyp", s.chance(0.5)) else 0
    count = int(fixed.get("polyps", count))
    colours = _draw_colours(s, block if block in COLOUR_SHARES else "polyp", balanced)
    sizes = _draw_two(s, dict.fromkeys(SIZES, 1.0) if balanced else SIZE_SHARES)
    types = _draw_two(s, dict.fromkeys(TYPES, 1.0) if balanced else TYPE_SHARES)
    polyps: list[Polyp] = []
    for index in range(count):
        size = _allowed_size(sizes[s.chance(0.5) and index > 0], index, count)
        low, high = SIZES_MM[fixed.get("size", size)]
        mm = s.uniform(low, high)
        places = [_draw_place(s) for _ in range(12)]
        x, y = min(places, key=lambda place: _overlap(place, mm, polyps))
        polyp = Polyp(
            x=x,
            y=y,
            mm=mm,
            size=fixed.get("size", size),
            type=fixed.get("type", types[s.chance(0.5) and index > 0]),
            axis=s.direction(),
            salt=s.integer(0, 1 << 20),
        )
        polyps.append(polyp)
    if not disease and all(polyp.mm < 5 for polyp in polyps):
        colours = colours[:2]  # a third would have no room
    found = fixed.get("colours", colours) if polyps or disease else ()
    return tuple(polyps), tuple(colour for colour in COLOURS if colour in found)


def _draw_colours(s: Stream, kind: str, balanced: bool) -> tuple[str, ...]:
    shares = (0.55, 0.5, 0.45, 0.35) if balanced else COLOUR_SHARES[kind]
    names = [colour for colour, p in zip(COLOURS, shares, strict=False) if s.chance(p)]
    rare, drawn = s.chance(0.5 if balanced else 0.07), s.weighted(RARE_COLOURS)
    even = s.choose(list(RARE_COLOURS))
    if rare:
        names = [*names[: 2 if balanced else 3], even if balanced else drawn]
    return tuple(names or ["pink"])


def _draw_few(s: Stream) -> tuple[str, ...]:
    """One colour, or two a quarter of the time."""
    first, second, both = s.choose(COLOURS[:4]), s.choose(COLOURS[:4]), s.chance(0.25)
    return (first, second) if both else (first,)


def _draw_two(s: Stream, shares: dict[str, float]) -> tuple[str, str]:
    """The first value, and the one that further polyps may have instead."""
    return s.weighted(shares), s.weighted(shares)


def _allowed_size(size: str, index: int, count: int) -> str:
    """Many or later polyps stay small enough to stand beside each other."""
    most = 0 if count > 6 else 1 if count > 2 else 3 if index == 0 else 2
    return SIZES[min(SIZES.index(size), most)]


def _draw_place(s: Stream) -> tuple[float, float]:
    """A place that neither the border nor an artefact of the left corners hides."""
    x, y = s.uniform(-0.66, 0.66), s.uniform(-0.66, 0.66)
    if x < -0.3 and abs(y) > 0.3:
        x = round(-x, 6)
    return x, y


def _overlap(place: tuple[float, float], mm: float, polyps: list[Polyp]) -> float:
    """How deep the closest other polyp reaches in, as a share; 0 when none does."""
    depths = [0.0]
    for other in polyps:
        gap = sqrt((place[0] - other.x) ** 2 + (place[1] - other.y) ** 2) / MM
        depths.append(round(1.2 - 2 * gap / (mm + other.mm), 6))
    return max(depths)


def _draw_disease(
    s: Stream, block: str, min_feature: float, balanced: bool, fixed: Mapping[str, Any]
) -> Disease | None:
    usual = block if block in ("ulcerative colitis", "oesophagitis") else None
    if balanced:
        shares: dict[str | None, float] = {
            None: 0.4,
            "ulcerative colitis": 0.3,
            "oesophagitis": 0.3,
        }
        usual = s.weighted(shares)
    whole = s.chance(0.4 if balanced else 0.7)
    x, y = _draw_place(s)
    radius = s.uniform(0.45, 0.8)
    count, (ax, ay) = s.integer(3, 5), s.direction()
    streaks = []
    for cosine, sine in FIFTHS:
        dx, dy = cosine + s.uniform(-0.2, 0.2), sine + s.uniform(-0.2, 0.2)
        norm = sqrt(dx * dx + dy * dy)
        axis = round((ax * dx - ay * dy) / norm, 6), round((ay * dx + ax * dy) / norm, 6)
        start = s.uniform(0.28, 0.45)
        width = max(s.uniform(0.08, 0.11), 0.9 * min_feature)
        streaks.append((*axis, start, round(start + s.uniform(0.35, 0.6), 6), width))
    name = fixed.get("disease", usual)
    if name is None:
        return None
    if whole:
        x, y, radius = 0.0, 0.0, 1.6
    return Disease(name, x, y, radius, tuple(streaks), count, s.integer(0, 1 << 20))


def _draw_landmark(
    s: Stream, block: str, balanced: bool, fixed: Mapping[str, Any]
) -> Landmark | None:
    usual = {
        "ulcerative colitis": {"cecum": 0.13, "ileum": 0.01, None: 0.86},
        "oesophagitis": {"z-line": 0.909, "pylorus": 0.006, None: 0.085},
    }.get(block, {None: 1.0})
    if balanced:
        usual = {"z-line": 0.35, "cecum": 0.25, "ileum": 0.2, "pylorus": 0.2}
        if not _shown(block, "landmark", s.chance(0.5)):
            usual = {None: 1.0}
    drawn = s.weighted(usual)
    x, y = _draw_place(s)
    radius, waves = s.unit(), (s.uniform(0.08, 0.2), s.uniform(0.05, 0.12))
    axis, tint = s.direction(), s.uniform(0.6, 0.9)
    name = fixed.get("landmark", drawn)
    if name is None:
        return None
    low, high = dict(
        zip(LANDMARKS, ((0.32, 0.55), (0.22, 0.3), (0.3, 0.5), (0.15, 0.21)), strict=True)
    )[name]
    return Landmark(name, x, y, round(low + (high - low) * radius, 6), axis, waves, tint)


def _draw_instruments(
    s: Stream, block: str, min_feature: float, balanced: bool, fixed: Mapping[str, Any]
) -> tuple[Instrument, ...]:
    kinds = s.weighted(INSTRUMENT_SHARES)
    has = s.chance({"instrument": 1.0, "polyp": 0.086}.get(block, 0.0))
    if balanced:
        kinds = tuple(dict.fromkeys(s.choose(INSTRUMENTS) for _ in range(s.integer(1, 2))))
        has = _shown(block, "instrument", s.chance(0.5))
    names = tuple(fixed.get("instruments", kinds if has else ()))
    turn = s.direction()
    found = []
    for index, name in enumerate(names):
        axis = turn if index == 0 else (-turn[0], -turn[1]) if index == 1 else s.direction()
        x, y = s.uniform(-0.45, 0.45), s.uniform(-0.45, 0.45)
        width = s.uniform(0.11, 0.15) if name == "tube" else max(0.04, 0.55 * min_feature)
        found.append(Instrument(name, x, y, axis, round(width, 6), s.uniform(0.8, 1.2)))
    return tuple(found)


def _draw_artefacts(
    s: Stream, balanced: bool, fixed: Mapping[str, Any]
) -> tuple[tuple[str, float, float] | None, tuple[int, int, tuple[int, ...]] | None]:
    box, text = s.chance(0.5 if balanced else 0.3395), s.chance(0.5 if balanced else 0.7945)
    colour = s.choose(("green", "black"))
    shown = fixed.get("box", colour if box else None)
    width, height = s.uniform(0.5, 0.62), s.uniform(0.5, 0.62)
    rows, columns = s.integer(2, 4), s.integer(4, 6)
    glyphs = tuple(s.integer(0, 35) for _ in range(24))
    panel = (rows, columns, glyphs) if fixed.get("text", text) else None
    return ((shown, width, height) if shown else None), panel
