"""Generated images beside the real ones of the same requests."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from medbench.core.errors import UserError
from medbench.core.images import decode_image
from medbench.core.sample_set import MANIFEST, read_manifest

PAIRS = 24
SIDE = 256  # pixels of a picture's longer side in the page
LONGEST = 260  # characters of a prompt before it is cut
SEE = ("text", "labels", "age", "race")  # keys of a request that say what was asked for


def draw_samples(run_folder: Path) -> str:
    """The grid, or a sentence where there are no samples."""
    folder = run_folder / "samples"
    if not (folder / MANIFEST).is_file():
        return '<p class="quiet">This run left no sample set.</p>'
    lines = choose(read_manifest(folder), run_folder)
    return f'<div class="pairs">{"".join(_pair(line, run_folder) for line in lines)}</div>'


def choose(lines: Sequence[Mapping[str, Any]], run_folder: Path) -> list[Mapping[str, Any]]:
    """Up to 24 samples, arm after arm in turn; those with a real image and a new prompt first."""
    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        by_arm.setdefault(line["arm"], []).append(line)
    queues = [_in_order(arm, run_folder) for arm in by_arm.values()]
    turns = [queue[turn] for turn in range(PAIRS) for queue in queues if turn < len(queue)]
    chosen = turns[:PAIRS]
    places = {name: place for place, name in enumerate(by_arm)}
    return sorted(chosen, key=lambda line: (places[line["arm"]], line["index"]))


def _in_order(lines: Sequence[Mapping[str, Any]], run_folder: Path) -> list[Mapping[str, Any]]:
    seen: set[str] = set()
    ranked = []
    for line in lines:
        prompt = prompt_of(line["request"])
        has_real = real_path(run_folder, line).is_file()
        ranked.append((not has_real, prompt in seen, line["index"], line))
        if has_real:
            seen.add(prompt)
    return [line for *_, line in sorted(ranked, key=lambda item: item[:3])]


def real_path(run_folder: Path, line: Mapping[str, Any]) -> Path:
    """The real image of a sample's request."""
    return run_folder / "real" / line["arm"] / f"{line['index']:06d}.png"


def prompt_of(request: Mapping[str, Any]) -> str:
    """What was asked for, as one line."""
    if isinstance(request.get("text"), str):
        return request["text"]
    asked = [f"{key}: {request[key]}" for key in SEE if request.get(key) is not None]
    return ", ".join(asked) or "no condition"


def _pair(line: Mapping[str, Any], run_folder: Path) -> str:
    prompt = prompt_of(line["request"])
    cut = prompt if len(prompt) <= LONGEST else prompt[: LONGEST - 1] + "…"
    real = real_path(run_folder, line)
    pictures = picture("generated", run_folder / "samples" / line["file"])
    if real.is_file():
        pictures += picture("real", real)
    about = f"{line['arm']} {line['index']}"
    return (
        f'<figure class="pair"><div class="two">{pictures}</div>'
        f'<figcaption title="{escape(prompt)} (seed {line["seed"]})"><span>{escape(cut)}</span>'
        f"<small>{escape(about)}</small></figcaption></figure>"
    )


def picture(kind: str, path: Path) -> str:
    """One image with its kind under it; one that cannot be read says so in its place."""
    try:
        source = data_uri(path)
    except UserError:
        return f'<div class="shot"><div class="absent">cannot be read</div><b>{kind}</b></div>'
    return f'<div class="shot {kind}"><img alt="{kind}" src="{source}"><b>{kind}</b></div>'


def data_uri(path: Path, side: int = SIDE) -> str:
    """An image file as an 8-bit PNG that fits into `side` pixels, inside an address."""
    from PIL import Image

    values = decode_image(path)
    grey = np.rint((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)
    image = Image.fromarray(grey[0] if len(grey) == 1 else grey.transpose(1, 2, 0))
    if max(image.size) > side:
        image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
