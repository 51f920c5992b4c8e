"""ImageCLEFmed MEDVQA-GI 2024, image synthesis: frames, the table of prompts, the test prompts.

Dev-Dataset/images/<25 characters>.jpg   Dev-Dataset/prompt-gt.csv   test-prompts.txt"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from datamodules.phantom import colonoscopy
from datamodules.phantom.colonoscopy_scene import PURPOSES, Scene, draw_scene
from datamodules.phantom.colonoscopy_words import BLOCKS, Facts
from datamodules.phantom.prompt_noise import noisy_prompts
from datamodules.phantom.prompts import PINK_FINDINGS
from datamodules.phantom.writing import Traps, steps, write_truth
from datamodules.phantom_colonoscopy import frame_name
from medbench.core.seeds import rng

VERSION = colonoscopy.VERSION
QUIRKS = {
    "semicolon": "the table is separated by semicolons, with the header Prompt;Filename",
    "crlf": "lines of the table end with CR LF",
    "doubled_article": "places read `an an abnormality located in ...`",
    "misspelt_cell": "a landmark lies in the `lower-rigth`",
    "joined_names": "two instruments are joined without blanks, as `snareandtube`",
    "blank_in_size": "one of the four sizes is written `< 5mm`",
    "pink_findings": "one row says `an image with Pink findings.` in place of a count",
    "mixed_sizes": "frames have several sizes and aspects",
    "class_in_name": "the first six characters of a file name tell its block",
    "no_extensions": "names=bare: Filename has no extension",
    "paraphrase_column": "table=captions: commas, and a third column Paraphrase",
}
PREFIXES = dict(zip(BLOCKS, ("cl8k2u", "cla820", "clb0kv", "clb0lb"), strict=True))
HEIGHTS = (1.0, 1.0, 1.125, 1.0, 1.75)  # of the real mix: 720 x 576 is the most common
PINK_AT = 2  # the image that has the slip, among those of the forced traps
TEST_SHARE = 2.5  # test prompts for each image
FORCED: dict[int, Callable[[Facts], bool]] = {  # place of an image: what its frame must show
    3: lambda facts: facts.kinds == ("polyp snare", "tube"),
    4: lambda facts: "<5mm" in facts.sizes,
    6: lambda facts: "lower-right" in facts.landmark_cells,
}
SEARCHED = 4000


@dataclass(frozen=True)
class Drawn:
    """One frame before it is rendered, and the rows of the table about it."""

    name: str
    scene: Scene
    facts: Facts
    prompts: list[str]
    height: int


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: Traps = "forced",
    names: Literal["full", "bare"] = "full",
    table: Literal["release", "captions"] = "release",
) -> None:
    """n frames, a quarter of each block; `names` and `table` are the flavours in circulation."""
    frames = [draw(seed, index, size, traps) for index in range(n)]
    folder = dest / "Dev-Dataset"
    (folder / "images").mkdir(parents=True)
    (folder / "prompt-gt.csv").write_bytes(_table(frames, names, table, traps).encode())
    (dest / "test-prompts.txt").write_text("\n".join(prompts_of_test(frames, seed)) + "\n")
    for frame in steps(frames, "write medvqa_gi_2024"):
        height = frame.height
        margin = round((frame.scene.aspect - 1) / 2 * height)
        pixels, _ = colonoscopy.render(frame.scene, height, height, margin)
        picture = Image.fromarray(pixels.transpose(1, 2, 0))
        picture.save(folder / "images" / f"{frame.name}.jpg", quality=95, subsampling=0)
    write_truth(dest, map(truth, frames))


def draw(seed: int, index: int, size: int, traps: Traps) -> Drawn:
    """The frame at one place of the table, whatever n is."""
    block = BLOCKS[index % len(BLOCKS)]
    wanted = FORCED.get(index) if traps == "forced" else None
    subject, scene, facts = next(
        found
        for found in _candidates(seed, index, size, block)
        if wanted is None or wanted(found[2])
    )
    stream = colonoscopy.address(seed, "train", subject).stream(len(PURPOSES))
    real = traps == "natural"
    style = "clean" if traps == "off" else "raw"
    rows = noisy_prompts(facts, style, stream, contradictions=real, counted=real)
    slip = traps == "forced" and index == PINK_AT
    prompts = [PINK_FINDINGS if slip and name == "findings" else text for name, text in rows]
    share = 1.0 if traps == "off" else HEIGHTS[index % len(HEIGHTS)]
    name = PREFIXES[block] + frame_name(seed, "medvqa", index)[6:]
    return Drawn(name, scene, facts, prompts, round(size * share))


def _candidates(seed: int, index: int, size: int, block: str) -> Iterator[tuple[int, Scene, Facts]]:
    """The draw of a place, and then others that may stand in for it."""
    least = colonoscopy.least_feature(size)
    for subject in (index, *range(10_000 * (index + 1), 10_000 * (index + 1) + SEARCHED)):
        place = colonoscopy.address(seed, "train", subject)
        scene = draw_scene(place, least, False, False, {"block": block})
        yield subject, scene, colonoscopy.facts_of(scene)


def _table(frames: list[Drawn], names: str, table: str, traps: Traps) -> str:
    end = "\n" if traps == "off" else "\r\n"
    suffix = ".jpg" if names == "full" else ""
    rows = [(prompt, frame.name + suffix) for frame in frames for prompt in frame.prompts]
    if table == "release":
        return end.join(["Prompt;Filename", *(";".join(row) for row in rows)]) + end
    lines = ["Prompt,Filename,Paraphrase"]
    lines += [f'"{text}",{name},"Show {text[9:]}"' for text, name in rows]
    return end.join(lines) + end


def prompts_of_test(frames: list[Drawn], seed: int) -> list[str]:
    """Prompts drawn from about half of the different ones of the table."""
    known = list(dict.fromkeys(text for frame in frames for text in frame.prompts))
    draws = rng("medvqa test prompts", seed)
    kept = draws.permutation(len(known))[: max(1, round(len(known) * 0.54))]
    chosen = draws.integers(len(kept), size=round(TEST_SHARE * len(frames)))
    return [known[kept[place]] for place in chosen]


def truth(frame: Drawn) -> Mapping[str, Any]:
    """What a frame shows, and the rows that say it."""
    found = colonoscopy.truth_of(frame.scene, frame.facts)
    return {"name": frame.name, "prompts": frame.prompts} | found
