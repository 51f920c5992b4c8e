"""What can be said of a colonoscopy frame: the vocabulary, the facts, and the labels."""

from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = ("polyp", "ulcerative colitis", "oesophagitis", "instrument")
PROCEDURES = ("colonoscopy", "gastroscopy")
DISEASES = ("ulcerative colitis", "oesophagitis")
LANDMARKS = ("z-line", "cecum", "ileum", "pylorus")
INSTRUMENTS = ("biopsy forceps", "polyp snare", "injection needle", "tube", "metal clip")
COLOURS = (  # most frequent first
    *("pink", "red", "white", "yellow"),
    *("grey", "orange", "brown", "black", "blue", "purple", "green"),
)
SIZES = ("<5mm", "5-10mm", "11-20mm", ">20mm")
TYPES = ("ip", "is", "iia")  # the order in which the real table joins two
CELLS = (
    "center",
    *("upper-left", "upper-right", "lower-left", "lower-right"),
    *("center-left", "center-right", "upper-center", "lower-center"),
)
LANDMARK_CELLS = (
    *("center", "center-left", "center-right"),
    *("upper-center", "upper-left", "upper-right"),
    *("lower-center", "lower-left", "lower-right"),
)

# Row and column of a cell in the 3 x 3 cut of the frame.
_ROWS, _COLUMNS = ("upper", "center", "lower"), ("left", "center", "right")
CELL_PLACES = {
    f"{row}-{column}" if row != column else row: (i, j)
    for i, row in enumerate(_ROWS)
    for j, column in enumerate(_COLUMNS)
}


@dataclass(frozen=True)
class Facts:
    """Everything that the prompts of one frame state; lists are in the order of the vocabulary."""

    abnormalities: tuple[str, ...]  # polyp and DISEASES
    landmarks: tuple[str, ...]
    kinds: tuple[str, ...]  # of instruments
    findings: int
    instruments: int
    polyps: int
    box: bool
    text: bool
    colours: tuple[str, ...]
    sizes: tuple[str, ...]
    types: tuple[str, ...]
    procedure: str
    abnormality_cells: tuple[str, ...]
    landmark_cells: tuple[str, ...]
    instrument_cells: tuple[str, ...]


def count_name(n: int, most: int) -> str:
    """A count as a label value: "0", "1", ... and "3+" for everything from `most` on."""
    return f"{most}+" if n >= most else str(n)


# Groups of labels of which one holds; all other labels are binary.
EXCLUSIVE = {
    "findings": ("0", "1", "2", "3+"),
    "instruments": ("0", "1", "2+"),
    "polyps": ("0", "1", "2", "3+"),
    "procedure": PROCEDURES,
}
THINGS = ("polyp", *DISEASES, *LANDMARKS, *INSTRUMENTS)
LABEL_NAMES = (
    *THINGS,
    "instrument",
    "box",
    "text",
    *(f"{group}={value}" for group, values in EXCLUSIVE.items() for value in values),
    *(f"colour {colour}" for colour in COLOURS),
    *(f"size {size}" for size in SIZES),
    *(f"paris {kind}" for kind in TYPES),
    *(f"{what} {cell}" for what in ("abnormality", "landmark", "instrument") for cell in CELLS),
)


def chosen(group: str, value: str) -> dict[str, float]:
    """The labels of an exclusive group when one of its values holds."""
    return {f"{group}={other}": float(other == value) for other in EXCLUSIVE[group]}


def listed(prefix: str, values: Sequence[str], vocabulary: Sequence[str]) -> dict[str, float]:
    """The binary labels of a list that names all that holds: the rest does not hold."""
    return {f"{prefix} {word}": float(word in values) for word in vocabulary}


def label_values(facts: Facts) -> dict[str, float]:
    """Every label of a frame, in the order of LABEL_NAMES."""
    present = {*facts.abnormalities, *facts.landmarks, *facts.kinds}
    return {
        **{thing: float(thing in present) for thing in THINGS},
        "instrument": float(facts.instruments > 0),
        "box": float(facts.box),
        "text": float(facts.text),
        **chosen("findings", count_name(facts.findings, 3)),
        **chosen("instruments", count_name(facts.instruments, 2)),
        **chosen("polyps", count_name(facts.polyps, 3)),
        **chosen("procedure", facts.procedure),
        **listed("colour", facts.colours, COLOURS),
        **listed("size", facts.sizes, SIZES),
        **listed("paris", facts.types, TYPES),
        **listed("abnormality", facts.abnormality_cells, CELLS),
        **listed("landmark", facts.landmark_cells, CELLS),
        **listed("instrument", facts.instrument_cells, CELLS),
    }
