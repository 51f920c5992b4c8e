"""One run as one self-contained page: values, adherence, samples, curves, config, provenance."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from medbench.core.files import read_json, write_text
from medbench.core.progress import clock
from medbench.report.curves import draw_curves, group_curves
from medbench.report.page import notice, page, section
from medbench.report.samples import draw_samples
from medbench.report.tables import draw_adherence, draw_facts, draw_stages, draw_values

REPORT = "report.html"


def build_report(run_folder: Path) -> Path:
    """Write `report.html` of a measured run and return its path."""
    result = read_json(run_folder / "result.json")
    title = f"{result['row']}, {result.get('scale', '')} scale"
    body = "".join(
        [
            _head(result),
            _notices(result),
            _adherence(result),
            _values(result),
            _samples(run_folder),
            _curves(result, run_folder),
            _config(run_folder),
            _provenance(result),
            "<footer>Written by medbench. This page is one file and loads nothing.</footer>",
        ]
    )
    write_text(run_folder / REPORT, page(title, body))
    return run_folder / REPORT


def _head(result: Mapping[str, Any]) -> str:
    data = result.get("data") or {}
    chips = {
        "scale": result.get("scale"),
        "data": data.get("name"),
        "protocol": result.get("protocol"),
        "seed": result.get("seed"),
        "run": result.get("run"),
        "attempt": result.get("attempt"),
    }
    shown = "".join(
        f"<span>{escape(name)} <b>{escape(str(value))}</b></span>"
        for name, value in chips.items()
        if value is not None
    )
    seconds = (result.get("provenance") or {}).get("seconds")
    took = f" The command took {clock(seconds)}." if seconds else ""
    return (
        f"<header><h1>{escape(str(result['row']))}</h1><p>Generated medical images, measured "
        f'against real ones.{took}</p><div class="chips">{shown}</div></header>'
    )


def _notices(result: Mapping[str, Any]) -> str:
    shown = ""
    if result.get("phantom"):
        shown += notice(
            "Phantom data",
            "The images and reports that this method learned from were computed, not taken from "
            "patients. The page shows that everything works and what can be measured; it says "
            "nothing about how the method does on patients' images.",
        )
    if result.get("untrained"):
        names = ", ".join(map(str, result["untrained"]))
        shown += notice(
            "Untrained", f"These stages were not trained (steps=0): {names}. A baseline, no result."
        )
    return shown


def _adherence(result: Mapping[str, Any]) -> str:
    drawn = draw_adherence(result["values"])
    lead = (
        "Do the images show what their prompts ask for? An automatic judge answers for each image; "
        "1 is always, 0 never. The bar is the generated images, the black mark real images, the "
        "red mark what 95 % of randomly exchanged prompts stay below."
    )
    return section("Prompt adherence", lead, drawn) if drawn else ""


def _values(result: Mapping[str, Any]) -> str:
    lead = (
        "Each value with its 95 % interval. The floor is what real images score against other "
        "real images at the same number: no method can be expected to do better. Arrows point to "
        "better values. The code under the extractor names what a value may be compared with."
    )
    return section("Measured values", lead, draw_values(result["values"]))


def _samples(run_folder: Path) -> str:
    lead = "Left what the method drew for a prompt, right the real image that has this prompt."
    return section("Samples", lead, draw_samples(run_folder))


def _curves(result: Mapping[str, Any], run_folder: Path) -> str:
    drawn = ""
    for stage in result.get("stages") or []:
        groups = group_curves(_stage_metrics(stage, run_folder).get("curves") or {})
        if groups:
            charts = "".join(draw_curves(name, lines) for name, lines in groups.items())
            reused = " (fitted earlier)" if str(stage.get("action", "")).startswith("reuse") else ""
            heading = f"<h3>{escape(str(stage['name']))}{reused}</h3>"
            drawn += f'{heading}<div class="charts">{charts}</div>'
    lead = "Loss over training steps: pale the single points, bold their running mean."
    return section("Training", lead, drawn or '<p class="quiet">No curves were recorded.</p>')


def _stage_metrics(stage: Mapping[str, Any], run_folder: Path) -> dict[str, Any]:
    """metrics.json of a stage, also after the output folder was moved."""
    folder = Path(str(stage.get("folder", "")))
    moved = run_folder.absolute().parent.parent / "stages" / folder.name
    for place in (folder, moved):
        if (place / "metrics.json").is_file():
            return read_json(place / "metrics.json")
    return {}


def _config(run_folder: Path) -> str:
    path = run_folder / "config.yaml"
    if not path.is_file():
        return ""
    text = escape(path.read_text(encoding="utf-8"))
    shown = f"<details><summary>config.yaml</summary><pre>{text}</pre></details>"
    return section("Composed config", "Every setting of this run.", shown)


def _provenance(result: Mapping[str, Any]) -> str:
    facts = result.get("provenance") or {}
    content = draw_stages(result.get("stages") or [])
    content += f"<details><summary>machine and versions</summary>{draw_facts(facts)}</details>"
    return section("Provenance", "What made this result.", content)
