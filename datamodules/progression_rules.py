"""The change between two reports by rules: one sentence for each finding that is not as before."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datamodules.labels import CANONICAL
from datamodules.mentions import Mention, find_mentions
from datamodules.negation import clause_of

UNCHANGED = "No significant interval change."
NOUNS = {
    "Enlarged Cardiomediastinum": "widening of the mediastinum",
    "Cardiomegaly": "cardiomegaly",
    "Lung Opacity": "lung opacity",
    "Lung Lesion": "lung nodule",
    "Edema": "pulmonary edema",
    "Consolidation": "consolidation",
    "Pneumonia": "pneumonia",
    "Atelectasis": "atelectasis",
    "Pneumothorax": "pneumothorax",
    "Pleural Effusion": "pleural effusion",
    "Pleural Other": "pleural thickening",
    "Fracture": "fracture",
    "Support Devices": "support device",
}
ORDER = ("new", "increased", "decreased", "resolved", "persistent")
SENTENCES = {
    "new": "New {what}.",
    "increased": "{what} has increased.",
    "decreased": "{what} has decreased.",
    "resolved": "{what} has resolved.",
    "persistent": "{what} persists.",
}
DEGREES = (
    ("small", r"trace|tiny|minimal\w*|minute|small|mild\w*|slight\w*|minor|faint|subtle"),
    ("moderate", r"moderate\w*|medium"),
    ("large", r"large|severe\w*|extensive|massive|marked\w*|gross\w*|dense"),
)
MILD_WORDS = {"small": "mild", "moderate": "moderate", "large": "severe"}
AMOUNTS = ("Pneumothorax", "Pleural Effusion", "Lung Lesion")  # small; others are mild
SIDES = (
    ("bilateral", r"bilateral\w*|both|bibasilar|bibasal|biapical|right and left|left and right"),
    ("right", r"right\w*"),
    ("left", r"left\w*|lingula\w*"),
)
PLACES = (
    ("in the upper lobe", r"upper lobe"),
    ("in the middle lobe", r"middle lobe"),
    ("in the lower lobe", r"lower lobe"),
    ("in the upper lung zone", r"upper (?:lung )?(?:zone|field)s?"),
    ("in the mid lung zone", r"mid ?-?(?:lung )?(?:zone|field)?s?"),
    ("in the lower lung zone", r"lower (?:lung )?(?:zone|field)s?"),
    ("at the base", r"(?:bi)?bas(?:e|es|al|ilar)"),
    ("at the apex", r"(?:bi)?api(?:cal|ces)|apex"),
    ("behind the heart", r"retrocardiac"),
)
TRENDS = (  # the first that fits decides
    (
        "persistent",
        r"unchanged|stable|persist\w*|again|similar|constant|as before|not (?:\w+ )?changed"
        r"|(?:no|without) (?:\w+ ){0,3}(?:change|improvement|increase|decrease|progression)",
    ),
    ("new", r"new|newly|(?:has|have) (?:developed|appeared)|interval (?:development|appearance)"),
    ("increased", r"increas\w+|worse\w*|progress\w+|larger|greater|more (?:extensive|prominent)"),
    ("decreased", r"decreas\w+|improv\w+|smaller|less|diminish\w+|resolving|clearing|reduc\w+"),
)
_AFTER = re.compile(r",| and | with |;")
_BEFORE = re.compile(r" and |(?<!consistent)(?<!compatible)(?<!keeping) with |;")
# What is said before `opacity consistent with` is said of what follows too.
_LINK = re.compile(
    r"\b(?:consistent with|compatible with|in keeping with|represent\w*|reflect\w*)\b"
)


@dataclass(frozen=True)
class State:
    """What one report says of one finding."""

    status: str  # present, uncertain or absent
    degree: int = -1  # index in DEGREES, -1 unknown
    side: str = ""
    place: str = ""
    trend: str = ""


def describe_change(prior: str, later: str) -> str:
    """Sentences in the order new, increased, decreased, resolved, persistent.

    A finding that the later report does not speak of is passed over; findings that only persist are
    named when another one has changed."""
    before, after = read_states(prior), read_states(later)
    changes = compare_states(before, after)
    if not set(changes.values()) - {"persistent"}:
        return UNCHANGED
    told = [
        _sentence(name, change, after[name] if change != "resolved" else before[name])
        for change in ORDER
        for name in changes
        if changes[name] == change
    ]
    return " ".join(told)


def compare_states(before: Mapping[str, State], after: Mapping[str, State]) -> dict[str, str]:
    """One of ORDER for each finding of which the later report says something."""
    changes = {
        name: _change(before.get(name), after[name]) for name in CANONICAL[1:] if name in after
    }
    return {name: change for name, change in changes.items() if change}


def read_states(text: str) -> dict[str, State]:
    """The strongest statement of each finding that a report mentions."""
    ranks = {"present": 2, "uncertain": 1, "absent": 0}
    found: dict[str, State] = {}
    for mention, words in _with_words(find_mentions(text)):
        if mention.status == "unsaid":
            continue
        state = _state(mention, words)
        old = found.get(mention.label)
        if old is None or ranks[state.status] > ranks[old.status]:
            found[mention.label] = state
    return found


def _change(before: State | None, after: State) -> str:
    """One of ORDER, or nothing to say. The later report's own word of a trend goes first."""
    was_there = before is not None and before.status != "absent"
    if after.status == "absent":
        return "resolved" if was_there else ""
    if before is None and after.trend:
        return after.trend
    if before is None or not was_there:
        return "new"
    if after.trend:
        return "increased" if after.trend == "new" else after.trend
    if -1 not in (before.degree, after.degree) and before.degree != after.degree:
        return "increased" if after.degree > before.degree else "decreased"
    sides = (before.side, after.side)
    if "bilateral" in sides and "" not in sides and before.side != after.side:
        return "increased" if after.side == "bilateral" else "decreased"
    return "persistent"


def _sentence(name: str, change: str, state: State) -> str:
    words = [state.side, NOUNS[name], state.place]
    if change != "resolved" and state.degree >= 0:
        degree = DEGREES[state.degree][0]
        words.insert(0, degree if name in AMOUNTS else MILD_WORDS[degree])
    if state.status == "uncertain" and change != "resolved":
        words.insert(0, "possible")
    what = " ".join(word for word in words if word)
    text = SENTENCES[change].format(what=what)
    return text[0].upper() + text[1:]


def _with_words(mentions: Sequence[Mention]) -> list[tuple[Mention, tuple[str, str, str]]]:
    """Each mention with the words before it, after it, and all of its clause, in lower case.

    Words that stand beyond another mention belong to that one."""
    found = []
    for mention in mentions:
        sentence, text = mention.sentence, mention.sentence.lower()
        low, high = clause_of(sentence, (mention.start, mention.end))
        for other in mentions:
            if other.sentence != sentence or other.label == mention.label:
                continue
            if other.end <= mention.start and not _LINK.search(text, other.end, mention.start):
                low = max(low, other.end)
            if other.start >= mention.end:
                high = min(high, other.start)
        ahead = _BEFORE.split(text[low : mention.start])[-1]
        behind = _AFTER.split(text[mention.end : high])[0]
        found.append((mention, (ahead, behind, text[low:high])))
    return found


def _state(mention: Mention, words: tuple[str, str, str]) -> State:
    ahead, behind, clause = words
    near = f"{ahead} {mention.sentence[mention.start : mention.end].lower()} {behind}"
    degrees = [name for name, _ in DEGREES]
    now = clause.partition(" now ")[2]
    degree = _first(DEGREES, now) or _first(DEGREES, ahead) or _first(DEGREES, behind)
    return State(
        mention.status,
        degrees.index(degree) if degree else -1,
        _first(SIDES, near),
        _first(PLACES, near),
        _first(TRENDS, clause),
    )


def _first(table: Sequence[tuple[str, str]], text: str) -> str:
    """The first entry of a table whose pattern stands in a text."""
    for name, pattern in table:
        if re.search(rf"\b(?:{pattern})\b", text):
            return name
    return ""
