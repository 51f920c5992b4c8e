"""What a report mentions, phrase by phrase: which finding, and whether it is said to be there."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from datamodules import labeller_terms as terms
from datamodules.negation import Span, Status, assertions, clause_of, plain, split_sentences
from datamodules.spelling import LEAST, misspelt


@dataclass(frozen=True)
class Mention:
    """One phrase of one sentence."""

    label: str
    status: Status
    sentence: str
    start: int
    end: int


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?=\w)(?:{pattern})(?!\w)")


_PHRASES = {label: _whole(pattern) for label, pattern in terms.PHRASES.items()}
_STRUCTURES = {
    label: tuple(_whole(pattern) for pattern in patterns)
    for label, patterns in terms.STRUCTURES.items()
}
_WEAK = {label: _whole(pattern) for label, pattern in terms.WEAK.items()}
_INSIDE = {label: _whole(pattern) for label, pattern in terms.INSIDE.items()}
_CLEAR = re.compile(rf"\b(?:{terms.CLEAR})\b")
_LONG_WORD = re.compile(rf"[a-z]{{{LEAST},}}")
_MORE = re.compile(
    r"(?:al)?though [^,;]*, (?=(?:is|are|remains?|appears?|still)\b)"
    r"|[,;]? ?(?:but|though|although|yet|which) (?:\w+ly )?(?:is|are|may|might|could|appears?"
    r"|remains?|"
    r"looks?|not|still|probably|likely|possibly|within|normal|enlarged|borderline|top)\b"
)
_ONE = re.compile(
    r"\b(?:small|tiny|trace|minimal|minute|subtle|large|moderate|new|early|occult|mild) ones?\b"
)
_REMOVAL = re.compile(terms.REMOVAL)
_PART_BEFORE, _PART_AFTER = re.compile(terms.PART_BEFORE), re.compile(terms.PART_AFTER)
_GONE = re.compile(terms.GONE)


def find_mentions(text: str) -> list[Mention]:
    """Every mention in a text, in order; also those that say nothing of this image (`unsaid`)."""
    return [mention for sentence in split_sentences(text) for mention in _mentions(sentence)]


@lru_cache(maxsize=4096)
def _mentions(sentence: str) -> tuple[Mention, ...]:
    lowered = plain(sentence)
    places = sorted({*_phrases(lowered), *_changed_structures(lowered)})
    places += _again(lowered, places)
    statuses = assertions(sentence, [(start, end) for start, end, _ in places])
    found = [
        Mention(label, _device_status(label, lowered, start, end, status), sentence, start, end)
        for (start, end, label), status in zip(places, statuses, strict=True)
    ]
    found += [
        Mention(label, "absent", sentence, start, end)
        for start, end, label in (*_normal_structures(lowered), *_clear_lungs(lowered))
    ]
    return tuple(sorted(found, key=lambda mention: mention.start))


def _device_status(label: str, sentence: str, start: int, end: int, status: Status) -> Status:
    if label != "Support Devices" or status == "unsaid":
        return status
    if _REMOVAL.match(sentence, end):
        return "absent"
    if _PART_BEFORE.search(sentence[:start]) or _PART_AFTER.match(sentence, end):
        return "present"
    if not _GONE.fullmatch(sentence, start, end):
        return status
    return "present" if status == "absent" else "absent"


def _phrases(sentence: str) -> Iterator[tuple[int, int, str]]:
    for label, pattern in _PHRASES.items():
        taken = [m.span() for m in _INSIDE[label].finditer(sentence)] if label in _INSIDE else []
        places = [
            (start, end)
            for start, end in (match.span() for match in pattern.finditer(sentence))
            if not any(low <= start and end <= high for low, high in taken)
        ]
        if not places and label in _WEAK:
            places = [match.span() for match in _WEAK[label].finditer(sentence)]
        for start, end in places:
            yield start, end, label
    for match in _LONG_WORD.finditer(sentence):
        if label := misspelt(match.group()):
            yield *match.span(), label


def _changed_structures(sentence: str) -> Iterator[tuple[int, int, str]]:
    """Places of the words by which a structure is said to be abnormal, or denied to be."""
    for label, _, (kind, span) in _judged_structures(sentence):
        if kind == "abnormal":
            yield *span, label


def _normal_structures(sentence: str) -> Iterator[tuple[int, int, str]]:
    for label, place, (kind, _) in _judged_structures(sentence):
        if kind == "normal":
            yield *place, label


def _again(sentence: str, places: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Places of `a small one`, which is of the last finding before it."""
    return [
        (*match.span(), max(before)[-1])
        for match in _ONE.finditer(sentence)
        if (before := [place for place in places if place[1] <= match.start()])
    ]


def _clear_lungs(sentence: str) -> Iterator[tuple[int, int, str]]:
    if "clear" in sentence:
        for match in _CLEAR.finditer(sentence):
            yield *match.span(), "Lung Opacity"


def _judged_structures(sentence: str) -> Iterator[tuple[str, Span, tuple[str, Span]]]:
    """(label, the structure's place, (abnormal or normal, place of the nearest such word))."""
    for label, (structure, abnormal, normal) in _STRUCTURES.items():
        for match in structure.finditer(sentence):
            low, high = clause_of(sentence, match.span())
            if more := _MORE.match(sentence, high):  # `hard to judge but may be enlarged`
                high = clause_of(sentence, (more.end(), more.end()))[1]
                low = more.end() if re.compile(abnormal).search(sentence, more.end(), high) else low
            words = [
                (_distance(match.span(), word.span()), kind, word.span())
                for kind, pattern in (("abnormal", abnormal), ("normal", normal))
                for word in pattern.finditer(sentence, low, high)
            ]
            if words:
                _, kind, span = min(words)
                yield label, match.span(), (kind, span)


def _distance(one: Span, other: Span) -> int:
    return max(one[0] - other[1], other[0] - one[1], 0)
