"""The inconsistencies of the real colonoscopy prompts, at their real rates."""

from dataclasses import replace

from datamodules.phantom.colonoscopy_words import CELLS, Facts
from datamodules.phantom.prompts import PINK_FINDINGS, write_prompts
from datamodules.phantom.streams import Stream

COUNTED_ALONE, COUNTED_BESIDE = 113 / 376, 76 / 131  # instruments that were counted as findings
POLYP_UNNAMED, POLYP_UNCOUNTED = 4 / 622, 2 / 1378
PLACE_WITHOUT_FINDING, COLOUR_WITHOUT_PLACE = 3 / 271, 19 / 1622
ODD_COUNT = 1 / 2000  # each: the slip "Pink findings", and a missing count


def noisy_prompts(
    facts: Facts, style: str, stream: Stream, contradictions: bool, counted: bool
) -> list[tuple[str, str]]:
    """(template name, prompt) as an annotator with the real habits would have written them."""
    draws = [stream.unit() for _ in range(8)]
    cell = stream.choose(CELLS)
    share = COUNTED_BESIDE if facts.polyps else COUNTED_ALONE
    if counted and facts.instruments and draws[0] < share:
        facts = replace(facts, findings=facts.findings + facts.instruments)
    if not contradictions:
        return write_prompts(facts, style)
    named = facts.abnormalities
    if facts.polyps and draws[1] < POLYP_UNNAMED:
        named = tuple(thing for thing in named if thing != "polyp")
    if not facts.polyps and draws[2] < POLYP_UNCOUNTED:
        named = ("polyp", *named)
    cells = facts.abnormality_cells
    if not facts.findings and draws[3] < PLACE_WITHOUT_FINDING:
        cells = (cell,)
    if facts.colours and draws[4] < COLOUR_WITHOUT_PLACE:
        cells = ()
    rows = write_prompts(replace(facts, abnormalities=named, abnormality_cells=cells), style)
    if draws[5] < ODD_COUNT:
        rows = [(name, PINK_FINDINGS if name == "findings" else text) for name, text in rows]
    gone = [
        name
        for name, draw in zip(("findings", "instruments"), draws[6:], strict=True)
        if draw < ODD_COUNT
    ]
    return [row for row in rows if row[0] not in gone]
