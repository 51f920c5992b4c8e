"""Reports of the chest phantom: what a study shows, said in sentences, and what they mention.

Each finding is mentioned as present, absent, doubtful or not at all. Labels of a report follow from
its mentions; they differ from the image's truth where a finding was left out or invented, and the
report lists both. Every finding has its own share of the stream, so that one that is changed leaves
the words of the others alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from datamodules.phantom import cxr_report_words as words
from datamodules.phantom.cxr_report_phrases import (
    MILD,
    OPACITY,
    Lot,
    Statement,
    alternatives,
    capital,
    fill,
    mentions_of,
    noun_phrase,
    say,
)
from datamodules.phantom.cxr_study import (
    DEVICES,
    FINDINGS,
    LONG_TAIL,
    OPACITIES,
    PATHOLOGIES,
    Finding,
    Study,
    labels_of,
)
from datamodules.phantom.streams import Stream

OMIT, HALLUCINATE = 0.03, 0.01  # of the findings that are there, and of those that are not
DOUBT_MILD, DOUBT = 0.35, 0.022  # of the mild findings, of the others; 0.08 of all
IMPRESSION = "impression"
MIDLINE = ("Enlarged Cardiomediastinum", "Cardiomegaly", "Edema", DEVICES)
PLACES = {
    "Atelectasis": "base",
    "Pneumothorax": "apex",
    "Pleural Effusion": "base",
} | dict.fromkeys(
    (OPACITY, "Lung Lesion", "Consolidation", "Pneumonia"), "lower"
)  # of what is invented
USUAL = ("Pneumothorax", "Pleural Effusion", "Consolidation", "Edema", "Cardiomegaly")
CHANGES = ("new", "worse", "better", "stable")
WORDINESS = {"terse": 0.24, "plain": 0.4, "wordy": 0.36}


@dataclass(frozen=True)
class Sentence:
    """One sentence, where it stands and what it mentions (1, 0 or -1 by label)."""

    section: str
    text: str
    mentions: Mapping[str, float]


@dataclass(frozen=True)
class Report:
    """A report by sections, and what it mentions."""

    sections: dict[str, str]  # examination, indication, technique, comparison, findings, impression
    sentences: tuple[Sentence, ...]  # of findings and impression
    mentions: dict[str, float]  # 1, 0 or -1 by label; what is not mentioned is not there
    omitted: tuple[str, ...] = ()  # shown by the image and not said
    hallucinated: tuple[str, ...] = ()  # said and not shown

    @property
    def text(self) -> str:
        """The whole report, a paragraph for each section."""
        return "\n\n".join(f"{name.upper()}: {text}" for name, text in self.sections.items())

    def mentions_in(self, section: str) -> dict[str, float]:
        """What one section mentions."""
        return merge(s for s in self.sentences if s.section == section)


def write_report(
    study: Study, stream: Stream, *, omit: float = OMIT, hallucinate: float = HALLUCINATE
) -> Report:
    """The report of a study; `omit` and `hallucinate` are the rates of label noise."""
    drawn = stream.units(24 * len(FINDINGS) + 64)  # at once: a fetch costs more than its numbers
    lots = {name: Lot(drawn[24 * i : 24 * i + 24]) for i, name in enumerate(FINDINGS)}
    general = Lot(drawn[24 * len(FINDINGS) :])
    statements, omitted, invented = _state(study, lots, omit, hallucinate)
    denied = _denied(study, statements, omitted, general)
    findings = _findings(study, statements, denied, lots, general)
    impression = _impression(study, statements, denied, lots, general)
    sentences = (*findings, *impression)
    mentions = merge(sentences)
    if not any(mentions.get(name) in (1.0, -1.0) for name in PATHOLOGIES):
        mentions["No Finding"] = 1.0
    sections = _frame(study, general) | {
        name: " ".join(sentence.text for sentence in part)
        for name, part in (("findings", findings), ("impression", impression))
    }
    return Report(sections, sentences, mentions, tuple(omitted), tuple(invented))


def write_progression(prior: Study, later: Study, stream: Stream) -> str:
    """What has changed from the prior to the later study, a sentence for each change.

    New, worse, better and resolved findings in this order; one fixed sentence without any."""
    lots = {name: Lot(stream.units(4)) for name in FINDINGS}
    told = []
    for change in (*CHANGES[:-1], "resolved"):
        for name in (n for n, what in later.changes.items() if what == change):
            finding = later.findings.get(name) or prior.findings.get(name)
            status = "absent" if change == "resolved" else "present"
            if finding is not None and (change == "resolved" or name in later.findings):
                told.append(say(Statement(name, status, finding, change), lots[name]))
    return " ".join(told) or words.UNCHANGED


def merge(sentences: Iterable[Sentence]) -> dict[str, float]:
    """Mentions of several sentences: present wins over doubt, doubt over absence."""
    found: dict[str, float] = {}
    for sentence in sentences:
        for name, value in sentence.mentions.items():
            if found.get(name) != 1.0 and not (found.get(name) == -1.0 and value == 0.0):
                found[name] = value
    return found


# what is said -------------------------------------------------------------------------------


def _state(
    study: Study, lots: Mapping[str, Lot], omit: float, hallucinate: float
) -> tuple[list[Statement], list[str], list[str]]:
    """Statements in the order of FINDINGS; what was left out; what was invented."""
    said: list[Statement] = []
    omitted: list[str] = []
    invented: list[str] = []
    opaque = labels_of(study)[OPACITY] == 1
    for name in FINDINGS:
        lot, finding = lots[name], study.findings.get(name)
        left_out, doubted, made_up = lot.unit() < omit, lot.unit(), lot.unit() < hallucinate
        if finding is not None:
            if left_out:
                omitted.append(name)
            else:
                said.append(_judged(name, finding, doubted, study.changes.get(name, "")))
        elif made_up and name not in LONG_TAIL and not (name == OPACITY and opaque):
            invented.append(name)
            said.append(Statement(name, "present", _invented(name, lot)))
        elif study.changes.get(name) == "resolved" and not (name == OPACITY and opaque):
            said.append(Statement(name, "absent", None, "resolved"))
        elif name == OPACITY and opaque and left_out:
            omitted.append(name)
    if opaque and OPACITY not in (*study.findings, *omitted):
        said = _closed(said, omitted, lots[OPACITY])
    return said, omitted, invented


def _judged(name: str, finding: Finding, doubted: float, change: str) -> Statement:
    """A finding that is said to be there, or doubted: mostly when it is mild."""
    doubt = DOUBT_MILD if finding.severity < MILD else DOUBT
    if doubted < doubt and name in PATHOLOGIES:
        return Statement(name, "uncertain", finding)
    return Statement(name, "present", finding, change if change in CHANGES else "")


def _invented(name: str, lot: Lot) -> Finding:
    side = "" if name in MIDLINE else lot.choose(("right", "left"))
    place = PLACES.get(name, "")
    return Finding(side, place, round(0.15 + 0.4 * lot.unit(), 6), {})


def _closed(said: list[Statement], omitted: list[str], lot: Lot) -> list[Statement]:
    """One of the findings that are opacities is also called one; without any it is left out."""
    carriers = [s for s in said if s.status == "present" and s.name in OPACITIES]
    if not carriers:
        omitted.append(OPACITY)
        return said
    chosen = lot.choose(carriers)
    return [replace(s, opaque=True) if s is chosen else s for s in said]


def _denied(
    study: Study, said: Sequence[Statement], omitted: Sequence[str], general: Lot
) -> list[str]:
    """Four to six absent findings that are denied; the usual ones more often."""
    truth = labels_of(study)
    told = {statement.name for statement in said} | set(omitted)
    count = 4 + int(3 * general.unit())
    ranks = {name: general.unit() * (1 if name in USUAL else 2.5) for name in PATHOLOGIES}
    if any(s.opaque for s in said):
        told.add(OPACITY)
    free = [name for name in PATHOLOGIES if not truth[name] and name not in told]
    return sorted(free, key=lambda name: ranks[name])[:count]


# how it is said -------------------------------------------------------------------------------


def _findings(
    study: Study,
    said: Sequence[Statement],
    denied: Sequence[str],
    lots: Mapping[str, Lot],
    general: Lot,
) -> list[Sentence]:
    """Devices, what is there or doubted, what is normal, what is denied."""
    told = _devices(study, said, lots[DEVICES])
    for statement in said:
        if statement.name != DEVICES:
            mentions = mentions_of(statement)
            text = say(statement, lots[statement.name])
            told.append(Sentence("findings", text, mentions))
    for name in denied:
        if name in words.NORMAL:
            text = lots[name].choose(words.NORMAL[name])
            told.append(Sentence("findings", text, {name: 0.0}))
    listed = [name for name in denied if name in words.DENIED]
    for part in (listed[:3], listed[3:]):
        if part:
            told.append(_denial("findings", part, lots, general))
    if general.chance(0.5):
        told.append(Sentence("findings", general.choose(words.CLEAR), {}))
    return told


def _devices(study: Study, said: Sequence[Statement], lot: Lot) -> list[Sentence]:
    """A sentence for each device; for an invented one it is a tube that nobody drew."""
    if not any(statement.name == DEVICES for statement in said):
        if DEVICES not in study.findings and lot.chance(0.05):
            return [Sentence("findings", lot.choose(words.NO_DEVICES), {DEVICES: 0.0})]
        return []
    drawn = [(d.kind, d.side, d.position) for d in study.devices] or [words.INVENTED_DEVICE]
    return [
        Sentence("findings", _say_device(kind, side, at, lot), {DEVICES: 1.0})
        for kind, side, at in drawn
    ]


def _say_device(kind: str, side: str, at: str, lot: Lot) -> str:
    named = " ".join(f"{side} {kind}".split())
    article = "an" if named[0] in "aeiou" else "a"
    template = lot.choose(words.DEVICES[kind])
    phrase = f"{article} {named}"
    return template.format(A=capital(phrase), a=phrase, kind=named, at=at)


def _denial(section: str, names: Sequence[str], lots: Mapping[str, Lot], general: Lot) -> Sentence:
    """One sentence that denies several findings."""
    nouns = [lots[name].choose(words.DENIED[name]) for name in names]
    text = general.choose(words.TEMPLATES["absent"]).format(list=alternatives(nouns))
    return Sentence(section, text, dict.fromkeys(names, 0.0))


# the impression and the frame -------------------------------------------------------------------


def _impression(
    study: Study,
    said: Sequence[Statement],
    denied: Sequence[str],
    lots: Mapping[str, Lot],
    general: Lot,
) -> list[Sentence]:
    """Positives by severity, then doubts; long ones deny, number and advise."""
    length = _weighted(general.unit(), WORDINESS)
    told = [s for s in said if s.status == "present" and s.finding and s.name != DEVICES]
    told.sort(key=lambda s: -(s.finding.severity if s.finding else 0))
    told = [replace(s, opaque=False) for s in told] + [s for s in said if s.status == "uncertain"]
    gone = [s for s in said if s.change == "resolved"] if length != "terse" else []
    made = _pairs(told, lots) if length == "terse" else []
    made = made or [Sentence(IMPRESSION, say(s, lots[s.name]), mentions_of(s)) for s in told]
    made += [Sentence(IMPRESSION, say(s, lots[s.name]), mentions_of(s)) for s in gone]
    if not told:
        made.insert(0, Sentence(IMPRESSION, general.choose(words.PROCESS), {}))
    if any(s.name == DEVICES for s in said) and general.chance(0.5):
        made.append(Sentence(IMPRESSION, general.choose(words.DEVICES_SHORT), {DEVICES: 1.0}))
    listed = [name for name in denied if name in words.DENIED]
    if listed and length != "terse" and general.chance(0.6 if told else 0.8):
        made.append(_denial(IMPRESSION, listed[: 2 if length == "plain" else 4], lots, general))
    if length == "wordy":
        made += _advice(general)
    return _numbered(made) if len(made) > 2 and general.chance(0.4) else made


def _pairs(told: Sequence[Statement], lots: Mapping[str, Lot]) -> list[Sentence]:
    """Findings two by two in one sentence; empty when one of them is in doubt."""
    if len(told) < 2 or any(s.status != "present" for s in told):
        return []
    made = []
    for first, second in zip_longest(told[::2], told[1::2]):
        phrase, plural, article = noun_phrase(replace(first, change=""), lots[first.name])
        template, link, mentions = "{Np}.", "", {first.name: 1.0}
        if second is not None:
            other, _, before = noun_phrase(replace(second, change=""), lots[second.name])
            template = lots[first.name].choose(words.TEMPLATES["together"])
            link, mentions = before + other, mentions | {second.name: 1.0}
        text = fill(template, phrase, plural, article, link)
        made.append(Sentence(IMPRESSION, text, mentions))
    return made


def _advice(general: Lot) -> list[Sentence]:
    count = 1 + general.chance(0.7) + general.chance(0.5)
    first = int(general.unit() * len(words.ADVICE))
    chosen = [words.ADVICE[(first + i) % len(words.ADVICE)] for i in range(count)]
    return [Sentence(IMPRESSION, text, {}) for text in chosen]


def _numbered(made: Sequence[Sentence]) -> list[Sentence]:
    return [replace(s, text=f"{i}. {s.text}") for i, s in enumerate(made, 1)]


def _weighted(unit: float, weights: Mapping[str, float]) -> str:
    left = unit
    for option, weight in weights.items():
        left -= weight
        if left < 0:
            return option
    return option


def _frame(study: Study, general: Lot) -> dict[str, str]:
    """The sections above the findings."""
    person = {"F": "woman", "M": "man"}[study.patient.sex]
    why = f"___ year old {person} with {general.choose(words.INDICATIONS)}"
    question = f"  // {general.choose(words.QUESTIONS)}" if general.chance(0.5) else "."
    later = bool(study.changes) or study.place.visit > 0
    return {
        "examination": words.EXAMINATIONS[study.projection],
        "indication": why + question,
        "technique": words.TECHNIQUES[study.projection],
        "comparison": "___." if later else "None.",
    }
