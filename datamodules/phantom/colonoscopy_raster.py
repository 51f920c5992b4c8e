"""From the parameters of a colonoscopy frame to its pixels and masks.

A shape is a function of frame coordinates; a grid only chooses where it is evaluated. So every
fourth pixel of a large frame is the pixel of a small one drawn with the same `of`."""

from functools import cache

import numpy as np

from datamodules.phantom.canvas import Array, Canvas, draw_rectangle, ink
from datamodules.phantom.colonoscopy_objects import (
    LANDMARK_SHAPES,
    draw_area,
    draw_instrument,
    draw_polyp,
    draw_streaks,
)
from datamodules.phantom.colonoscopy_scene import Scene
from datamodules.phantom.streams import GRAIN, grain_table, lattice_noise

KINDS = ("polyp", "disease", "landmark", "instrument", "box", "text")
GLYPHS = (  # 0-9 and A-Z, five digits each: a row of three dots as an octal digit
    "755572622771747713175571174717747577122275757"
    "757172575565656344436555674647746443455355755"
    "722271115655655444475775557775755577574475563"
    "656553421672222555575555255775552555522271247"
)


def rasterise(scene: Scene, canvas: Canvas) -> Array:
    """Draw a scene; returns the field of view, (H, W) bool. Artefacts come only with colours."""
    if canvas.coloured:
        paint_wall(scene, canvas)
    if scene.landmark:
        LANDMARK_SHAPES[scene.landmark.name](scene, canvas, scene.landmark)
    if scene.disease:
        draw = draw_area if scene.disease.name == "ulcerative colitis" else draw_streaks
        draw(scene, canvas, scene.disease)
    if canvas.coloured:
        paint_speculars(scene, canvas)
    order = sorted(enumerate(scene.polyps), key=lambda item: -item[1].mm)
    # Small polyps lie over the instruments and large ones under: neither hides the other wholly.
    for index, polyp in order:
        if polyp.mm > 10.5:
            draw_polyp(scene, canvas, polyp, index)
    for index, tool in enumerate(scene.instruments):
        draw_instrument(scene, canvas, tool, index)
    for index, polyp in order:
        if polyp.mm <= 10.5:
            draw_polyp(scene, canvas, polyp, index)
    if canvas.coloured:
        add_grain(scene, canvas)
    field = draw_border(scene, canvas)
    if canvas.coloured:
        draw_panel(scene, canvas)
        draw_box(scene, canvas)
    return field


# the wall ---------------------------------------------------------------------------------


def paint_wall(scene: Scene, canvas: Canvas) -> None:
    """Mucosa around a dark lumen: rings of three-lobed folds in the colon, long folds above it."""
    dx, dy = canvas.x - np.float32(scene.lumen[0]), canvas.y - np.float32(scene.lumen[1])
    square = dx * dx + dy * dy
    radius = np.sqrt(square + np.float32(1e-4))
    frequency, depth, ax, ay = (np.float32(value) for value in scene.folds)
    cosine = (dx * ax + dy * ay) / radius
    lobes = (4 * cosine * cosine - 3) * cosine  # cos 3t
    fade = np.minimum(1, radius * 4)
    if scene.procedure == "colonoscopy":
        along = frequency * (1 + np.float32(0.14) * lobes) / (radius + np.float32(0.16))
        saw = along - np.floor(along)
        folds = 1 - depth * fade * saw * saw
    else:
        waves = 2 * lobes * lobes - 1  # cos 6t
        folds = 1 - depth * np.float32(1.5) * fade * (np.float32(0.5) - np.float32(0.5) * waves)
    light = np.float32(0.1) + np.float32(1.3) * radius / (radius + np.float32(0.42))
    light = np.minimum(light, 1.04) - np.float32(0.1) * square
    row, column = scene.shifts[0], scene.shifts[1]
    cloud = lattice_noise(canvas.y[:, 0] * 3 + row, canvas.x[0] * 3 + column)
    canvas.pixels[:] = ink(scene.palette, light * folds * (np.float32(0.9) + cloud * 0.2))
    inflamed = scene.disease is not None and scene.disease.name == "ulcerative colitis"
    if scene.vessels and not inflamed:
        paint_vessels(scene, canvas, cloud)


def paint_vessels(scene: Scene, canvas: Canvas, cloud: Array) -> None:
    """Fine vessels: ridges of noise, darker in green and blue."""
    row, column = scene.shifts[2], scene.shifts[3]
    fine = lattice_noise(canvas.y[:, 0] * 7 + row, canvas.x[0] * 7 + column)
    ridge = np.abs(cloud * np.float32(0.6) + fine * np.float32(0.4) - np.float32(0.5))
    line = np.maximum(0, 1 - ridge / np.float32(0.035)) * np.float32(scene.vessels)
    canvas.pixels *= 1 - line * ink((0.4, 1.0, 0.8))


def paint_speculars(scene: Scene, canvas: Canvas) -> None:
    for x, y, radius in scene.speculars:
        window = canvas.window(x, y, radius)
        dx, dy = canvas.around(window, x, y)
        inside = np.float32(radius) - np.sqrt(dx * dx + dy * dy)
        canvas.stamp(None, window, inside, ink((250, 222, 204)))


def add_grain(scene: Scene, canvas: Canvas) -> None:
    """Sensor noise of two grey levels, a function of the pixel's place in the `of` grid."""
    rows = (canvas.rows + int(scene.shifts[2])) % GRAIN
    columns = (canvas.columns + int(scene.shifts[3])) % GRAIN
    canvas.pixels += np.float32(2) * grain_table()[rows[:, None], columns]


# what lies over the picture -----------------------------------------------------------------


def draw_border(scene: Scene, canvas: Canvas) -> Array:
    """Black outside the field of view, a rectangle with cut corners; returns the field."""
    width, height, cut = (np.float32(value) for value in scene.border)
    x, y = np.abs(canvas.x), np.abs(canvas.y)
    inside = np.minimum(np.minimum(width - x, height - y), (cut - x - y) * np.float32(0.7071068))
    if canvas.coloured:
        canvas.pixels *= canvas.coverage(inside)
        canvas.pixels += 6
    return inside > 0


@cache
def glyph_table() -> Array:
    """(36, 7, 4) dots of the glyphs with the gaps below and beside them, bool."""
    digits = np.array([int(digit) for digit in GLYPHS]).reshape(-1, 5)
    dots = digits[:, :, None] >> np.array([2, 1, 0]) & 1
    return np.pad(dots, ((0, 0), (0, 2), (0, 1))).astype(bool)


def draw_panel(scene: Scene, canvas: Canvas) -> None:
    """Rows of glyphs at the upper left, on black; bars, where dots would be too fine to keep."""
    if scene.panel is None:
        return
    rows, columns, glyphs = scene.panel
    dot = min(max(0.4 * scene.min_feature, 0.012), 0.032)
    left, top, wide, high = -0.97, -0.95, 4 * columns * dot, 7 * rows * dot
    window = draw_rectangle(
        canvas, ("text", 0), left - 0.02, top - 0.03, wide, high + 0.02, (8, 8, 8)
    )
    dots = glyph_table()[list(glyphs[: rows * columns])].reshape(rows, columns, 7, 4)
    tone = 235
    if dot < scene.min_feature / 2:
        tone = 120
        dots = np.broadcast_to((np.arange(7) < 5)[:, None], dots.shape)
    bitmap = np.zeros((7 * rows + 2, 4 * columns + 2), bool)
    bitmap[1:-1, 1:-1] = dots.swapaxes(1, 2).reshape(7 * rows, 4 * columns)
    dx, dy = canvas.around(window, left, top)
    i = np.floor(dy[:, 0] / np.float32(dot)).astype(np.int64)
    j = np.floor(dx[0] / np.float32(dot)).astype(np.int64)
    i, j = np.clip(i, -1, 7 * rows) + 1, np.clip(j, -1, 4 * columns) + 1
    canvas.pixels[:, window[0], window[1]][:, bitmap[i[:, None], j]] = tone


def draw_box(scene: Scene, canvas: Canvas) -> None:
    """The position box at the lower left, green or black, with the outline of the scope in it."""
    if scene.box is None:
        return
    colour, wide, high = scene.box
    key, left, top = ("box", 0), -0.97, 0.97 - scene.box[2]
    frame = max(0.35 * scene.min_feature, 0.03)
    fill, edge = (
        ((24, 150, 62), (120, 230, 140)) if colour == "green" else ((4, 4, 4), (90, 92, 96))
    )
    draw_rectangle(canvas, key, left, top, wide, high, edge)
    inner = (left + frame, top + frame, wide - 2 * frame, high - 2 * frame)
    draw_rectangle(canvas, key, *inner, fill)
    x, y, radius = left + wide / 2, top + high / 2, 0.28 * high
    window = canvas.window(x, y, radius + frame)
    dx, dy = canvas.around(window, x, y)
    ring = np.float32(frame) - np.abs(np.sqrt(dx * dx + dy * dy) - np.float32(radius))
    inside = np.minimum(ring, dy + dx * np.float32(0.5) + np.float32(0.3 * radius))
    canvas.stamp(key, window, inside, ink((232, 240, 150)))
