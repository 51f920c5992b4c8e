"""Curves of a fit as inline SVG: drawn by hand, since a chart of two lines needs no library."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Points = list[tuple[float, float]]

WIDTH, HEIGHT = 520, 250
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 36
MOST_POINTS = 400
COLOURS = {"train": "#2f7f86", "val": "#c2622d"}
OTHER = ("#5b6abf", "#8a6d3b", "#7a4f8f", "#4a4a4a")


def group_curves(curves: Mapping[str, Any]) -> dict[str, dict[str, Points]]:
    """{quantity: {who: points}} from names such as `train/loss` and `val/loss`."""
    groups: dict[str, dict[str, Points]] = {}
    for name, raw in curves.items():
        who, _, quantity = str(name).partition("/")
        points = [(float(s), float(v)) for s, v in raw if v is not None]
        points = [(s, v) for s, v in points if math.isfinite(v)]
        if points:
            groups.setdefault(quantity or who, {})[who if quantity else "train"] = points
    return dict(sorted(groups.items(), key=lambda item: (item[0] != "loss", item[0])))


def draw_curves(title: str, lines: Mapping[str, Points]) -> str:
    """One chart; the lines of `lines` share its axes."""
    values = [v for points in lines.values() for _, v in points]
    steps = [s for points in lines.values() for s, _ in points]
    log = min(values) > 0 and max(values) / min(values) > 50
    x = Axis(min(steps), max(steps), LEFT, WIDTH - RIGHT)
    y = Axis(min(values), max(values), HEIGHT - BOTTOM, TOP, log)
    drawn = "".join(_line(who, points, x, y, i) for i, (who, points) in enumerate(lines.items()))
    return (
        f'<figure class="chart"><figcaption>{escape(title)}{" (log scale)" if log else ""}'
        f"{_legend(lines)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{_grid(x, y)}{drawn}</svg></figure>"
    )


class Axis:
    """From values to places in the picture."""

    def __init__(
        self, low: float, high: float, start: float, end: float, log: bool = False
    ) -> None:
        self.log = log
        low, high = self._scale(low), self._scale(high)
        margin = 0.0 if start < end else 0.05 * (high - low)  # steps fill the width
        if high == low:
            margin = abs(low) * 0.1 or 1.0
        self.low, self.high, self.start, self.end = low - margin, high + margin, start, end

    def _scale(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def place(self, value: float) -> float:
        share = (self._scale(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Four to eight round values within the axis."""
        low, high = self.low, self.high
        if self.log:
            decades = range(math.floor(low), math.ceil(high) + 1)
            factors = (1, 2, 5) if high - low < 3 else (1,)
            found = [f * 10.0**d for d in decades for f in factors]
            return [v for v in found if low <= math.log10(v) <= high]
        raw = (high - low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= raw)
        first = math.ceil(low / step)
        return [k * step for k in range(first, math.floor(high / step) + 1)]


def _grid(x: Axis, y: Axis) -> str:
    parts = []
    for value in y.ticks():
        at = y.place(value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>'
            f'<text x="{LEFT - 7}" y="{at + 3.5:.1f}" text-anchor="end">{_spell(value)}</text>'
        )
    base = HEIGHT - BOTTOM
    for value in x.ticks():
        at = x.place(value)
        parts.append(
            f'<text x="{at:.1f}" y="{base + 16}" text-anchor="middle">{_spell(value)}</text>'
        )
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}" class="axis"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">step</text>')
    return "".join(parts)


def _spell(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _line(who: str, points: Points, x: Axis, y: Axis, place: int) -> str:
    """Few points with dots; many as a pale line with its running mean over it."""
    colour = _colour(who, place)
    if len(points) <= 40:
        dots = "".join(
            f'<circle cx="{x.place(s):.1f}" cy="{y.place(v):.1f}" r="2.6" fill="{colour}"/>'
            for s, v in points
        )
        return _path(points, x, y, colour, 1.8, 1.0) + dots
    pale = _path(thin(points), x, y, colour, 1.0, 0.35)
    return pale + _path(thin(smooth(points)), x, y, colour, 2.2, 1.0)


def _path(points: Points, x: Axis, y: Axis, colour: str, width: float, opacity: float) -> str:
    d = "M" + "L".join(f"{x.place(s):.1f},{y.place(v):.1f}" for s, v in points)
    style = f'stroke="{colour}" stroke-width="{width}" stroke-opacity="{opacity}"'
    return f'<path d="{d}" fill="none" stroke-linejoin="round" {style}/>'


def _legend(lines: Mapping[str, Points]) -> str:
    keys = [
        f'<span class="key"><i style="background:{_colour(who, place)}"></i>{escape(who)}</span>'
        for place, who in enumerate(lines)
    ]
    return "".join(keys)


def _colour(who: str, place: int) -> str:
    return COLOURS.get(who, OTHER[place % len(OTHER)])


def smooth(points: Points) -> Points:
    """The mean over a window of a twentieth of the curve around each point."""
    half = max(1, len(points) // 40)
    sums = [0.0]
    for _, value in points:
        sums.append(sums[-1] + value)
    found = []
    for i, (step, _) in enumerate(points):
        low, high = max(0, i - half), min(len(points), i + half + 1)
        found.append((step, (sums[high] - sums[low]) / (high - low)))
    return found


def thin(points: Sequence[tuple[float, float]]) -> Points:
    """At most so many points as a picture can show, first and last among them."""
    if len(points) <= MOST_POINTS:
        return list(points)
    stride = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(i * stride)] for i in range(MOST_POINTS)]
