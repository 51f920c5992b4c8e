"""What more training buys: adherence of one method's runs against the steps of its last stage.

    python -m benchmarks.speed.adherence out=outputs docs/images/adherence.svg

Reads the results that runs have left (such as `method=msdm stages.diffusion.steps=600`), prints a
Markdown table and draws the templates as lines between chance and what real frames reach."""

import sys
from html import escape
from pathlib import Path
from typing import Any

from medbench.core.files import read_json, write_text

PANEL, GAP, COLUMNS = (210, 130), 26, 4


def main() -> None:
    out, picture = Path(sys.argv[1].removeprefix("out=")), Path(sys.argv[2])
    results = [read_json(path) for path in sorted(out.glob("runs/*/result.json"))]
    runs = sorted((steps(result), values(result)) for result in results)
    names = sorted(runs[-1][1])
    print("| steps | " + " | ".join(names) + " |")
    print("| --- " * (len(names) + 1) + "|")
    for count, found in runs:
        print(f"| {count:,} | " + " | ".join(f"{found[n]['value']:.2f}" for n in names) + " |")
    for label, pick in (("chance, 97.5 %", "high"), ("real frames", "ceiling")):
        row = [_beside(runs[-1][1][name], pick) for name in names]
        print(f"| {label} | " + " | ".join(f"{value:.2f}" for value in row) + " |")
    write_text(picture, draw(runs, names))


def steps(result: dict[str, Any]) -> int:
    """The steps of the stage that draws: the last one that is not the judge's."""
    own = [s for s in result["stages"] if s["name"].startswith(f"{result['method']}.")]
    return int(own[-1]["steps"])


def values(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        value["name"].removeprefix("adherence/"): value
        for value in result["values"]
        if value["name"].startswith("adherence/")
    }


def _beside(value: dict[str, Any], pick: str) -> float:
    return float(value["ceiling"] if pick == "ceiling" else value["chance"]["high"])


def draw(runs: list[tuple[int, dict[str, dict[str, Any]]]], names: list[str]) -> str:
    """Small multiples as SVG: a panel for each template, from 0 to 1."""
    rows = -(-len(names) // COLUMNS)
    width, height = COLUMNS * (PANEL[0] + GAP) + GAP, rows * (PANEL[1] + 2 * GAP) + GAP
    panels = []
    for i, name in enumerate(names):
        x = GAP + (i % COLUMNS) * (PANEL[0] + GAP)
        y = GAP + (i // COLUMNS) * (PANEL[1] + 2 * GAP)
        panels.append(f'<g transform="translate({x} {y})">{_panel(runs, name)}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11"><rect width="{width}" height="{height}" '
        f'fill="white"/>{"".join(panels)}</svg>\n'
    )


def _panel(runs: list[tuple[int, dict[str, dict[str, Any]]]], name: str) -> str:
    width, height = PANEL
    most = max(count for count, _ in runs)

    def place(count: int, value: float) -> str:
        return f"{count / most * width:.1f},{(1 - value) * height:.1f}"

    last = runs[-1][1][name]
    ours = " ".join(place(count, found[name]["value"]) for count, found in runs)
    chance = " ".join(place(count, found[name]["chance"]["high"]) for count, found in runs)
    real = (1 - last["ceiling"]) * height
    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="2.5" fill="#2f7f86"/>'
        for x, y in (point.split(",") for point in ours.split())
    )
    return (
        f'<text y="-7" font-weight="bold">{escape(name.replace("_", " "))}</text>'
        f'<rect width="{width}" height="{height}" fill="#f6f7f7" stroke="#d5d9d9"/>'
        f'<line x2="{width}" y1="{real:.1f}" y2="{real:.1f}" stroke="#c2622d"/>'
        f'<polyline points="{chance}" fill="none" stroke="#8a8f8f" stroke-dasharray="4 3"/>'
        f'<polyline points="{ours}" fill="none" stroke="#2f7f86" stroke-width="2"/>{dots}'
        f'<text y="{height + 14}">0</text>'
        f'<text x="{width}" y="{height + 14}" text-anchor="end">{most:,} steps</text>'
    )


if __name__ == "__main__":
    main()
