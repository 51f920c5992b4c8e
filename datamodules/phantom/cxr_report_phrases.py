"""Noun phrases and sentences of the chest phantom's reports: one finding, said in one way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from datamodules.phantom import cxr_report_words as words
from datamodules.phantom.cxr_study import Finding

T = TypeVar("T")
MILD, SEVERE = 0.3, 0.65  # severities from which a finding is moderate, and severe
OPACITY = "Lung Opacity"
VALUES = {"present": 1.0, "absent": 0.0, "uncertain": -1.0}


@dataclass(frozen=True)
class Statement:
    """What is said of one finding."""

    name: str
    status: str  # present, absent or uncertain
    finding: Finding | None = None
    change: str = ""  # one of CHANGES, or resolved, from the second visit on
    opaque: bool = False  # is also called an opacity


@dataclass
class Lot:
    """A fixed number of random words, from which one part of a report draws."""

    units: list[float] = field(default_factory=list)

    def unit(self) -> float:
        return self.units.pop()

    def chance(self, probability: float) -> bool:
        return self.units.pop() < probability

    def choose(self, options: Sequence[T]) -> T:
        return options[int(self.units.pop() * len(options))]


def say(statement: Statement, lot: Lot) -> str:
    """One sentence of one finding."""
    kind = statement.change or statement.status
    if statement.status == "uncertain":
        kind = "uncertain"
    phrase, plural, article = noun_phrase(statement, lot)
    return fill(lot.choose(words.TEMPLATES[kind]), phrase, plural, article)


def fill(template: str, phrase: str, plural: bool, article: str, other: str = "") -> str:
    """A template with its noun phrase, in the right number."""
    slots = {"is": "are", "has": "have"} if plural else {"is": "is", "has": "has"}
    made = template.format(np=phrase, Np=capital(phrase), a=article, other=other, **slots)
    return capital(made)


def noun_phrase(statement: Statement, lot: Lot) -> tuple[str, bool, str]:
    """(words, whether they are plural, article with a blank or nothing) for one finding."""
    name, finding = statement.name, statement.finding
    if finding is None:
        noun = words.GONE.get(name) or words.DENIED[name][0]
        return noun, False, "a " if name in words.COUNTED else ""
    single, several, kind = lot.choose(words.NOUNS[name])
    count = int(finding.numbers.get("count", 1))
    plural = bool(several) and (finding.side == "bilateral" or count > 1)
    degree = words.SEVERITIES[kind][(finding.severity >= MILD) + (finding.severity >= SEVERE)]
    filled = (several if plural else single).format(
        sev="" if statement.change == "resolved" else degree,
        side=finding.side,
        at=_place(finding),
        size=_size(finding),
        rib=words.ORDINALS[int(finding.numbers.get("rib", 6)) - 1],
    )
    phrase, counted = " ".join(filled.split()), name in words.COUNTED
    if statement.opaque:
        phrase, counted = words.OPACITIES[name].format(np=phrase), True
        plural = name in words.PLURAL_OPACITIES
    return phrase, plural, _article(phrase) if counted and not plural else ""


def _place(finding: Finding) -> str:
    side = finding.side
    if finding.place in words.ZONES:
        zone = words.ZONES[finding.place]
        return f"in both {zone}s" if side == "bilateral" else f"in the {side} {zone}"
    if finding.place in ("base", "apex"):
        both = {"base": "bases", "apex": "apices"}[finding.place]
        return f"at both {both}" if side == "bilateral" else f"at the {side} {finding.place}"
    return {"": "", "bilateral": "on both sides"}.get(side, f"on the {side}")


def _size(finding: Finding) -> int:
    sizes = [v for name, v in finding.numbers.items() if name.startswith("diameter_mm")]
    return round(max(sizes, default=12.0))


def _article(phrase: str) -> str:
    first = phrase.split()[0]
    return "an " if first[0] in "aeiou8" or first in ("11", "18") else "a "


def mentions_of(statement: Statement) -> dict[str, float]:
    found = {statement.name: VALUES[statement.status]}
    return found | ({OPACITY: 1.0} if statement.opaque else {})


def alternatives(nouns: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b, or c`."""
    if len(nouns) < 3:
        return " or ".join(nouns)
    return f"{', '.join(nouns[:-1])}, or {nouns[-1]}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
