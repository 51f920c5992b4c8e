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
# The first that reaches a phrase decides; `open` is a doubt that wins over a denial.
STRENGTH: dict[str, Status] = {
    "unsaid": "unsaid",
    "open": "uncertain",
    "absent": "absent",
    "uncertain": "uncertain",
}


@dataclass(frozen=True)
class Cue:
    status: str
    side: str  # where what it speaks of stands: after, before or both
    start: int
    end: int


def _bounded(patterns: Sequence[str]) -> re.Pattern[str]:
    """Any of the patterns between word boundaries, where a hyphen belongs to the word."""
    return re.compile(
        rf"(?:(?<![\w-])(?=\S)|(?=[:?]))(?:{'|'.join(patterns)})(?:(?<=\?)|(?![\w-]))"
    )


_PSEUDO = _bounded(words.PSEUDO)
_CUES = [(status, side, _bounded(patterns)) for status, side, patterns in words.CUES]
_TURNS, _ONWARD, _VERBS, _AMOUNTS, _STATEMENTS, _ASKS = (
    re.compile(pattern)
    for pattern in (
        words.TURNS,
        words.ONWARD,
        words.VERBS,
        words.AMOUNTS,
        words.STATEMENTS,
        words.ASKS,
    )
)
_ALTERNATIVE = re.compile(r"\bn?or\b")
_OR_AFTER = re.compile(r" or (?!more\b|less\b|so\b)[a-z]")
_OR_BEFORE = re.compile(
    r"(?<!one) or (?:(?:an? )(?!few|couple)(?:\w+ ){0,2}|(?:lung|pulmonary|rib|small|tiny|early)"
    r" )?$"
)
_AND_CLAUSE = re.compile(
    r",? and (?=(?:the|there|no|a|an|both|its|his|her|(heart|lungs?|cardiac|mediastin\w+))\b)"
)
_DENIES = re.compile(r"\b(?:no|without)\b")
_REFERS = re.compile(r"(?:al)?though (?:this|it)\b|(?:this|it|both|all|each|neither|which)\b")
_ANOTHER = re.compile(words.ANOTHER)
_INTRODUCED = re.compile(r"(?:: | [-\u2013\u2014] |\u2014| \()(?=\w)")  # `an opacity: a or b`
_COPULA = re.compile(r"(?:(?:is|are|was|were|has|have|been|now|also) ?)*")
_REJOINED = re.compile(r".*, or\b")
_JOINED = re.compile(r"\b(?:and|or|nor)\b|&|/")
_END = re.compile(
    r"(?<=[.?!])(?<!\s\?)(?<!^\?)\s+(?=[\"'(\[]?[A-Z0-9_?])|\n\s*\n|\s+(?=\d{1,2}[.)]\s)"
)
_REMOVED = re.compile(words.REMOVED)
_SAME = re.compile(
    rf"\b(?:no|not|without|little|minimal|hardly|barely|scant)(?:,? if any,?)? "
    rf"(?:{words.OF_CHANGE} )*{words.CHANGE}[^,;]*$"
)
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


def plain(sentence: str) -> str:
    """A sentence in lower case with plain apostrophes, as long as before."""
    return sentence.lower().replace("\u2019", "'")


def assertions(sentence: str, spans: Sequence[Span]) -> list[Status]:
    """What one sentence says of the phrases at these places."""
    lowered = plain(sentence)
    if _ASKS.search(lowered):
        return ["unsaid"] * len(spans)
    cues, breaks = _read(lowered)
    statuses = [_status(lowered, span, cues, breaks) for span in spans]
    for i, j in _alternatives(lowered, spans):
        if statuses[i] == statuses[j] == "present":
            statuses[i] = statuses[j] = "uncertain"
    return [
        "uncertain" if status == "present" and _is_choice(lowered, span) else status
        for status, span in zip(statuses, spans, strict=True)
    ]


def clause_of(sentence: str, span: Span) -> Span:
    """The clause that holds a phrase: its start and end in the sentence."""
    _, breaks = _read(plain(sentence))
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
        if _ALTERNATIVE.search(text)
        and len(text.split()) <= 6
        and not re.search(r"[,;:]", text)
        and not _SAME.search(sentence[: spans[i][0]])
    ]


def _is_choice(sentence: str, span: Span) -> bool:
    """Whether `or` stands right beside a phrase: `pneumonia or hemorrhage`."""
    beside = _OR_AFTER.match(sentence, span[1]) or _OR_BEFORE.search(sentence[: span[0]])
    return bool(beside) and not _SAME.search(sentence[: span[0]])


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
        if _parts(sentence, begin, match):
            breaks.append(match.span())
    return tuple(cues), tuple(sorted(breaks))


def _parts(sentence: str, begin: int, conjunction: re.Match[str]) -> bool:
    """Whether `and` parts two clauses: each has its verb, or the first denies and needs none."""
    end = sentence.find(",", conjunction.end())
    follows = _VERBS.search(sentence, conjunction.end(), end if end > 0 else len(sentence))
    if conjunction.group(1) and not follows:
        return False
    if _VERBS.search(sentence, begin, conjunction.start()):
        return True
    return bool(follows and _DENIES.search(sentence, begin, conjunction.start()))


def _take(pattern: re.Pattern[str], text: str) -> tuple[list[Span], str]:
    """Places of a pattern, and the text with blanks there, so that no later cue sees them."""
    found: list[Span] = []

    def take(match: re.Match[str]) -> str:
        found.append(match.span())
        return " " * len(match.group())

    return found, pattern.sub(take, text)


def _status(sentence: str, span: Span, cues: Sequence[Cue], breaks: Sequence[Span]) -> Status:
    reached = {cue.status for cue in cues if _reaches(sentence, cue, span, breaks)}
    return next((status for cue, status in STRENGTH.items() if cue in reached), "present")


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
    if not ahead and cue.status == "uncertain" and _INTRODUCED.search(between):
        return False
    if ahead and ")" in between.split("(")[0]:
        return False
    if not ahead and _begins_anew(sentence[cue.start : cue.end], between):
        return False
    if ahead and cue.status != "unsaid" and _ends_before(cue, between):
        return False
    return "," not in between or _is_list(sentence, low, high, span, ahead)


def _ends_before(cue: Cue, between: str) -> bool:
    """Whether a cue that stands ahead has ended: `no pneumothorax and mild edema`."""
    if cue.status == "absent" and _ANOTHER.search(between):
        return True
    rejoined = _REJOINED.match(between)
    return bool(_ONWARD.search(between, rejoined.end() if rejoined else 0))


def _begins_anew(cue: str, between: str) -> bool:
    """Whether a cue at the end belongs to a clause that began after the phrase."""
    if _REMOVED.search(cue) and _ONWARD.search(
        between.removesuffix("since ")
    ):  # `air since the tube was removed`
        return True
    head, conjunction, tail = between.rpartition(" and ")
    return bool(conjunction and not _COPULA.fullmatch(tail) and _VERBS.search(head))


def _is_list(sentence: str, low: int, high: int, span: Span, ahead: bool) -> bool:
    """Whether commas between a cue and a phrase part the items of one list.

    `No effusion, edema, or nodule` is one; `no effusion, small nodule` is two statements."""
    first = sentence.find(",", low, high)
    if not ahead:
        return _closes_list(sentence, low, high)
    close = _clause_end(sentence, span[1])
    rest = sentence[first:close]
    if _VERBS.search(sentence, first, span[1]) or _STATEMENTS.search(sentence, first, span[1]):
        return False
    joint = _ALTERNATIVE.search(sentence, first, close)
    if joint:
        return not _ONWARD.search(sentence, first, joint.start())
    if _AMOUNTS.search(sentence, first, span[1]):
        return False
    return " and " in rest or all(len(item.split()) <= 3 for item in rest.split(","))


def _closes_list(sentence: str, low: int, high: int) -> bool:
    """Whether a cue at the end speaks of items before commas: `a, b and c are absent`.

    In `old fracture, tube no longer present` it speaks of the last one alone."""
    last = sentence.rfind(",", low, high)
    if sentence[last:high].startswith(", and ") and _COPULA.fullmatch(sentence, last + 6, high):
        return True  # `edema has improved, and is now absent`
    if sentence.find(",") == last and sentence[last:high].startswith(", and ") and last + 6 < high:
        return False  # `an effusion, and pneumonia is possible`
    if _VERBS.search(sentence, low, last):
        return False
    tail = sentence[last + 1 : high].strip()
    return not tail or bool(_JOINED.search(tail) or _REFERS.match(tail))


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
