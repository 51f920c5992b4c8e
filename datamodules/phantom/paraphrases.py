"""Paraphrases of the colonoscopy prompts: rules that keep what is asked, or a user's file."""

import csv
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from datamodules.phantom.prompts import PINK_FINDINGS, STYLES, Value, join_words, read, write
from datamodules.phantom.streams import scramble
from medbench.core.errors import UserError

OPENINGS = (
    "Generate {}",
    "Create {}",
    "Produce {}",
    "Draw {}",
    "Render {}",
    "Synthesise {}",
    "Make {}",
    "Show {}",
    "Please generate {}",
    "Give me {}",
    "I need {}",
)
PICTURES = (
    "an image",
    "a picture",
    "a frame",
    "an endoscopic image",
    "an endoscopy frame",
    "a view",
)
NAMES = {
    "polyp": ("a polyp", "a polypoid lesion"),
    "ulcerative colitis": ("ulcerative colitis", "signs of ulcerative colitis"),
    "oesophagitis": ("oesophagitis", "esophagitis", "an inflamed oesophagus"),
    "z-line": ("the z-line", "the Z line", "the squamocolumnar junction"),
    "cecum": ("the cecum", "the caecum"),
    "ileum": ("the ileum", "the terminal ileum"),
    "pylorus": ("the pylorus", "the pyloric opening"),
    "tube": ("a tube", "a tube-like instrument"),
    "biopsy forceps": ("biopsy forceps", "a pair of biopsy forceps"),
    "polyp snare": ("a polyp snare", "a snare for polyps"),
    "metal clip": ("a metal clip", "a metallic clip"),
    "injection needle": ("an injection needle", "a needle for injection"),
}
NOUNS = {
    "findings": ("finding", "abnormal finding"),
    "instruments": ("instrument", "medical instrument", "endoscopic tool"),
    "polyps": ("polyp", "visible polyp"),
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
WITH = ("{} with {}", "{} that shows {}", "{} containing {}", "{} in which one sees {}")
WITHOUT = ("{} without {}", "{} that does not show {}", "{} free of {}", "{} not containing {}")
ARTEFACTS = {
    "box": ("a green/black box artefact", "a green or black box", "a black/green position box"),
    "text": ("text", "overlaid text", "written text"),
}
SIZES = {
    "<5mm": ("<5mm", "less than 5 mm", "below 5 mm"),
    "5-10mm": ("5-10mm", "5 to 10 mm", "between 5 and 10 mm"),
    "11-20mm": ("11-20mm", "11 to 20 mm", "between 11 and 20 mm"),
    ">20mm": (">20mm", "more than 20 mm", "above 20 mm"),
}
SIZED = ("{} of size {}", "{} measuring {}", "{} with a diameter of {}")
TYPED = ("{} of type {}", "{} classified as {}", "{} of the {} type")
PROCEDURES = (
    "{} from a {} procedure",
    "{} taken during a {}",
    "{} of a {} examination",
    "a {1} image",
    "a {1} frame",
)
COLOURED = (
    "an abnormality with the {} {}",
    "an abnormality in the {} {}",
    "an abnormal area of the {} {}",
    "a lesion with the {} {}",
)
PLACED = {
    "abnormality_place": ("an abnormality", "an abnormal area", "a lesion"),
    "landmark_place": ("an anatomical landmark", "a landmark of the anatomy"),
    "instrument_place": ("an instrument", "a medical instrument", "an endoscopic tool"),
}
PLACING = ("{} located in the {}", "{} in the {}", "{} situated in the {}", "{} seen in the {}")


def paraphrase(prompt: str, key: int) -> str:
    """Another wording of a prompt; the same key gives the same wording."""
    same = {prompt} if prompt == PINK_FINDINGS else {write(*read(prompt), s) for s in STYLES}
    for attempt in itertools.count():
        found = _sentence(prompt, _Choices(scramble(key ^ attempt)))
        if found not in same:
            return found
    raise AssertionError


class _Choices:
    """Choices that follow from one number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def one(self, options: Sequence[str]) -> str:
        self.number = scramble(self.number)
        return options[self.number % len(options)]

    def filled(self, patterns: Sequence[str], *parts: Sequence[str]) -> str:
        """One of the patterns with one of each list in its places."""
        return self.one(patterns).format(*(self.one(part) for part in parts))

    def words(self, words: Sequence[str]) -> str:
        """A list whose order carries no meaning, forwards or backwards."""
        return self.one([join_words(words), join_words(words[::-1])])


def _sentence(prompt: str, choices: _Choices) -> str:
    opening = choices.one(OPENINGS)
    if prompt == PINK_FINDINGS:
        return opening.format(choices.filled(("{} with pink findings",), PICTURES)) + "."
    template, value = read(prompt)
    if template == "procedure":
        body = choices.filled(PROCEDURES, PICTURES, value)
    elif template in ARTEFACTS:
        patterns = WITH if value[0] == "with" else WITHOUT
        body = choices.filled(patterns, PICTURES, ARTEFACTS[template])
    else:
        body = choices.filled(WITH, PICTURES, [_thing(template, value, choices)])
    return opening.format(body) + "."


def _thing(template: str, value: Value, choices: _Choices) -> str:
    """What the picture has."""
    if template == "class":
        return join_words([choices.one(NAMES[word]) for word in value])
    if template in NOUNS:
        return _counted(int(value[0]), choices.one(NOUNS[template]))
    several = len(value) > 1
    if template == "colour":
        nouns = ("colors", "colours") if several else ("color", "colour")
        return choices.filled(COLOURED, nouns, [choices.words(value)])
    polyps = ("polyps", "polypoid lesions") if several else ("a polyp", "a polypoid lesion")
    if template == "size":
        place = int(choices.one("012"))  # one spelling for the whole list
        return choices.filled(SIZED, polyps, [choices.words([SIZES[v][place] for v in value])])
    if template == "paris":
        lead = choices.one(("paris", "Paris", "Paris class"))
        return choices.filled(TYPED, polyps, [choices.words([f"{lead} {v}" for v in value])])
    part = choices.one(("", " part"))
    cells = [f"{v.replace('-', ' ')}{part}" if part else v for v in value]
    return choices.filled(PLACING, PLACED[template], [choices.words(cells)])


def _counted(n: int, noun: str) -> str:
    number = NUMBERS[n] if n < len(NUMBERS) else str(n)
    return f"{number} {noun}{'' if n == 1 else 's'}"


# a user's file ------------------------------------------------------------------------------


def read_paraphrases(path: Path) -> dict[str, list[str]]:
    """Prompt to paraphrases, from a table (comma or semicolon) or one JSON object a line.

    Both need the columns or keys `Prompt` and `Paraphrase`, in any case and among others."""
    if not path.is_file():
        raise UserError(
            f"paraphrases={path}: there is no such file. Accepted: none, rules, or a CSV or JSONL "
            "file with the columns Prompt and Paraphrase."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"paraphrases={path}: not UTF-8 text ({error}).") from None
    rows = _json_rows(path, text) if text.lstrip().startswith("{") else _table_rows(path, text)
    found: dict[str, list[str]] = {}
    for line, prompt, other in rows:
        if not prompt or not other:
            raise UserError(f"paraphrases={path}, line {line}: Prompt or Paraphrase is empty.")
        if other not in found.setdefault(prompt, []):
            found[prompt].append(other)
    if not found:
        raise UserError(f"paraphrases={path}: the file has no rows.")
    return found


def _table_rows(path: Path, text: str) -> list[tuple[int, str, str]]:
    header = text.split("\n", 1)[0]
    table = csv.reader(text.splitlines(), delimiter=";" if ";" in header else ",")
    names = [name.strip().lower() for name in next(table, [])]
    if not {"prompt", "paraphrase"} <= set(names):
        raise UserError(
            f"paraphrases={path}: the first line must name the columns Prompt and Paraphrase, "
            f"separated by a comma or a semicolon; it is {header.strip()[:80]!r}."
        )
    first, second = names.index("prompt"), names.index("paraphrase")
    rows = []
    for cells in table:
        if len(cells) != len(names) and cells:
            raise UserError(
                f"paraphrases={path}, line {table.line_num}: {len(cells)} columns where the first "
                f"line has {len(names)}. Quote a text that contains the separator."
            )
        if cells:
            rows.append((table.line_num, cells[first].strip(), cells[second].strip()))
    return rows


def _json_rows(path: Path, text: str) -> list[tuple[int, str, str]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = {str(key).lower(): value for key, value in json.loads(line).items()}
            prompt, other = record["prompt"], record["paraphrase"]
        except (json.JSONDecodeError, AttributeError, KeyError):
            raise UserError(
                f"paraphrases={path}, line {number}: not a JSON object with the keys Prompt and "
                "Paraphrase."
            ) from None
        others = other if isinstance(other, list) else [other]
        rows += [(number, str(prompt).strip(), str(text).strip()) for text in others]
    return rows
