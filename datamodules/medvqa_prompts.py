"""The table of prompts of MEDVQA-GI 2024: reading it, cleaning it, and what a prompt is about."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.tables import Row, read_table, read_text
from medbench.core.errors import UserError

BLOCKS = {  # of 500 images each, by the first characters of a file name
    "cl8k2u": "polyp",
    "cla820": "ulcerative colitis",
    "clb0kv": "oesophagitis",
    "clb0lb": "instrument",
}
TEMPLATES = (  # first fit counts
    ("class", r"an image containing (?!text|a green)"),
    ("findings", r"an image with (\S+ findings?|Pink findings)"),
    ("instruments", r"an image with \S+ instruments?\."),
    ("polyps", r"an image with \S+ polyps?\."),
    ("box", r"an image (not )?containing a green/black box"),
    ("text", r"an image (not )?containing text"),
    ("colour", r"an image with an abnormality with the colors?"),
    ("size", r"an image with (a polyp|polyps) of size"),
    ("paris", r"an image with (a polyp|polyps) of type"),
    ("procedure", r"an image from a"),
    ("abnormality_place", r"an image with (an )?an abnormality located"),
    ("landmark_place", r"an image with (an )?an anatomical landmark located"),
    ("instrument_place", r"an image with (an )?an instrument located"),
)
_COMPILED = [(name, re.compile(rf"Generate {body}", re.I)) for name, body in TEMPLATES]
_JOINED = re.compile(r"(?<=[a-z])and(?=(?:a |tube|metal|biopsy|polyp|injection|oesophag|ulcer))")
_REPAIRS = (
    (re.compile(r"\ban an\b"), "an"),
    (re.compile(r"\brigth\b"), "right"),
    (re.compile(r"< 5mm"), "<5mm"),
    (re.compile(r"\bPink findings\b"), "pink findings"),
    (re.compile(r"\b(colors?) ink\b"), r"\1 pink"),
    (re.compile(r"(, | and )ink\b"), r"\1pink"),
)


@dataclass(frozen=True)
class Prompt:
    """One row of the table."""

    text: str
    stem: str  # file name without its extension
    paraphrase: str = ""


def template_of(prompt: str) -> str:
    """The kind of a prompt, by its first words; `other` for one of no known kind."""
    return next((name for name, pattern in _COMPILED if pattern.match(prompt)), "other")


def clean(prompt: str) -> str:
    """A prompt without the slips of the release."""
    for pattern, better in _REPAIRS:
        prompt = pattern.sub(better, prompt)
    return _JOINED.sub(" and ", prompt) if "containing" in prompt else prompt


def read_prompts(path: Path) -> list[Prompt]:
    """The rows of prompt-gt.csv, or of a table with commas and a column Paraphrase."""
    rows = read_table(
        path, ["Prompt", "Filename"], optional=["Paraphrase"], separator=separator(path)
    )
    found = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows, start=2):
        prompt = _prompt(path, number, row)
        first = seen.setdefault((prompt.stem, prompt.text), number)
        if first != number:
            raise UserError(
                f"{path}: rows {first} and {number} are the same prompt of the same image. Delete "
                "one of them."
            )
        found.append(prompt)
    return found


def _prompt(path: Path, number: int, row: Row) -> Prompt:
    text, name = row["Prompt"].strip(), row["Filename"].strip()
    if not text or not name:
        empty = "Filename" if text else "Prompt"
        raise UserError(f"{path}, row {number}: {empty} is empty. Fill it, or delete the row.")
    if "/" in name or "\\" in name or name.startswith("."):
        raise UserError(
            f"{path}, row {number}: Filename {name!r} is no plain name of a file in images/. "
            "Give the name alone."
        )
    return Prompt(text, stem_of(name), row.get("Paraphrase", "").strip())


def stem_of(name: str) -> str:
    """A file name without .jpg, .jpeg or .png; some copies of the table leave it out."""
    return re.sub(r"\.(jpe?g|png)$", "", name, flags=re.I)


def separator(path: Path) -> str:
    """The release has semicolons, tables made from it have commas: the header tells."""
    return ";" if ";" in read_text(path).split("\n", 1)[0] else ","


def read_test_prompts(path: Path) -> list[str]:
    """One prompt a line, or the column Prompt of a table."""
    text = read_text(path)
    header = text.split("\n", 1)[0].strip()
    if path.suffix == ".jsonl" or "Prompt" in re.split("[;,]", header):
        prompts = [row["Prompt"] for row in read_table(path, ["Prompt"], separator=separator(path))]
    else:
        prompts = text.splitlines()
    found = [line.strip() for line in prompts if line.strip()]
    if not found:
        raise UserError(f"{path} has no prompts. It needs one a line, or a column Prompt.")
    return found


def check_blocks(path: Path, stems: Sequence[str]) -> None:
    """Refuse a file name that belongs to no block: the split is stratified by it."""
    for stem in stems:
        if stem[:6] not in BLOCKS:
            raise UserError(
                f"{path}: the file name {stem} begins with {stem[:6]!r}, which is none of the four "
                f"blocks ({', '.join(BLOCKS)}). Keep the names of the release."
            )
