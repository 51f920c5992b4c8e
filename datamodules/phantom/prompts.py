"""The prompt grammar of the colonoscopy phantom, its inverse, and what a prompt asks.

The grammar is that of the ImageCLEFmed MEDVQA-GI 2024 table. `raw` keeps its quirks (doubled
article, joined names, a blank in one size, a misspelt cell), `clean` repairs them."""

import re
from collections.abc import Sequence
from functools import cache

from datamodules.phantom.colonoscopy_words import (
    CELLS,
    COLOURS,
    DISEASES,
    INSTRUMENTS,
    LANDMARK_CELLS,
    LANDMARKS,
    SIZES,
    TYPES,
    Facts,
    chosen,
    count_name,
    listed,
)

STYLES = ("raw", "clean")
TEMPLATES = (
    "class",
    "findings",
    "instruments",
    "polyps",
    "box",
    "text",
    "colour",
    "size",
    "paris",
    "procedure",
    "abnormality_place",
    "landmark_place",
    "instrument_place",
)
NAMES = {
    "polyp": "a polyp",
    **{disease: disease for disease in DISEASES},
    **{landmark: f"the {landmark}" for landmark in LANDMARKS},
    **{kind: kind for kind in INSTRUMENTS},
}
Value = tuple[str, ...]  # what a prompt states, as words of the vocabulary or a count
PINK_FINDINGS = "Generate an image with Pink findings."  # a slip of the real table


def write_prompts(facts: Facts, style: str = "raw") -> list[tuple[str, str]]:
    """(template name, prompt) of a frame, in the order of the real table."""
    return [(name, write(name, value, style)) for name, value in statements(facts)]


def statements(facts: Facts) -> list[tuple[str, Value]]:
    """What the prompts of a frame state: (template name, value) in the order of the table."""
    groups = (facts.abnormalities, facts.landmarks, facts.kinds)
    rows: list[tuple[str, Value]] = [("class", group) for group in groups if group]
    rows += [
        ("findings", (str(facts.findings),)),
        ("instruments", (str(facts.instruments),)),
        ("polyps", (str(facts.polyps),)),
        ("box", ("with" if facts.box else "without",)),
        ("text", ("with" if facts.text else "without",)),
        ("colour", facts.colours),
        ("size", facts.sizes),
        ("paris", facts.types),
        ("procedure", (facts.procedure,)),
        ("abnormality_place", facts.abnormality_cells),
        ("landmark_place", facts.landmark_cells),
        ("instrument_place", facts.instrument_cells),
    ]
    return [(name, tuple(value)) for name, value in rows if value]


def write(template: str, value: Value, style: str = "raw") -> str:
    """One prompt."""
    raw = style == "raw"
    first = value[0]
    if template == "class":
        names = [NAMES[word] for word in value]
        body = f"an image containing {'and'.join(names) if raw else join_words(names)}"
    elif template in ("findings", "instruments", "polyps"):
        body = f"an image with {_count(int(first), template.removesuffix('s'))}"
    elif template in ("box", "text"):
        what = "a green/black box artefact" if template == "box" else "text"
        body = f"an image {'' if first == 'with' else 'not '}containing {what}"
    elif template == "colour":
        noun = "color" if len(value) == 1 else "colors"
        body = f"an image with an abnormality with the {noun} {join_words(value)}"
    elif template == "size":
        sizes = ["< 5mm" if raw and size == "<5mm" else size for size in value]
        body = f"an image with {_polyps(value)} of size {join_words(sizes)}"
    elif template == "paris":
        kinds = join_words([f"paris {kind}" for kind in value])
        body = f"an image with {_polyps(value)} of type {kinds}"
    elif template == "procedure":
        body = f"an image from a {first} procedure"
    else:
        body = f"an image with {_place(template, value, raw)}"
    return f"Generate {body}."


def _count(n: int, noun: str) -> str:
    return f"{n or 'no'} {noun}{'' if n == 1 else 's'}"


def _polyps(value: Value) -> str:
    return "a polyp" if len(value) == 1 else "polyps"


def _place(template: str, value: Value, raw: bool) -> str:
    what = {
        "abnormality_place": "an abnormality",
        "landmark_place": "an anatomical landmark",
        "instrument_place": "an instrument",
    }[template]
    cells = list(value)
    if raw and template == "landmark_place":
        cells = ["lower-rigth" if cell == "lower-right" else cell for cell in cells]
    return f"{'an ' if raw else ''}{what} located in the {join_words(cells)}"


def join_words(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


# the inverse ------------------------------------------------------------------------------


def _list_of(words: Sequence[str], prefix: str = "") -> str:
    """A pattern for one or more of the words as join_words writes them."""
    one = f"{prefix}(?:{'|'.join(re.escape(word) for word in words)})"
    return f"(?:{one}(?:, {one})* and {one}|{one})"


_NAME = f"(?:{'|'.join(re.escape(name) for name in NAMES.values())})"
_SIZE = [*SIZES, "< 5mm"]
_LANDMARK_CELL = [*LANDMARK_CELLS, "lower-rigth"]
PATTERNS = {
    "class": rf"an image containing (?P<value>{_NAME}(?:(?:,| and|and) ?{_NAME})*)",
    **{
        f"{noun}s": rf"an image with (?P<value>1(?= {noun}\.)|(?:no|[02-9]|[1-9]\d+)(?= {noun}s\.))"
        rf" {noun}s?"
        for noun in ("finding", "instrument", "polyp")
    },
    "box": "an image (?P<value>not )?containing a green/black box artefact",
    "text": "an image (?P<value>not )?containing text",
    "colour": rf"an image with an abnormality with the colors? (?P<value>{_list_of(COLOURS)})",
    "size": rf"an image with (?:a polyp|polyps) of size (?P<value>{_list_of(_SIZE)})",
    "paris": rf"an image with (?:a polyp|polyps) of type (?P<value>{_list_of(TYPES, 'paris ')})",
    "procedure": "an image from a (?P<value>colonoscopy|gastroscopy) procedure",
    "abnormality_place": r"an image with (?:an )?an abnormality located in the "
    rf"(?P<value>{_list_of(CELLS)})",
    "landmark_place": r"an image with (?:an )?an anatomical landmark located in the "
    rf"(?P<value>{_list_of(_LANDMARK_CELL)})",
    "instrument_place": r"an image with (?:an )?an instrument located in the "
    rf"(?P<value>{_list_of(CELLS)})",
}
_COMPILED = {name: re.compile(rf"Generate {body}\.") for name, body in PATTERNS.items()}
_TOKENS = re.compile("|".join(re.escape(name) for name in NAMES.values()))


@cache
def read(prompt: str) -> tuple[str, Value]:
    """(template name, value) of a prompt of either style. Raises ValueError for anything else."""
    for name, pattern in _COMPILED.items():
        match = pattern.fullmatch(prompt)
        if match:
            return name, _value(name, match["value"])
    raise ValueError(f"not a prompt of the grammar: {prompt!r}")


def _value(template: str, text: str | None) -> Value:
    if template in ("box", "text"):
        return ("without" if text else "with",)
    assert text is not None
    if template == "class":
        words = {name: word for word, name in NAMES.items()}
        return tuple(words[name] for name in _TOKENS.findall(text))
    if template in ("findings", "instruments", "polyps"):
        return ("0" if text == "no" else text,)
    items = re.split(", | and ", text.replace("< 5mm", "<5mm").replace("rigth", "right"))
    return tuple(item.removeprefix("paris ") for item in items)


def asked(prompt: str) -> tuple[str, dict[str, float]]:
    """The template of a prompt, and the labels that it determines with their values."""
    if prompt == PINK_FINDINGS:
        return "findings", {"colour pink": 1.0}
    template, value = read(prompt)
    if template == "class":
        return template, dict.fromkeys(value, 1.0)
    if template in ("findings", "instruments", "polyps"):
        most = 2 if template == "instruments" else 3
        return template, chosen(template, count_name(int(value[0]), most))
    if template == "procedure":
        return template, chosen(template, value[0])
    if template in ("box", "text"):
        return template, {template: float(value[0] == "with")}
    prefix, vocabulary = {
        "colour": ("colour", COLOURS),
        "size": ("size", SIZES),
        "paris": ("paris", TYPES),
        "abnormality_place": ("abnormality", CELLS),
        "landmark_place": ("landmark", CELLS),
        "instrument_place": ("instrument", CELLS),
    }[template]
    return template, listed(prefix, value, vocabulary)
