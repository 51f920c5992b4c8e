"""Whether a radiologist says that something is there: negation, doubt, history and their scope.

Cue words stand before or after what they speak of. One reaches to the end of its clause and over
the list that it opens or closes, and never past a word that turns the sentence (but, except).
After NegEx (Chapman et al. 2001) and ConText (Harkema et al. 2009); the word lists are ours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from datamodules import negation_cues as words

Status = Literal["present", "absent", "uncertain", "unsaid"]
Span = tuple[int, int]  # first character and the one after the last
STRENGTH: tuple[Status, ...] = (
    "unsaid",
    "absent",
    "uncertain",
)  # the first that reaches a phrase decides


@dataclass(frozen=True)
class Cue:
    status: str
    side: str  # where what it speaks of stands: after, before or both
    start: int
    end: int


def _bounded(pattern: str) -> str:
    """The pattern between word boundaries, where a hyphen belongs to the word."""
    return rf"(?:(?<![\w-])|(?=[:?]))(?:{pattern})(?![\w-])"


_PSEUDO = re.compile("|".join(_bounded(pattern) for pattern in words.PSEUDO))
_CUES = [
    (status, side, re.compile("|".join(_bounded(pattern) for pattern in patterns)))
    for status, side, patterns in words.CUES
]
_TURNS, _ONWARD, _VERBS, _AMOUNTS, _ASKS = (
    re.compile(pattern)
    for pattern in (words.TURNS, words.ONWARD, words.VERBS, words.AMOUNTS, words.ASKS)
)
_ALTERNATIVE = re.compile(r"\bn?or\b")
_AND_CLAUSE = re.compile(r",? and (?=(?:the|there|no|a|an|both|its|his|her)\b)")
_END = re.compile(r"(?<=[.?!])\s+(?=[\"'(\[]?[A-Z0-9_?])|\n\s*\n|\s+(?=\d{1,2}[.)]\s)")
_ABBREVIATED = re.compile(words.ABBREVIATIONS)


def split_sentences(text: str) -> list[str]:
    """Sentences of a report's section, numbers of a list and outer blanks taken off."""
    pieces = [""]
    for piece in _END.split(text):
        if pieces[-1] and not _ABBREVIATED.search(pieces[-1]):
            pieces.append(piece)
        else:
            pieces[-1] = f"{pieces[-1]} {piece}"
    cleaned = [re.sub(r"^\s*(?:\d{1,2}[.)]|[-*•])\s+", "", " ".join(p.split())) for p in pieces]
    return [piece.strip() for piece in cleaned if re.search(r"\w", piece)]


def assertions(sentence: str, spans: Sequence[Span]) -> list[Status]:
    """What one sentence says of the phrases at these places."""
    lowered = sentence.lower()
    if _ASKS.search(lowered):
        return ["unsaid"] * len(spans)
    cues, breaks = _read(lowered)
    statuses = [_status(lowered, span, cues, breaks) for span in spans]
    for i, j in _alternatives(lowered, spans):
        if statuses[i] == statuses[j] == "present":
            statuses[i] = statuses[j] = "uncertain"
    return statuses


def clause_of(sentence: str, span: Span) -> Span:
    """The clause that holds a phrase: its start and end in the sentence."""
    _, breaks = _read(sentence.lower())
    start = max((end for _, end in breaks if end <= span[0]), default=0)
    end = min((start for start, _ in breaks if start >= span[1]), default=len(sentence))
    return start, end


def _alternatives(sentence: str, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Pairs of phrases between which the sentence leaves the choice: `a scar or an effusion`."""
    order = sorted(range(len(spans)), key=lambda i: spans[i])
    between = [(i, j, sentence[spans[i][1] : spans[j][0]]) for i, j in pairwise(order)]
    return [
        (i, j)
        for i, j, text in between
        if _ALTERNATIVE.search(text) and len(text.split()) <= 6 and not re.search(r"[,;:]", text)
    ]


@lru_cache(maxsize=4096)
def _read(sentence: str) -> tuple[tuple[Cue, ...], tuple[Span, ...]]:
    """The cues of a sentence and the places at which its clauses part."""
    _, left = _take(_PSEUDO, sentence)
    cues: list[Cue] = []
    for status, side, pattern in _CUES:
        found, left = _take(pattern, left)
        cues += [Cue(status, side, *span) for span in found]
    breaks = [match.span() for match in _TURNS.finditer(sentence)]
    for match in _AND_CLAUSE.finditer(sentence):
        begin = max((end for _, end in breaks if end <= match.start()), default=0)
        if _VERBS.search(sentence, begin, match.start()):
            breaks.append(match.span())
    return tuple(cues), tuple(sorted(breaks))


def _take(pattern: re.Pattern[str], text: str) -> tuple[list[Span], str]:
    """Places of a pattern, and the text with blanks there, so that no later cue sees them."""
    found: list[Span] = []

    def take(match: re.Match[str]) -> str:
        found.append(match.span())
        return " " * len(match.group())

    return found, pattern.sub(take, text)


def _status(sentence: str, span: Span, cues: Sequence[Cue], breaks: Sequence[Span]) -> Status:
    reached = {cue.status for cue in cues if _reaches(sentence, cue, span, breaks)}
    for status in STRENGTH:
        if status in reached:
            return status
    return "present"


def _reaches(sentence: str, cue: Cue, span: Span, breaks: Sequence[Span]) -> bool:
    """Whether a phrase lies in the scope of a cue."""
    ahead = cue.end <= span[0]
    if not ahead and cue.start < span[1]:
        return cue.start >= span[0] and cue.end <= span[1]  # a cue inside the phrase itself
    if cue.side == ("before" if ahead else "after"):
        return False
    low, high = (cue.end, span[0]) if ahead else (span[1], cue.start)
    if any(low <= start < high for start, _ in breaks):
        return cue.status == "absent" and not ahead and "none" in sentence[cue.start : cue.end]
    between = sentence[low:high]
    if ahead and cue.status != "unsaid" and _ONWARD.search(between):
        return False
    return "," not in between or _is_list(sentence, low, high, span, ahead)


def _is_list(sentence: str, low: int, high: int, span: Span, ahead: bool) -> bool:
    """Whether commas between a cue and a phrase part the items of one list.

    `No effusion, edema, or nodule` is one; `no effusion, small nodule` is two statements."""
    first = sentence.find(",", low, high)
    if not ahead:  # a cue at the end speaks of all items that no verb parts from it
        return not _VERBS.search(sentence, low, sentence.rfind(",", low, high))
    close = _clause_end(sentence, span[1])
    rest = sentence[first:close]
    if _VERBS.search(sentence, first, span[1]):
        return False
    if _ALTERNATIVE.search(rest):
        return True
    return " and " in rest and not _AMOUNTS.search(sentence, first, span[1])


def _clause_end(sentence: str, start: int) -> int:
    """Where the clause after `start` ends: at a turn, or where a verb follows a comma."""
    turn = _TURNS.search(sentence, start)
    end = turn.start() if turn else len(sentence)
    for match in re.finditer(",", sentence[start:end]):
        place = start + match.start()
        following = sentence.find(",", place + 1)
        if _VERBS.search(sentence, place, following if following > 0 else end):
            return place
    return end
