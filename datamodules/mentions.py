"""What a report mentions, phrase by phrase: which finding, and whether it is said to be there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from datamodules import labeller_terms as terms
from datamodules.negation import Span, Status, assertions, clause_of, split_sentences


@dataclass(frozen=True)
class Mention:
    """One phrase of one sentence."""

    label: str
    status: Status
    sentence: str
    start: int
    end: int


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?!\w)")


_PHRASES = {label: _whole(pattern) for label, pattern in terms.PHRASES.items()}
_STRUCTURES = {
    label: tuple(_whole(pattern) for pattern in patterns)
    for label, patterns in terms.STRUCTURES.items()
}
_INSIDE = {label: _whole(pattern) for label, pattern in terms.INSIDE.items()}
_GONE = re.compile(terms.GONE)


def find_mentions(text: str) -> list[Mention]:
    """Every mention in a text, in order; also those that say nothing of this image (`unsaid`)."""
    return [mention for sentence in split_sentences(text) for mention in _mentions(sentence)]


def _mentions(sentence: str) -> list[Mention]:
    lowered = sentence.lower()
    places = sorted({*_phrases(lowered), *_changed_structures(lowered)})
    statuses = assertions(sentence, [(start, end) for start, end, _ in places])
    found = [
        Mention(label, _device_status(label, lowered[start:end], status), sentence, start, end)
        for (start, end, label), status in zip(places, statuses, strict=True)
    ]
    found += [
        Mention(label, "absent", sentence, start, end)
        for start, end, label in _normal_structures(lowered)
    ]
    return sorted(found, key=lambda mention: mention.start)


def _device_status(label: str, phrase: str, status: Status) -> Status:
    if label != "Support Devices" or not _GONE.fullmatch(phrase) or status == "unsaid":
        return status
    return "present" if status == "absent" else "absent"


def _phrases(sentence: str) -> Iterator[tuple[int, int, str]]:
    for label, pattern in _PHRASES.items():
        taken = [m.span() for m in _INSIDE[label].finditer(sentence)] if label in _INSIDE else []
        for match in pattern.finditer(sentence):
            start, end = match.span()
            if not any(low <= start and end <= high for low, high in taken):
                yield start, end, label


def _changed_structures(sentence: str) -> Iterator[tuple[int, int, str]]:
    """Places of the words by which a structure is said to be abnormal, or denied to be."""
    for label, _, (kind, span) in _judged_structures(sentence):
        if kind == "abnormal":
            yield *span, label


def _normal_structures(sentence: str) -> Iterator[tuple[int, int, str]]:
    for label, place, (kind, _) in _judged_structures(sentence):
        if kind == "normal":
            yield *place, label


def _judged_structures(sentence: str) -> Iterator[tuple[str, Span, tuple[str, Span]]]:
    """(label, the structure's place, (abnormal or normal, place of the nearest such word))."""
    for label, (structure, abnormal, normal) in _STRUCTURES.items():
        for match in structure.finditer(sentence):
            low, high = clause_of(sentence, match.span())
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
