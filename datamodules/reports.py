"""The sections of a MIMIC-CXR report: one text file in, findings and impression out.

The files follow no grammar. A heading stands at the start of a line, in capitals, and ends with a
colon; names are misspelt, joined, in mixed case, or are the name of a view. A section that comes
twice keeps its last text, so that a final impression wins over a wet read above it."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from datamodules.negation import split_sentences
from datamodules.tables import read_table
from medbench.core.errors import UserError

Section = Literal["impression", "findings", "findings_impression", "report"]
Fallback = Literal["findings", "impression", "last_paragraph"]
VERSION = 1  # raised when the same file would give other sections
JOINT = "findings_impression"
HEADINGS = {  # as files write them, in lower case; a name close to one of them counts as it
    "examination": ("examination", "examinations", "exam", "study", "type of examination", "view"),
    "indication": (
        "indication",
        "indications",
        "clinical indication",
        "clinical information",
        "clinical history",
        "history",
        "reason for exam",
        "reason for examination",
        "reason for the exam",
        "dication",
        "ication",
    ),
    "technique": ("technique", "procedure", "protocol", "views"),
    "comparison": ("comparison", "comparisons", "compared to", "prior studies"),
    "findings": ("findings", "finding", "report", "observations", "result", "results"),
    "impression": ("impression", "impressions", "conclusion", "conclusions", "opinion", "summary"),
    JOINT: (
        "findings and impression",
        "findings/impression",
        "findings / impression",
        "impression and findings",
        "impression/findings",
        "findings-impression",
        "findings, impression",
    ),
    "wet_read": ("wet read", "wet reading", "wetread", "preliminary report", "preliminary read"),
    "addendum": ("addendum", "addenda"),
    "other": ("notification", "recommendation", "recommendations", "note", "dose", "nb"),
}
# Headings below FINDINGS that open no section of their own.
_PARTS = re.compile(
    r"(?:the )?(?:lungs?|hearts?|pleura\w*|mediastin\w+|bones?|osseous|soft tissues?|lines?|tubes?|"
    r"devices?|cardi\w+|hila\w*|upper abdomen|abdomen|airways?|diaphragm|support|other)\b.*"
)
_VIEW = re.compile(r".*\b(?:views?|chest|radiographs?|films?|portable|pa|ap|frontal|lateral)\b.*")
_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z ()/,&-]*[A-Z)]) ?:(?=\s|$)")
_MIXED = re.compile(r"^[ \t]*([A-Z][A-Za-z/&-]+(?: [A-Za-z/&-]+){0,3}) ?:(?=\s|$)")
_BARE = re.compile(r"^[ \t]*(FINDINGS|IMPRESSION|CONCLUSION)S?[ \t]*$")
_TITLE = re.compile(r"^\s*(?:FINAL|INTERIM|PRELIMINARY)? *REPORT\s*$")
_RULE = re.compile(r"^[ \t]*_{10,}[ \t]*$", re.MULTILINE)
_ADDENDUM = re.compile(r"^[ \t]*ADDENDUM\b", re.MULTILINE)
_KNOWN = {name: section for section, names in HEADINGS.items() for name in names}
_MISSPELT = [*list(HEADINGS)[:6], "impressions", "conclusion"]
WIDTH = 79  # characters of a full line
_PRIOR = re.compile(
    r"\b(?:un)?changed?\b|\bstable\b|\binterval\b|\bprior\b|\bprevious(?:ly)?\b|\bsince\b"
    r"|\bcompar(?:ed|ison)\b|\bagain\b|\bnew(?:ly)?\b|\b(?:in|de)creas\w+|\bimprov\w+|\bworse\w*"
    r"|\bpersist\w*|\bresol(?:v|ut)\w+|\bno longer\b|\bprogress\w+|\bresidual\b|\bremains?\b|___"
)
_NOTICE = re.compile(
    r"\b(?:telephone|phone|paged?|discussed|communicated|notified|conveyed|dr\.|d/w|wet read)\b"
    r"|\brecommend\w*|\bfollow-?up\b|\bis (?:advised|suggested)\b|\bcorrelat\w+"
)


def parse_report(text: str, ranges: Mapping[str, tuple[int, int]] | None = None) -> dict[str, str]:
    """Sections by name, each as one line of text; a section without text is left out.

    Names: those of HEADINGS, `preamble` before the first heading, `addendum`, and, where a report
    has neither findings nor impression, `last_paragraph`. `ranges` gives (start, end) characters
    of sections that a user has marked by hand."""
    marked = {name: _joined(text[start:end]) for name, (start, end) in (ranges or {}).items()}
    addendum, body = _split_addendum(text.replace("\r\n", "\n").replace("\r", "\n"))
    sections = _sections(body)
    if addendum:
        sections["addendum"] = addendum
    sections |= marked
    if not sections.get("findings") and not sections.get("impression"):
        sections["last_paragraph"] = _last_paragraph(body)
    return {name: content for name, content in sections.items() if content}


def choose_text(
    sections: Mapping[str, str], section: Section = "impression", fallback: Sequence[Fallback] = ()
) -> str:
    """The text that a setting asks for, or the first fallback that has one; "" without any.

    A joint section stands under findings and impression alike and is given once."""
    if section in ("findings_impression", "report"):
        both = [sections.get("findings", ""), sections.get("impression", "")]
        chosen = " ".join(dict.fromkeys(part for part in both if part))
    else:
        chosen = sections.get(section, "")
    return chosen or next((sections[name] for name in fallback if sections.get(name)), "")


def strip_priors(text: str) -> str:
    """The sentences that compare with no earlier image."""
    return " ".join(s for s in split_sentences(text) if not _PRIOR.search(s.lower()))


def clean_text(text: str) -> str:
    """Without list numbers, blanks of the de-identification, notices and recommendations."""
    kept = [s for s in split_sentences(text) if not _NOTICE.search(s.lower())]
    return re.sub(r"\s+([.,;])", r"\1", re.sub(r"\s*_{2,}\s*", " ", " ".join(kept))).strip()


def read_ranges(path: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Hand-made text ranges: study_id to section to (start, end), characters of the report file."""
    ranges: dict[str, dict[str, tuple[int, int]]] = {}
    for number, row in enumerate(read_table(path, ["study_id", "section", "start", "end"]), 2):
        where, name = f"{path}, row {number}", row["section"].strip().lower()
        if name not in ("findings", "impression"):
            raise UserError(f"{where}: section is {name!r}; it must be findings or impression.")
        try:
            span = int(row["start"]), int(row["end"])
        except ValueError:
            raise UserError(f"{where}: start and end must be whole numbers.") from None
        if not 0 <= span[0] < span[1]:
            raise UserError(f"{where}: start={span[0]} must not be negative and lie before end.")
        ranges.setdefault(row["study_id"].strip(), {})[name] = span
    return ranges


def _split_addendum(text: str) -> tuple[str, str]:
    """The addendum above a line of underscores, and the report itself."""
    parts = _RULE.split(text)
    above, body = "\n".join(parts[:-1]), parts[-1]
    if len(parts) > 1 and (match := _ADDENDUM.search(above)):
        return _joined(above[match.end() :].lstrip(": \t\n")), above[: match.start()] + body
    return "", _RULE.sub("", text)


def _sections(text: str) -> dict[str, str]:
    """Sections of a report without addendum block; of two with one name the last that has text."""
    found: dict[str, str] = {}
    name, previous = "preamble", ""
    lines: list[str] = []
    for line in text.split("\n"):
        if _TITLE.match(line):
            previous = ""
            continue
        heading = _heading(line, previous)
        if heading is not None:
            _close(found, name, lines)
            name, lines = heading[0], [heading[1]]
        else:
            lines.append(line)
        previous = line
    _close(found, name, lines)
    return found


def _close(found: dict[str, str], name: str, lines: Sequence[str]) -> None:
    """Keep a section's text; a joint section is findings and impression alike."""
    if text := _joined("\n".join(lines)):
        found |= dict.fromkeys(("findings", "impression") if name == JOINT else (name,), text)


def _heading(line: str, previous: str) -> tuple[str, str] | None:
    """(section, rest of the line) when a line opens a section."""
    if bare := _BARE.match(line):
        return _KNOWN[bare.group(1).lower()], ""
    match = _HEADING.match(line) or _MIXED.match(line)
    if match is None or _continues(previous, line):
        return None
    name = " ".join(match.group(1).lower().split())
    section = _section_of(name, capitals=match.group(1).isupper())
    return None if section is None else (section, line[match.end() :])


def _section_of(name: str, capitals: bool) -> str | None:
    """The section that a heading opens; None for a part of findings or an ordinary sentence."""
    if name in _KNOWN:
        return _KNOWN[name]
    close = get_close_matches(name, _MISSPELT, 1, 0.86)
    if close:
        return _KNOWN[close[0]]
    if not capitals or _PARTS.fullmatch(name):
        return None
    if name.startswith(("impression", "findings")):
        return name.split()[0].rstrip(",/")
    if _VIEW.fullmatch(name) and not name.startswith(("exam", "type", "technique")):
        return "findings"
    return "other"


def _continues(previous: str, line: str) -> bool:
    """Whether a line goes on with the sentence of the line above, which was full."""
    above = previous.rstrip()
    if not above or above[-1] in ".:?!_)":
        return False
    return len(above) + 1 + len(line.split()[0]) > WIDTH


def _last_paragraph(text: str) -> str:
    """The last paragraph, unless it only says why or how the study was made."""
    body = "\n".join(line for line in text.split("\n") if not _TITLE.match(line))
    paragraphs = [p for p in re.split(r"\n[ \t]*\n", body) if re.search(r"\w", p)]
    last = paragraphs[-1].strip("\n") if paragraphs else ""
    first, _, rest = last.partition("\n")
    opened = _heading(first, "")
    if opened is None:
        return _joined(last)
    return "" if opened[0] != "other" else _joined(f"{opened[1]}\n{rest}")


def _joined(text: str) -> str:
    return " ".join(text.split())
