"""Each image metric against a growing corruption of phantom radiographs, as a figure.

    python -m benchmarks.speed.corruption docs/images/corruption.svg [n]

Real images are n phantom studies of one split, generated ones n of another, with noise, blur or
half of the set replaced by one image. The features are radiomics, standardised by the real set, so
that the figure needs no network: a metric should get worse from left to right."""

import sys
from collections.abc import Callable
from html import escape
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.metrics.frechet import fid, radiomics_fd
from benchmarks.metrics.kernel import cmmd, kid, mmd_rbf_median
from benchmarks.metrics.manifold import manifold
from benchmarks.metrics.radiomics import describe
from benchmarks.metrics.structure import ms_ssim_k, psnr, ssim
from datamodules.phantom.cxr import address, draw_study, least_feature
from datamodules.phantom.cxr_render import render
from medbench.core.files import write_text

SIZE, LEVELS = 64, 6
PANEL, GAP, COLUMNS = (150, 90), 34, 5
COLOURS = {"noise": "#2f7f86", "blur": "#c2622d", "repeats": "#6b5b95"}
Curves = dict[str, dict[str, list[float]]]


def main() -> None:
    picture, n = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200
    curves = measure(draw_images("train", n), draw_images("test", n))
    for name, by_kind in curves.items():
        for kind, values in by_kind.items():
            print(f"{name:18s} {kind:8s}", *(f"{value:9.4g}" for value in values))
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
        return [np.clip(x + 0.06 * level * s.normal(size=x.shape), -1, 1) for x, s in pairs]

    def blur(level: int) -> list[np.ndarray]:
        return [gaussian_filter(x, (0, 0.5 * level, 0.5 * level)) for x in images]

    def repeats(level: int) -> list[np.ndarray]:
        count = level * len(images) // LEVELS
        return [images[0]] * count + images[count:]

    return {"noise": noise, "blur": blur, "repeats": repeats}


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
            if kind != "repeats":  # nothing is compared with its own original there
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


def draw(curves: Curves) -> str:
    """Small multiples as SVG: a panel for each metric, each with its own axis."""
    rows = -(-len(curves) // COLUMNS)
    width, height = COLUMNS * (PANEL[0] + GAP) + GAP, rows * (PANEL[1] + 2 * GAP) + GAP
    panels = []
    for i, (name, by_kind) in enumerate(curves.items()):
        x = GAP + (i % COLUMNS) * (PANEL[0] + GAP)
        y = GAP + (i // COLUMNS) * (PANEL[1] + 2 * GAP)
        panels.append(f'<g transform="translate({x} {y})">{_panel(name, by_kind)}</g>')
    legend = "".join(
        f'<text x="{GAP + 80 * i}" y="{height - 12}" fill="{colour}">{kind}</text>'
        for i, (kind, colour) in enumerate(COLOURS.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11"><rect width="{width}" height="{height}" '
        f'fill="white"/>{"".join(panels)}{legend}</svg>\n'
    )


def _panel(name: str, by_kind: dict[str, list[float]]) -> str:
    width, height = PANEL
    known = [v for values in by_kind.values() for v in values if np.isfinite(v)]
    low, high = min(known), max(known)
    scale = height / (high - low) if high > low else 0
    lines = ""
    for kind, values in by_kind.items():
        points = " ".join(
            f"{i / (LEVELS - 1) * width:.1f},{(high - value) * scale:.1f}"
            for i, value in enumerate(values)
            if np.isfinite(value)
        )
        lines += f'<polyline points="{points}" fill="none" stroke="{COLOURS[kind]}" '
        lines += 'stroke-width="2"/>'
    return (
        f'<text y="-7" font-weight="bold">{escape(name)}</text>'
        f'<rect width="{width}" height="{height}" fill="#f6f7f7" stroke="#d5d9d9"/>{lines}'
        f'<text y="{height + 14}">{low:.3g} to {high:.3g}</text>'
    )


if __name__ == "__main__":
    main()
