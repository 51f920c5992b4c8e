"""Reports of the chest phantom: the grammar read backwards, its noise, its lengths."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from datamodules.phantom import cxr
from datamodules.phantom import cxr_report_words as words
from datamodules.phantom.cxr_report import (
    HALLUCINATE,
    OMIT,
    Report,
    merge,
    write_progression,
    write_report,
)
from datamodules.phantom.cxr_study import (
    FINDINGS,
    LONG_TAIL,
    PATHOLOGIES,
    PURPOSES,
    Study,
    labels_of,
)
from datamodules.progression_rules import compare_states, read_states

# the inverse ----------------------------------------------------------------------------------

SLOTS = {
    "sev": "mild|moderate|severe|small|large",
    "side": "left|right|bilateral",
    "at": r"(?:in|at|on) (?:the|both) [a-z ]+",
    "size": r"\d+",
    "rib": "|".join(words.ORDINALS),
}
FIXED = {
    **{text: {} for text in (*words.PROCESS, *words.CLEAR, *words.ADVICE)},
    **{text: {"Support Devices": 1.0} for text in words.DEVICES_SHORT},
    **{text: {"Support Devices": 0.0} for text in words.NO_DEVICES},
    **{text: {name: 0.0} for name, texts in words.NORMAL.items() for text in texts},
}
STATUS = {"uncertain": -1.0, "resolved": 0.0}
DENIED = {noun: name for name, nouns in words.DENIED.items() for noun in nouns}
GONE = {words.GONE.get(name) or words.DENIED[name][0]: name for name in (*PATHOLOGIES, *LONG_TAIL)}


def _regex(template: str, slots: dict[str, str]) -> re.Pattern[str]:
    """A template whose slots may be empty; a blank beside an empty slot is missing too."""
    pattern = re.escape(template).replace(r"\ ", " ")
    for name, values in slots.items():
        slot = rf"\{{{name}\}}"
        pattern = pattern.replace(f"{slot} ", f"(?:(?:{values}) )?")
        pattern = pattern.replace(f" {slot}", f"(?: (?:{values}))?")
    return re.compile(pattern)


@cache
def _nouns() -> list[tuple[str, re.Pattern[str]]]:
    return [
        (name, _regex(text, SLOTS))
        for name, rows in words.NOUNS.items()
        for single, several, _ in rows
        for text in (single, several)
        if text
    ]


@cache
def _sentences() -> list[tuple[str, re.Pattern[str]]]:
    """Templates of one noun phrase; the plain one last, because it fits everything."""
    slots = {"{is}": "(?:is|are)", "{has}": "(?:has|have)", "{a}": "(?:an? )?"}
    slots |= {"{np}": "(?P<np>.+)", "{Np}": "(?P<np>.+)", "{other}": "(?P<other>.+)"}
    found = []
    for kind in (
        "uncertain",
        "resolved",
        "stable",
        "better",
        "worse",
        "new",
        "together",
        "present",
    ):
        for template in words.TEMPLATES[kind]:
            pattern = re.escape(template).replace(r"\ ", " ")
            for slot, values in slots.items():
                pattern = pattern.replace(re.escape(slot), values)
            found.append((kind, re.compile(pattern)))
    return found


@cache
def parse_phrase(phrase: str, kind: str) -> dict[str, float] | None:
    """The finding that a noun phrase names, and the opacity that it is called."""
    plain = re.sub(r"^an? ", "", phrase[0].lower() + phrase[1:])
    if kind == "resolved" and plain in GONE:
        return {GONE[plain]: 0.0}
    value = STATUS.get(kind, 1.0)
    for name, frame in words.OPACITIES.items():
        ahead = frame.removesuffix("{np}")
        if plain.startswith(ahead):
            inner = parse_phrase(plain.removeprefix(ahead), kind)
            return inner and {"Lung Opacity": value, **inner} if inner == {name: value} else None
    found = {name for name, pattern in _nouns() if pattern.fullmatch(plain)}
    return {found.pop(): value} if len(found) == 1 else None


def parse(sentence: str) -> dict[str, float]:
    """The mentions of one sentence of the grammar."""
    return dict(_parse(re.sub(r"^\d+\. ", "", sentence)))


@cache
def _parse(text: str) -> dict[str, float]:
    if text in FIXED:
        return FIXED[text]
    for template in words.TEMPLATES["absent"]:
        before, after = template.split("{list}")
        if text.startswith(before) and text.endswith(after):
            nouns = re.split(", or |, | or ", text[len(before) : -len(after)])
            if all(noun in DENIED for noun in nouns):
                return {DENIED[noun]: 0.0 for noun in nouns}
    if any(kind in text for kind in words.DEVICES) or "leads" in text:
        return {"Support Devices": 1.0}
    for kind, pattern in _sentences():
        if match := pattern.fullmatch(text):
            parts = [parse_phrase(part, kind) for part in match.groupdict().values()]
            if all(parts):
                return {name: value for part in parts if part for name, value in part.items()}
    raise AssertionError(f"not a sentence of the grammar: {text}")


# the tests ------------------------------------------------------------------------------------


def studies(subjects: int, seed: int = 0, longtail: bool = False) -> Iterator[Study]:
    for subject in range(subjects):
        place = cxr.address(seed, "train", subject)
        yield from cxr.journey(place, min_feature=5.0, projection=None, longtail=longtail)


def report_of(study: Study, **rates: float) -> Report:
    return write_report(study, study.place.stream(PURPOSES.index("report")), **rates)


@cache
def reports() -> list[tuple[Study, Report]]:
    return [(study, report_of(study)) for study in studies(400)]


def check_inverse(study: Study, report: Report) -> None:
    for sentence in report.sentences:
        assert parse(sentence.text) == sentence.mentions, sentence.text
    mentions = merge(report.sentences)
    assert {k: v for k, v in report.mentions.items() if k != "No Finding"} == mentions


def test_grammar_and_parser_are_inverse() -> None:
    for study, report in reports():
        check_inverse(study, report)


@pytest.mark.slow
def test_grammar_and_parser_are_inverse_on_many() -> None:
    count = 0
    for study in studies(2200, seed=3, longtail=True):
        check_inverse(study, report_of(study))
        count += 1
    assert count >= 5000


def test_rare_findings_are_said_too() -> None:
    for study in studies(150, seed=4, longtail=True):
        check_inverse(study, report_of(study))


def test_sections_hold_the_sentences() -> None:
    for study, report in reports()[:50]:
        for section in ("findings", "impression"):
            texts = [s.text for s in report.sentences if s.section == section]
            assert report.sections[section] == " ".join(texts)
        first = study.place.visit == 0
        assert report.sections["comparison"] == ("None." if first else "___.")
        assert report.sections["indication"].startswith("___ year old ")
        assert "\n\nFINDINGS: " in report.text


def test_mentions_differ_from_truth_only_where_listed() -> None:
    for study, report in reports():
        truth = labels_of(study)
        for name in (*PATHOLOGIES, "Support Devices"):
            said = report.mentions.get(name)
            if name in report.omitted:
                assert truth[name] == 1 and said is None
            elif name in report.hallucinated:
                assert truth[name] == 0 and said == 1
            elif truth[name]:
                assert said in (1.0, -1.0), (name, report.text)
            else:
                assert said in (0.0, None), (name, report.text)


def test_rates_of_noise_and_doubt() -> None:
    rows = reports()
    own = [(s, r, name) for s, r in rows for name in s.findings]
    omitted = np.mean([name in r.omitted for _, r, name in own])
    free = [(r, name) for s, r in rows for name in FINDINGS[:13] if name not in s.findings]
    invented = np.mean([name in r.hallucinated for r, name in free])
    doubt = np.mean([r.mentions.get(name) == -1 for _, r, name in own if name in PATHOLOGIES])
    assert omitted == pytest.approx(OMIT, abs=0.012)
    assert invented == pytest.approx(HALLUCINATE, abs=0.004)
    assert doubt == pytest.approx(0.08, abs=0.03)


def test_without_noise_nothing_is_listed_but_the_opacity_of_doubtful_findings() -> None:
    for study in studies(40, seed=5):
        report = report_of(study, omit=0.0, hallucinate=0.0)
        assert not report.hallucinated
        assert set(report.omitted) <= {"Lung Opacity"}


def test_lengths_of_impressions() -> None:
    """A median of about 20 words; about one in ten beyond the 50 words that 74 tokens of CLIP
    hold: 1.45 tokens a word were counted with its vocabulary."""
    lengths = [len(report.sections["impression"].split()) for _, report in reports()]
    assert 18 <= np.median(lengths) <= 23
    assert 0.07 <= np.mean(np.array(lengths) > 50) <= 0.14


def test_a_changed_finding_leaves_the_words_of_the_others() -> None:
    place = cxr.address(0, "train", 4)
    fixed = {"Edema": None, "Fracture": {"side": "left", "severity": 0.5}}
    texts = []
    for severity in (0.4, 0.9):
        chosen = fixed | {"Pleural Effusion": {"side": "left", "severity": severity}}
        study = cxr.draw_study(place, min_feature=5.0, set=chosen)
        texts.append([s.text for s in report_of(study).sentences if s.section == "findings"])
    different = [(a, b) for a, b in zip(*texts, strict=True) if a != b]
    assert len(different) <= 1
    assert all("effusion" in a and "effusion" in b for a, b in different)


def test_denials_are_four_to_six_where_so_many_are_free() -> None:
    for study in studies(60, seed=7):
        findings = report_of(study).mentions_in("findings")
        denied = [n for n in PATHOLOGIES if findings.get(n) == 0 and n not in study.changes]
        assert len(denied) <= 6
        if sum(labels_of(study)[name] for name in PATHOLOGIES) < 4 and not study.changes:
            assert len(denied) >= 4


def test_no_comparison_at_a_first_visit() -> None:
    compared = re.compile(r"\b(?:unchanged|interval|again|new|prior|worsen|improv)", re.IGNORECASE)
    for study, report in reports():
        if study.place.visit == 0:
            said = " ".join(s.text for s in report.sentences if s.text not in words.ADVICE)
            assert not compared.search(said.replace("Short interval", "")), said


def test_progression_says_every_change_in_order() -> None:
    for subject in range(60):
        visits = cxr.journey(cxr.address(2, "test", subject), min_feature=5.0)
        for prior, later in pairwise(visits):
            stream = later.place.stream(PURPOSES.index("report"))
            text = write_progression(prior, later, stream)
            changed = {n for n, c in later.changes.items() if c in ("new", "worse", "better")}
            gone = {n for n, c in later.changes.items() if c == "resolved"}
            said: dict[str, float] = {}
            for sentence in re.split(r"(?<=\.) ", text):
                if sentence != words.UNCHANGED:
                    said |= parse(sentence)
            assert {name for name, value in said.items() if value == 1} == changed & set(
                later.findings
            )
            assert {name for name, value in said.items() if value == 0} == gone
            assert bool(said) == bool(changed | gone)


def test_rules_read_the_changes_of_the_phantom() -> None:
    """Of reports without label noise, for findings that neither report doubts."""
    words_of = {"new": "new", "worse": "increased", "better": "decreased"}
    words_of |= {"resolved": "resolved", "stable": "persistent"}
    compared = []
    for subject in range(80):
        visits = cxr.journey(cxr.address(0, "test", subject), min_feature=5.0)
        told = [report_of(study, omit=0.0, hallucinate=0.0) for study in visits]
        states = [read_states(report.sections["findings"]) for report in told]
        for k, later in enumerate(visits[1:], 1):
            found = compare_states(states[k - 1], states[k])
            doubted = {n for r in told[k - 1 : k + 1] for n, v in r.mentions.items() if v == -1}
            for name in later.changes.keys() - doubted - {"Lung Opacity"}:
                compared.append(found.get(name) == words_of[later.changes[name]])
    assert len(compared) > 100
    assert np.mean(compared) >= 0.98
