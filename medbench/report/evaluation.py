"""What `evaluate` found as one self-contained page."""

import base64
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from medbench.core.errors import UserError
from medbench.core.files import write_text
from medbench.report.page import notice, page, section
from medbench.report.tables import draw_adherence, draw_facts, draw_values

SHOWN, SIDE = 12, 192


def build_page(result: Mapping[str, Any], sets: Any, path: Path) -> Path:
    """Write the page of a measured folder."""
    about = result["provenance"]
    against = about.get("real") or f"data {about.get('data')}"
    head = (
        f"<header><h1>{escape(str(result['row']))}</h1><p>Generated images of "
        f"<code>{escape(str(about['fake']))}</code>, measured against "
        f"<code>{escape(str(against))}</code> under the protocol "
        f"<b>{escape(str(result['protocol']))}</b>.</p></header>"
    )
    told = "".join(notice("Mind", line) for line in about["warnings"])
    told += "".join(notice("Not measured", line) for line in about["left_out"])
    values = result["values"]
    adherence = draw_adherence(values)
    judged = "Do the images show what their prompts ask for? The red mark is what 95 % of randomly "
    judged += "exchanged prompts stay below, the black one real images."
    lead = (
        "Each value with its 95 % interval. The floor is what real images score against other real "
        "images at the same number: no method can be expected to do better. Arrows point to better "
        "values."
    )
    parts = [
        head,
        told,
        section("Measured values", lead, draw_values(values)),
        section("Prompt adherence", judged, adherence) if adherence else "",
        section("Images", "The first of each set, as they were measured.", _images(sets)),
        section("Provenance", "What made this result.", draw_facts(_facts(about))),
        "<footer>Written by medbench. This page is one file and loads nothing.</footer>",
    ]
    write_text(path, page(f"{result['row']}, {result['protocol']}", "".join(parts)))
    return path


def _facts(about: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in about.items() if k not in ("left_out", "warnings")}


def _images(sets: Any) -> str:
    drawn = "".join(_row(f"generated ({name})", s) for name, s in sets.fakes.items())
    seen: set[str] = set()
    for name, source in sets.reals.items():
        if source.fingerprint not in seen:
            drawn += _row(f"real ({name})", source)
        seen.add(source.fingerprint)
    return drawn


def _row(title: str, source: Any) -> str:
    """The first images of a set, a caption under each."""
    pictures = ""
    for index in range(min(SHOWN, len(source))):
        try:
            sample = source.samples[index]
        except UserError:
            continue
        text = str(sample.get("text", sample["sample_id"]))[:120]
        pictures += (
            f'<figure class="pair"><div class="shot"><img alt="" src="{as_uri(sample["image"])}">'
            f"</div><figcaption><span>{escape(text)}</span></figcaption></figure>"
        )
    return f"<h3>{escape(title)}</h3><div class='pairs small'>{pictures}</div>"


def as_uri(image: np.ndarray, side: int = SIDE) -> str:
    """A (C, H, W) image, or the middle slice of a (C, D, H, W) volume, inside an address."""
    from PIL import Image

    if image.ndim == 4:
        image = image[:, image.shape[1] // 2, ::-1]  # the front of the patient is up
    grey = np.rint((np.clip(image, -1, 1) + 1) * 127.5).astype(np.uint8)
    drawn = Image.fromarray(grey[0] if len(grey) == 1 else grey.transpose(1, 2, 0))
    if max(drawn.size) > side:
        drawn.thumbnail((side, side))
    buffer = io.BytesIO()
    drawn.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
