"""How a phantom radiologist reads a chest radiograph: fixations, dictation and ellipses.

A reading is a survey of six landmarks and visits to each finding. Every fixation is drawn from a
mixture of Gaussians with known weights, so the density that its heat map tends to is known.
Coordinates are shares of the image, x to the right, y down; times are seconds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from datamodules.phantom import cxr_report_words as words_of
from datamodules.phantom.cxr_render import render
from datamodules.phantom.cxr_report import Lot, Statement
from datamodules.phantom.cxr_report_phrases import alternatives, capital, say
from datamodules.phantom.cxr_study import DEVICES, PATHOLOGIES, PURPOSES, Finding, Study, labels_of
from datamodules.phantom.streams import Stream

Array = np.ndarray

GRID = 64  # the reference grid that shapes are measured on, whatever size is drawn
DEGREE = 0.03  # share of the image that one degree of sight covers, without zoom
SPREAD = 0.05  # deviation around a landmark
LANDMARKS = {  # canonical x, y
    "trachea": (0.0, -0.62),
    "right hilum": (-0.17, -0.08),
    "left hilum": (0.17, -0.08),
    "right lower zone": (-0.44, 0.30),
    "left lower zone": (0.46, 0.30),
    "heart": (0.10, 0.36),
}
SHAPE, MEAN = 2.2, 0.28  # of the gamma law of durations
OUTSIDE, LOST = 0.03, 0.01  # share of fixations beyond the image, and lost to a blink
ZOOMED, ZOOM = 0.2, 0.5  # share of readings with a zoomed episode; side of what is shown then
DELAY = (0.6, 1.6)  # from the first fixation of a finding to its first word
READERS, DICTATIONS = 64, 128  # streams of the second reader and of the dictations begin here
LOOKED_FOR = (*PATHOLOGIES, DEVICES)
MARKS = ".,;:"


@dataclass(frozen=True)
class Spot:
    """One Gaussian of the mixture: what is looked at, and how likely a fixation is there."""

    name: str
    weight: float
    mean: tuple[float, float]
    covariance: tuple[float, float, float]  # xx, xy, yy
    box: tuple[float, float, float, float] | None = None  # left, top, right, bottom of a finding


@dataclass(frozen=True)
class Spoken:
    """A word or a mark of the dictation."""

    text: str
    start: float
    end: float
    finding: str = ""


@dataclass(frozen=True)
class Ellipse:
    """A finding marked by the reader: the ellipse in a box, and a certainty of 1 to 5."""

    finding: str
    box: tuple[float, float, float, float]
    certainty: int


@dataclass(frozen=True)
class Reading:
    """One reader's look at one study."""

    fixations: Array  # (F, 4) float64: x, y, start, duration
    spots: tuple[str, ...]  # what each fixation was drawn for
    outside: Array  # (F,) bool: moved beyond the image
    lost: Array  # (F,) bool: the tracker had no position
    shown: Array  # (F, 4) left, top, right, bottom of the part on screen
    words: tuple[Spoken, ...]
    ellipses: tuple[Ellipse, ...]

    @property
    def degree(self) -> Array:
        """(F,) share of the image that one degree covers, less while zoomed in."""
        return DEGREE * (self.shown[:, 2] - self.shown[:, 0])

    @property
    def text(self) -> str:
        """The dictation as one line."""
        return re.sub(rf" ([{MARKS}])", r"\1", " ".join(word.text for word in self.words))


def find_spots(study: Study, masks: Mapping[str, Array] | None = None) -> tuple[Spot, ...]:
    """The mixture of a study; `masks` are those of `render(study, GRID)`, if they are at hand."""
    masks = render(study, GRID)[1] if masks is None else masks
    present = [name for name in study.findings if masks[name].any() and name in LOOKED_FOR]
    worst = max((study.findings[name].severity for name in present), default=0.0)
    share = 0.4 + 0.3 * worst if present else 0.0
    (a, b, e), (c, d, f) = study.posture.matrix
    blur = (DEGREE / 2) ** 2
    spots = [
        Spot(
            name,
            round((1 - share) / len(LANDMARKS), 6),
            (round((a * x + b * y + e + 1) / 2, 6), round((c * x + d * y + f + 1) / 2, 6)),
            (SPREAD**2 + blur, 0.0, SPREAD**2 + blur),
        )
        for name, (x, y) in LANDMARKS.items()
    ]
    order = sorted(present, key=lambda name: -study.findings[name].severity)
    return (*spots, *(_measure(name, masks[name], share / len(order), blur) for name in order))


def _measure(name: str, mask: Array, weight: float, blur: float) -> Spot:
    """A finding by the centroid, the second moments and the box of its mask."""
    rows, columns = np.nonzero(mask)
    size = len(mask)
    x, y = (columns + 0.5) / size, (rows + 0.5) / size
    mean = float(x.mean()), float(y.mean())
    left, top = float(columns.min() / size), float(rows.min() / size)
    right, bottom = float((columns.max() + 1) / size), float((rows.max() + 1) / size)
    return Spot(
        name,
        round(weight, 6),
        (round(mean[0], 6), round(mean[1], 6)),
        (
            round(float(x.var()) + blur, 8),
            round(float(((x - mean[0]) * (y - mean[1])).mean()), 8),
            round(float(y.var()) + blur, 8),
        ),
        (left, top, right, bottom),
    )


def expected_density(
    study: Study, size: int, masks: Mapping[str, Array] | None = None, extra: float = 0.0
) -> Array:
    """(size, size) float64, sum 1: the density of fixations in the image.

    extra: deviation of a blur, as a share of the image, that a heat map has on top."""
    centres = (np.arange(size) + 0.5) / size
    total = np.zeros((size, size))
    for spot in find_spots(study, masks):
        xx, xy, yy = spot.covariance
        xx, yy = xx + extra * extra, yy + extra * extra
        determinant = xx * yy - xy * xy
        dx, dy = (centres - spot.mean[0])[None, :], (centres - spot.mean[1])[:, None]
        square = (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / determinant
        total += spot.weight / sqrt(determinant) * np.exp(-square / 2)
    return total / total.sum()


def draw_reading(
    study: Study,
    reader: int = 0,
    *,
    masks: Mapping[str, Array] | None = None,
    n: int | None = None,
) -> Reading:
    """One reader's reading; another reader looks, says and marks something else.

    n: how many fixations, instead of 24 and 4 to 8 for each finding."""
    s = study.place.stream(READERS + reader if reader else PURPOSES.index("gaze"))
    spots = find_spots(study, masks)
    found = [spot for spot in spots if spot.box is not None]
    count = 24 + s.integer(4, 8) * max(1, len(found)) if n is None else n
    zoomed = s.chance(ZOOMED)
    marks = tuple(_mark(s, spot, study.findings[spot.name]) for spot in found)
    rank = {spot.name: i for i, spot in enumerate(spots)}
    weights = {spot.name: spot.weight for spot in spots}
    names = sorted((s.weighted(weights) for _ in range(count)), key=rank.__getitem__)
    by_name = {spot.name: spot for spot in spots}
    places = np.array([_place(s, by_name[name]) for name in names]).reshape(-1, 2)
    outside = np.array([s.chance(OUTSIDE) for _ in names], bool)
    lost = np.array([s.chance(LOST) for _ in names], bool) & ~outside
    places[outside] = [_beyond(s) for _ in range(int(outside.sum()))] or np.zeros((0, 2))
    times, words = _time(s, names, study, {spot.name for spot in found}, reader)
    shown = np.tile([0.0, 0.0, 1.0, 1.0], (count, 1))
    if zoomed:
        last = found[-1] if found else spots[-1]
        shown[[name == last.name for name in names]] = _zoom(last.mean)
    fixations = np.concatenate([places, times], axis=1)
    return Reading(fixations, tuple(names), outside, lost, shown, words, marks)


def _place(s: Stream, spot: Spot) -> tuple[float, float]:
    """A point of a Gaussian, from the lower triangle of its covariance."""
    xx, xy, yy = spot.covariance
    one, other = s.normal(0, 1), s.normal(0, 1)
    x = sqrt(xx) * one
    y = xy / sqrt(xx) * one + sqrt(max(yy - xy * xy / xx, 0)) * other
    return round(spot.mean[0] + x, 6), round(spot.mean[1] + y, 6)


def _beyond(s: Stream) -> tuple[float, float]:
    """A point beside the image."""
    along, away = s.uniform(0, 1), s.uniform(0.02, 0.15)
    return s.choose(((-away, along), (1 + away, along), (along, -away), (along, 1 + away)))


def _time(
    s: Stream, names: list[str], study: Study, found: set[str], reader: int
) -> tuple[Array, tuple[Spoken, ...]]:
    """(F, 2) start and duration, and the words; nothing is said of two findings at once."""
    voice = study.place.stream(DICTATIONS + reader)
    lasts = [_duration(s) for _ in names]
    starts: list[float] = []
    words: list[Spoken] = []
    now, before = s.uniform(0.2, 0.6), ""
    for name, duration in zip(names, lasts, strict=True):
        if name != before and name in found:
            now = max(now, words[-1].end - DELAY[0] if words else 0.0)
            text = _sentence(voice, name, study)
            words += _speak(voice, text, name, now + voice.uniform(*DELAY))
        before = name
        starts.append(round(now, 6))
        now += duration + s.uniform(0.02, 0.06)
    end = max(words[-1].end if words else 0.0, starts[-1] if starts else now)
    words += _speak(voice, _close(voice, study, bool(words)), "", end)
    return np.array([starts, lasts]).T.reshape(-1, 2), tuple(words)


def _duration(s: Stream) -> float:
    """Gamma of SHAPE and MEAN, by the cube of a normal number (Wilson and Hilferty): no inverse
    of an incomplete gamma function, whose last bits differ between machines."""
    cube = 1 - 1 / (9 * SHAPE) + s.normal(0, 1) / (3 * sqrt(SHAPE))
    return round(MEAN * max(cube, 0.1) ** 3, 6)


def _sentence(voice: Stream, name: str, study: Study) -> str:
    """A sentence of the reports' grammar that mentions a finding."""
    lot = Lot([voice.unit() for _ in range(24)])
    if name != DEVICES:
        return say(Statement(name, "present", study.findings[name]), lot)
    device = study.devices[0]
    named = f"{device.side} {device.kind}".strip()
    phrase = f"{'an' if named[0] in 'aeiou' else 'a'} {named}"
    template = lot.choose(words_of.DEVICES[device.kind])
    return template.format(A=capital(phrase), a=phrase, kind=named, at=device.position)


def _close(voice: Stream, study: Study, said: bool) -> str:
    """Two absent findings are denied; where there was nothing to say, all of them are."""
    if not said:
        return voice.choose(words_of.PROCESS)
    truth = labels_of(study)
    absent = [name for name in words_of.DENIED if not truth[name]]
    nouns = [words_of.DENIED[name][0] for name in voice.shuffled(absent)[:2]]
    return voice.choose(words_of.TEMPLATES["absent"]).format(list=alternatives(nouns))


def _speak(voice: Stream, text: str, name: str, start: float) -> list[Spoken]:
    """Words after each other; a mark takes no time."""
    words = []
    for word in re.findall(rf"[{MARKS}]|[^\s{MARKS}]+", text):
        mark = word in MARKS
        end = start if mark else start + 0.08 + 0.05 * len(word) + voice.uniform(0, 0.1)
        words.append(Spoken(word, round(start, 6), round(end, 6), name))
        start = end
    return words


def _mark(s: Stream, spot: Spot, finding: Finding) -> Ellipse:
    """The box of the finding, each border off by 5 % of the side, and how sure the reader is."""
    assert spot.box is not None
    left, top, right, bottom = spot.box
    wide, high = right - left, bottom - top
    off = [s.normal(0, 0.05) * side for side in (wide, high, wide, high)]
    box = tuple(round(v + o, 6) for v, o in zip(spot.box, off, strict=True))
    sure = 3 + (finding.severity > 0.3) + (finding.severity > 0.65)
    sure += s.weighted({-1: 0.15, 0: 0.7, 1: 0.15})
    return Ellipse(spot.name, (box[0], box[1], box[2], box[3]), min(5, sure))


def _zoom(middle: tuple[float, float]) -> tuple[float, float, float, float]:
    """What is shown when zoomed in on a point: half of the sides, within the image."""
    left, top = (round(min(max(v - ZOOM / 2, 0.0), 1 - ZOOM), 6) for v in middle)
    return left, top, left + ZOOM, top + ZOOM


def sample_eyes(reading: Reading, rate: float) -> tuple[Array, Array]:
    """(S, 3) time, x, y at `rate` a second, and (S,) the fixation each belongs to, -1 in between.

    Fixations with tremor, straight saccades between them, NaN where the tracker lost the eye."""
    starts, lasts = reading.fixations[:, 2], reading.fixations[:, 3]
    if not len(starts):
        return np.zeros((0, 3)), np.zeros(0, int)
    moments = np.arange(int((starts[-1] + lasts[-1]) * rate) + 1) / rate
    knots = np.stack([starts, starts + lasts], axis=1).ravel()
    places = np.repeat(reading.fixations[:, :2], 2, axis=0)
    x, y = (np.interp(moments, knots, places[:, axis]) for axis in (0, 1))
    own = np.searchsorted(starts, moments, side="right") - 1
    inside = (own >= 0) & (moments < (starts + lasts)[own])
    shake = DEGREE / 20
    x = np.where(inside, x + shake * np.sin(moments * 571.0), x)
    y = np.where(inside, y + shake * np.cos(moments * 463.0), y)
    blind = inside & reading.lost[own]
    x[blind] = y[blind] = np.nan
    return np.stack([moments, x, y], axis=1), np.where(inside, own, -1)
