"""The objects of a colonoscopy frame: abnormalities, landmarks and instruments."""

import numpy as np

from datamodules.phantom.canvas import Array, Canvas, Key, Window, capsule, clamp, ink
from datamodules.phantom.colonoscopy_scene import (
    MM,
    Disease,
    Instrument,
    Landmark,
    Polyp,
    Scene,
)
from datamodules.phantom.streams import LATTICE, lattice_noise, lattice_table

INKS = {  # of an abnormality, red, green and blue in 0..255
    "pink": (246, 150, 178),
    "red": (196, 16, 30),
    "white": (248, 246, 240),
    "yellow": (244, 214, 56),
    "grey": (134, 140, 146),
    "orange": (242, 128, 20),
    "brown": (112, 62, 28),
    "black": (24, 20, 24),
    "blue": (44, 84, 214),
    "purple": (132, 44, 158),
    "green": (52, 160, 66),
}


# abnormalities ----------------------------------------------------------------------------


def draw_polyp(scene: Scene, canvas: Canvas, polyp: Polyp, index: int) -> None:
    """Dome (is), head on a stalk (ip), or flat plateau with a rim (iia)."""
    key, radius = ("polyp", index), np.float32(polyp.mm * MM / 2)
    flat = polyp.type == "iia"
    window = canvas.window(polyp.x, polyp.y, 1.4 * float(radius) + 1.2 * scene.min_feature)
    if polyp.type == "ip":
        _draw_stalk(scene, canvas, polyp, key)
    dx, dy = canvas.around(window, polyp.x, polyp.y)
    ax, ay = np.float32(polyp.axis[0]), np.float32(polyp.axis[1])
    u = (dx * ax + dy * ay) / radius
    v = (dy * ax - dx * ay) / (radius * np.float32(0.55 if flat else 1))
    reach = np.sqrt(u * u + v * v)
    if canvas.coloured:  # the shadow on the wall
        halo = np.float32(max(0.32, 1.1 * scene.min_feature / float(radius)))
        canvas.shade(window, 1 - np.float32(0.5) * clamp((1 + halo - reach) / halo * 1.5))

    def colour() -> Array:
        if flat:
            light = np.where(reach > 0.78, np.float32(1.12), np.float32(0.9))
        else:
            tilt = (dx + dy) / radius
            light = 0.78 + 0.3 * np.sqrt(np.maximum(0, 1 - reach * reach)) - 0.12 * tilt
        return _patches(scene, canvas, window, polyp, u, v) * light.astype(np.float32)

    inside = (1 - reach) * radius * np.float32(0.55 if flat else 1)
    canvas.stamp(key, window, inside, colour)


def _draw_stalk(scene: Scene, canvas: Canvas, polyp: Polyp, key: Key) -> None:
    radius = polyp.mm * MM / 2
    width = max(0.36 * radius, 0.4 * scene.min_feature)
    far = 1.0 * radius + max(1.0 * radius, 0.8 * scene.min_feature)
    inside, window, across = capsule(canvas, (polyp.x, polyp.y), polyp.axis, 0, far, width)
    tone = tuple(0.9 * value for value in scene.palette)
    canvas.stamp(key, window, inside, ink(tone, 1.15 - 0.6 * across * across))


def _patches(
    scene: Scene, canvas: Canvas, window: Window, polyp: Polyp, u: Array, v: Array
) -> Array:
    """The listed colours as patches: the nearest of some seeds in the polyp's own disc decides."""
    colours = scene.colours
    repeats = 1 if polyp.mm < 10.5 else 2 if polyp.mm < 20.5 else 3
    count = len(colours) * repeats
    if count == 1:
        return ink(INKS[colours[0]])
    table = lattice_table().reshape(-1)
    rows, columns = canvas.y[window[0], 0], canvas.x[0, window[1]]
    wobble = lattice_noise(rows * 9 + scene.shifts[1], columns * 9 + scene.shifts[3]) - 0.5
    u, v = u + np.float32(0.7) * wobble, v - np.float32(0.7) * wobble
    best = np.full(u.shape, np.float32(99))
    which = np.zeros(best.shape, np.int64)
    for seed in range(count):
        px, py = _seed_place(seed, count, table[(polyp.salt + 7 * seed) % table.size])
        distance = (u - px) * (u - px) + (v - py) * (v - py)
        closer = distance < best
        best = np.where(closer, distance, best)
        which[closer] = seed % len(colours)
    palette = np.array([INKS[colour] for colour in colours], np.float32)
    return np.moveaxis(palette[which], -1, 0)


def _seed_place(seed: int, count: int, jitter: float) -> tuple[np.float32, np.float32]:
    """Places around a circle, on a rational parametrisation, near its rim and centre in turn."""
    t = np.float32(4 * ((seed + 0.5 * jitter) / count) - 2)  # -2..2, a half turn for each unit pair
    side = np.float32(1 if t < 0 else -1)
    s = t + side
    radius = np.float32(0.75 if count < 4 or seed % 2 else 0.4)
    square = s * s
    return radius * side * (1 - square) / (1 + square), radius * 2 * s / (1 + square)


def draw_area(scene: Scene, canvas: Canvas, disease: Disease) -> None:
    """Ulcerative colitis: a diffuse area without vessels, mottled with the listed colours."""
    window = canvas.window(disease.x, disease.y, disease.radius + 0.15)
    dx, dy = canvas.around(window, disease.x, disease.y)
    rows, columns = canvas.y[window[0], 0], canvas.x[0, window[1]]
    warp = lattice_noise(rows * 2.5 + scene.shifts[1], columns * 2.5 + scene.shifts[3])
    inside = np.float32(disease.radius) - np.sqrt(dx * dx + dy * dy) + (warp - 0.5) * 0.25

    def colour() -> Array:
        """Reddened mucosa with islands; which colour an island has is drawn for each cell."""
        i = np.floor(canvas.y[window[0]] * 2 + warp * 1.5 + scene.shifts[0]).astype(np.int64)
        j = np.floor(canvas.x[:, window[1]] * 2 - warp * 1.5 + scene.shifts[2]).astype(np.int64)
        drawn = lattice_table()[(i + disease.salt) % LATTICE, j % LATTICE]
        count = np.float32(len(scene.colours))
        palette = np.array([INKS[colour] for colour in scene.colours], np.float32)
        islands = np.moveaxis(palette[(drawn * count).astype(np.int64)], -1, 0)
        below = canvas.pixels[:, window[0], window[1]]
        fine = lattice_noise(rows * 2.5 + scene.shifts[3], columns * 2.5 + scene.shifts[0])
        light = np.minimum(0.7 + 0.3 * below[0] / np.float32(scene.palette[0]), 1.02)
        cover = 0.9 * clamp((fine - np.float32(0.42)) * 6)
        return below * ink((0.94, 0.84, 0.8)) * (1 - cover) + cover * islands * light

    canvas.stamp(("disease", 0), window, inside, colour)


def draw_streaks(scene: Scene, canvas: Canvas, disease: Disease) -> None:
    """Oesophagitis: tapering streaks that leave the lumen, the listed colours in turn."""
    count = max(disease.count, len(scene.colours))
    for index, (ax, ay, start, end, width) in enumerate(disease.streaks[:count]):
        inside, window, across = capsule(canvas, scene.lumen, (ax, ay), start, end, width)
        dx, dy = canvas.around(window, *scene.lumen)
        along = (dx * np.float32(ax) + dy * np.float32(ay) - np.float32(start)) / (end - start)
        inside = inside - np.float32(0.45 * width) * clamp(along.astype(np.float32))
        tone = INKS[scene.colours[index % len(scene.colours)]]
        canvas.stamp(("disease", 0), window, inside, ink(tone, 1 - 0.12 * across * across))


# landmarks --------------------------------------------------------------------------------


def draw_z_line(scene: Scene, canvas: Canvas, mark: Landmark) -> None:
    """Salmon mucosa inside a wavy closed line around the lumen, pale outside."""
    window = (slice(0, canvas.shape[0]), slice(0, canvas.shape[1]))
    dx, dy = canvas.around(window, *scene.lumen)
    radius = np.sqrt(dx * dx + dy * dy + np.float32(1e-4))
    cosine = (dx * np.float32(mark.axis[0]) + dy * np.float32(mark.axis[1])) / radius
    third = (4 * cosine * cosine - 3) * cosine
    sixth = 2 * third * third - 1
    wavy = mark.radius * (1 + mark.waves[0] * third + mark.waves[1] * sixth)
    depth = wavy.astype(np.float32) - radius
    if canvas.coloured:
        inner = canvas.coverage(depth)
        canvas.pixels *= 1 + inner * (ink((0.98, 0.66, 0.56)) - 1)
    band = np.float32(max(0.55 * scene.min_feature, 0.03)) - np.abs(depth)
    canvas.stamp(("landmark", 0), window, band, ink((255, 208, 150)))


def draw_cecum(scene: Scene, canvas: Canvas, mark: Landmark) -> None:
    """A slit-like orifice with a pale lip and three folds that converge on it."""
    key, (ax, ay) = ("landmark", 0), mark.axis
    narrow = max(0.35 * mark.radius, 0.6 * scene.min_feature)
    arms = (
        (-ay, ax),
        (0.5 * -ay - 0.866 * ax, 0.5 * ax - 0.866 * ay),
        (0.5 * -ay + 0.866 * ax, 0.5 * ax + 0.866 * ay),
    )
    for arm in arms:
        place = (mark.x, mark.y)
        inside, window, across = capsule(
            canvas, place, arm, 0.1, 2.3 * mark.radius, 0.6 * scene.min_feature
        )
        tone = tuple(min(255, 1.25 * value) for value in scene.palette)
        canvas.stamp(key, window, inside, ink(tone, 1.05 - 0.3 * across))
    for grow, colour in ((1.0, (214, 150, 112)), (0.62, (34, 14, 14))):
        window = canvas.window(mark.x, mark.y, mark.radius + narrow)
        dx, dy = canvas.around(window, mark.x, mark.y)
        along = (dx * np.float32(ax) + dy * np.float32(ay)) / np.float32(grow * mark.radius)
        side = (dy * np.float32(ax) - dx * np.float32(ay)) / np.float32(grow * narrow)
        inside = (1 - np.sqrt(along * along + side * side)) * np.float32(grow * narrow)
        canvas.stamp(key, window, inside, ink(colour))


def draw_pylorus(scene: Scene, canvas: Canvas, mark: Landmark) -> None:
    """A round dark opening in a thick bright ring."""
    window = canvas.window(mark.x, mark.y, mark.radius * 1.7)
    dx, dy = canvas.around(window, mark.x, mark.y)
    radius = np.sqrt(dx * dx + dy * dy)
    tone = tuple(min(255, 1.3 * value) for value in scene.palette)
    for grow, colour in ((1.7, tone), (1.0, (26, 12, 12))):
        inside = np.float32(grow * mark.radius) - radius
        canvas.stamp(("landmark", 0), window, inside, ink(colour))


def draw_ileum(scene: Scene, canvas: Canvas, mark: Landmark) -> None:
    """A patch of granular mucosa: a lattice of light grains."""
    window = canvas.window(mark.x, mark.y, mark.radius)
    dx, dy = canvas.around(window, mark.x, mark.y)
    inside = np.float32(mark.radius) - np.sqrt(dx * dx + dy * dy)

    def colour() -> Array:
        pitch = np.float32(max(1.6 * scene.min_feature, 0.08))
        u, v = dx / pitch - np.floor(dx / pitch) - 0.5, dy / pitch - np.floor(dy / pitch) - 0.5
        grain = clamp(1.2 - 5 * (u * u + v * v))
        return ink(scene.palette, (0.7 + 0.6 * grain) * mark.tint * 1.2)

    canvas.stamp(("landmark", 0), window, inside, colour)


LANDMARK_SHAPES = {
    "z-line": draw_z_line,
    "cecum": draw_cecum,
    "pylorus": draw_pylorus,
    "ileum": draw_ileum,
}


# instruments ------------------------------------------------------------------------------


def draw_instrument(scene: Scene, canvas: Canvas, tool: Instrument, index: int) -> None:
    key, tip = ("instrument", index), (tool.x, tool.y)
    wire = 0.5 * scene.min_feature

    def line(
        axis: tuple[float, float],
        start: float,
        end: float,
        width: float,
        colour: tuple[float, ...],
        origin: tuple[float, float] = tip,
    ) -> None:
        inside, window, across = capsule(canvas, origin, axis, start, end, width)
        canvas.stamp(key, window, inside, ink(colour, 1.1 - 0.45 * across * across))

    axis = tool.axis
    if tool.name == "tube":
        line(axis, 0, 3, tool.width + 0.02, (70, 72, 76))
        line(axis, 0, 3, tool.width, (176, 180, 186))
        line(axis, 0.12, 0.16, tool.width, (96, 100, 108))
    elif tool.name == "biopsy forceps":
        line(axis, 0, 3, tool.width, (96, 104, 118))
        for side in (-1, 1):
            jaw = _turned((-axis[0], -axis[1]), side * 0.6 * tool.spread)
            line(jaw, 0, 0.24, wire * 1.1, (166, 186, 206))
    elif tool.name == "polyp snare":
        line(axis, 0, 3, tool.width, (120, 168, 196))
        _draw_loop(canvas, key, tool, wire)
    elif tool.name == "metal clip":
        for width, colour in ((wire * 1.9, (30, 32, 38)), (wire, (196, 222, 250))):
            for side in (-1, 1):
                line(_turned(axis, side * 0.45 * tool.spread), 0, 0.34, width, colour)
    else:
        line(axis, 0, 0.34, wire * 0.9, (176, 214, 226))
        line(axis, 0.34, 3, tool.width, (40, 190, 205))


def _turned(axis: tuple[float, float], slope: float) -> tuple[float, float]:
    """A unit vector turned by the angle whose tangent is the slope."""
    x, y = axis[0] - slope * axis[1], axis[1] + slope * axis[0]
    norm = float(np.sqrt(x * x + y * y))
    return x / norm, y / norm


def _draw_loop(canvas: Canvas, key: Key, tool: Instrument, wire: float) -> None:
    """The elliptic wire of a snare, before the tip."""
    long, short = 0.24 * tool.spread, 0.16 * tool.spread
    x, y = tool.x - tool.axis[0] * long, tool.y - tool.axis[1] * long
    window = canvas.window(x, y, long + wire)
    dx, dy = canvas.around(window, x, y)
    ax, ay = np.float32(tool.axis[0]), np.float32(tool.axis[1])
    u, v = (dx * ax + dy * ay) / np.float32(long), (dy * ax - dx * ay) / np.float32(short)
    inside = np.float32(wire) - np.abs(np.sqrt(u * u + v * v) - 1) * np.float32(short)
    canvas.stamp(key, window, inside, ink((150, 206, 220)))
