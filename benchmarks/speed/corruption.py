"""Each image metric against a growing corruption of phantom radiographs, as a figure.

    python -m benchmarks.speed.corruption docs/images/corruption.svg [n]

Real images are n phantom studies of one split, generated ones n of another, with noise, with blur,
or collapsed: fewer and fewer different images, repeated. The features are radiomics, standardised
by the real set, so that the figure needs no network. It also prints the values, and which curves
do not get worse at every step."""

import sys
from collections.abc import Callable
from html import escape
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.metrics.declaration import known_metrics
from benchmarks.metrics.frechet import fid, radiomics_fd
from benchmarks.metrics.kernel import cmmd, kid, mmd_rbf_median
from benchmarks.metrics.manifold import manifold
from benchmarks.metrics.radiomics import describe
from benchmarks.metrics.structure import ms_ssim_k, psnr, ssim
from datamodules.phantom.cxr import address, draw_study, least_feature
from datamodules.phantom.cxr_render import render
from medbench.core.files import write_text

SIZE = 64
NOISE = (0, 0.01, 0.02, 0.03, 0.05, 0.08)  # standard deviation, of images in [-1, 1]
BLUR = (0, 0.4, 0.45, 0.5, 0.7, 1.0)  # of a Gaussian, in pixels
DIFFERENT = (1, 0.5, 0.1, 0.05, 0.02, 0.005)  # share of the images that is not a repetition
LEVELS = len(NOISE)
PANEL, GAP, COLUMNS = (168, 96), 36, 5
TOP, BOTTOM = 56, 12
COLOURS = {"noise": "#2f7f86", "blur": "#c2622d", "collapse": "#6b5b95"}
WIDE = 30  # an axis is logarithmic where the values spread over more than this
Curves = dict[str, dict[str, list[float]]]


def main() -> None:
    picture, n = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200
    curves = measure(draw_images("train", n), draw_images("test", n))
    for name, by_kind in curves.items():
        for kind, values in by_kind.items():
            print(f"{name:18s} {kind:8s}", *(f"{value:9.4g}" for value in values))
    for name, kind in not_worse(curves):
        print(f"{name} does not get worse at every step of {kind}")
    write_text(picture, draw(curves))


def draw_images(split: str, n: int) -> list[np.ndarray]:
    """Frontal phantom radiographs (1, SIZE, SIZE) in [-1, 1]."""
    found = []
    for i in range(n):
        study = draw_study(address(0, split, i), min_feature=least_feature(SIZE), projection="PA")
        found.append(np.asarray(render(study, SIZE)[0], np.float32)[None] / 127.5 - 1)
    return found


def corruptions(images: list[np.ndarray]) -> dict[str, Callable[[int], list[np.ndarray]]]:
    """By name, the images at a level from 0, as they are, to LEVELS - 1."""

    def noise(level: int) -> list[np.ndarray]:
        streams = (np.random.default_rng(i) for i in range(len(images)))
        pairs = zip(images, streams, strict=True)
        return [np.clip(x + NOISE[level] * s.normal(size=x.shape), -1, 1) for x, s in pairs]

    def blur(level: int) -> list[np.ndarray]:
        return [gaussian_filter(x, (0, BLUR[level], BLUR[level])) for x in images]

    def collapse(level: int) -> list[np.ndarray]:
        kept = max(1, round(DIFFERENT[level] * len(images)))
        return [images[i % kept] for i in range(len(images))]

    return {"noise": noise, "blur": blur, "collapse": collapse}


def measure(real: list[np.ndarray], fake: list[np.ndarray]) -> Curves:
    plain = np.stack([describe(image) for image in real])
    centre, spread = plain.mean(0), plain.std(0) + 1e-9
    curves: Curves = {}
    for kind, corrupted in corruptions(fake).items():
        for level in range(LEVELS):
            images = corrupted(level)
            found = np.stack([describe(image) for image in images])
            values = distances((plain - centre) / spread, (found - centre) / spread)
            values["radiomics_fd"] = radiomics_fd(plain, found)
            stream = np.random.default_rng(0)
            values["ms_ssim_k"] = float(ms_ssim_k(images, rng=stream, pairs=200).mean())
            if kind != "collapse":  # nothing is compared with its own original there
                values["ssim"] = float(ssim(fake, images).mean())
                values["psnr"] = float(psnr(fake, images).mean())
            for name, value in values.items():
                curves.setdefault(name, {}).setdefault(kind, []).append(value)
    return curves


def distances(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    stream = np.random.default_rng(0)
    whole = min(len(real), len(fake))
    return {
        "fid": fid(real, fake),
        "kid": kid(real, fake, rng=stream, subset_size=whole, subsets=1),
        "mmd_rbf_median": mmd_rbf_median(real, fake),
        "cmmd": cmmd(real, fake),
        **manifold(real, fake),
    }


def direction(name: str) -> str:
    """Of the metric that gives a value of this name."""
    return next(m.direction for m in known_metrics().values() if name in m.gives)


def not_worse(curves: Curves) -> list[tuple[str, str]]:
    """Curves with a step on which the value gets better."""
    sign = {name: 1 if direction(name) == "lower" else -1 for name in curves}
    return [
        (name, kind)
        for name, by_kind in curves.items()
        for kind, values in by_kind.items()
        if any(sign[name] * a > sign[name] * b for a, b in pairwise(values))
    ]


def draw(curves: Curves) -> str:
    """Small multiples as SVG: a panel for each metric, each with its own axis."""
    rows = -(-len(curves) // COLUMNS)
    width = COLUMNS * (PANEL[0] + GAP) + GAP // 2
    height = TOP + rows * (PANEL[1] + 2 * GAP) + BOTTOM
    panels = []
    for i, (name, by_kind) in enumerate(curves.items()):
        x = GAP + (i % COLUMNS) * (PANEL[0] + GAP)
        y = TOP + GAP // 2 + (i // COLUMNS) * (PANEL[1] + 2 * GAP)
        panels.append(f'<g transform="translate({x} {y})">{_panel(name, by_kind)}</g>')
    legend = "".join(
        f'<circle cx="{GAP + 5 + 90 * i}" cy="20" r="5" fill="{colour}"/>'
        f'<text x="{GAP + 16 + 90 * i}" y="24" font-size="13">{kind}</text>'
        for i, (kind, colour) in enumerate(COLOURS.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" fill="#222"><rect width="{width}" '
        f'height="{height}" fill="white"/>{legend}{"".join(panels)}</svg>\n'
    )


def _panel(name: str, by_kind: dict[str, list[float]]) -> str:
    width, height = PANEL
    known = np.array([v for values in by_kind.values() for v in values if np.isfinite(v)])
    low, high = float(known.min()), float(known.max())
    positive = known[known > 0]
    logarithmic = direction(name) == "lower" and high > WIDE * np.quantile(positive, 0.25)
    floor = float(positive.min())

    def place(value: float) -> float:
        """Height in the panel; what is not above 0 stands on the floor of a logarithmic axis."""
        if not np.isfinite(value):
            return 0.0
        if logarithmic:
            return height * float(np.log(high / max(value, floor)) / np.log(high / floor))
        return height * (high - value) / (high - low)

    lines = ""
    for kind, values in by_kind.items():
        points = [(i / (LEVELS - 1) * width, place(value)) for i, value in enumerate(values)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        lines += f'<polyline points="{path}" fill="none" stroke="{COLOURS[kind]}" '
        lines += 'stroke-width="2"/>'
        lines += "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{COLOURS[kind]}"/>' for x, y in points
        )
    worse = "worse &#8593;" if direction(name) == "lower" else "worse &#8595;"
    axis = "log axis, " if logarithmic else ""
    least = floor if logarithmic else low
    return (
        f'<text y="-8" font-weight="bold" font-size="12">{escape(name)}</text>'
        f'<text x="{width}" y="-8" text-anchor="end" fill="#777">{worse}</text>'
        f'<rect width="{width}" height="{height}" fill="#f6f7f7" stroke="#d5d9d9"/>{lines}'
        f'<text y="{height + 15}" fill="#777">as drawn</text>'
        f'<text x="{width}" y="{height + 15}" text-anchor="end" fill="#777">corrupted</text>'
        f'<text y="{height + 29}" fill="#777">{axis}{least:.3g} to {high:.3g}</text>'
    )


if __name__ == "__main__":
    main()
