"""From a protocol, generated and real images to values with intervals, floors and fingerprints."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import intervals
from benchmarks.extractors import RESIZE, Extractor
from benchmarks.features import Extracted, cached, extract
from benchmarks.metrics.declaration import FEATURES, Metric, load_metric, too_large
from benchmarks.sources import Source
from medbench.core.classes import load_class
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import canonical, fingerprint
from medbench.core.seeds import rng

FEW = 30  # prompts of a template below which a value says that it rests on few
ENTRY = ("metric", "name", "arm", "real", "extractor", "asks", "settings")
Value = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One entry of a protocol's metrics, with the sources that it names."""

    metric: Metric
    name: str
    arm: str
    real: str
    extractor: str
    asks: str | None
    settings: dict[str, Any]

    def names(self) -> list[str]:
        if len(self.metric.gives) == 1:
            return [self.name]
        prefix = "" if self.name == self.metric.name else f"{self.name}/"
        return [prefix + name for name in self.metric.gives]


def measure(
    protocol: dict[str, Any],
    fakes: Mapping[str, Source],
    reals: Mapping[str, Source],
    extractors: Mapping[str, Extractor],
    cache: Path,
    seed: int,
    quiet: bool = False,
) -> list[Value]:
    """The `values` of a result: every metric of the protocol, one pass per extractor and source."""
    jobs = plan_jobs(protocol, fakes, reals)
    resolution = int(protocol["resolution"])
    passes: dict[tuple[str, str, str], Extracted] = {}
    for job in jobs:
        extractor = extractors[job.extractor]
        real, fake = ("real", job.real, job.extractor), ("fake", job.arm, job.extractor)
        if real not in passes:
            label = f"features of {job.real}"
            passes[real] = cached(reals[job.real], extractor, resolution, cache, label, quiet)
        if fake not in passes:
            label = f"features of {job.arm}"
            passes[fake] = extract(fakes[job.arm], extractor, resolution, label, quiet)
    values: list[Value] = []
    for job in jobs:
        real_found = passes["real", job.real, job.extractor]
        fake_found = passes["fake", job.arm, job.extractor]
        kind = _distances if job.metric.needs == FEATURES else _adherence
        found = kind(job, real_found, fake_found, extractors[job.extractor], seed)
        about = _Comparable(job, fakes[job.arm], reals[job.real], extractors[job.extractor])
        values += [about.completed(value, resolution) for value in found]
    return values


def plan_jobs(
    protocol: dict[str, Any], fakes: Mapping[str, Source], reals: Mapping[str, Source]
) -> list[Job]:
    """The protocol's metrics, checked before any image is opened."""
    mistakes: list[str] = []
    jobs: list[Job] = []
    for entry in protocol["metrics"]:
        try:
            jobs.append(_job(entry, protocol, fakes, reals))
        except UserError as error:
            mistakes += error.mistakes
    for job in jobs:
        mistakes += _too_few(job, len(fakes[job.arm].samples), len(reals[job.real].samples))
    names = [name for job in jobs for name in job.names()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        mistakes.append(f"Two values would be called {twice[0]}: give one of them a name.")
    if mistakes:
        raise UserError(*mistakes)
    return jobs


def _job(
    entry: dict[str, Any] | str,
    protocol: dict[str, Any],
    fakes: Mapping[str, Source],
    reals: Mapping[str, Source],
) -> Job:
    entry = {"metric": entry} if isinstance(entry, str) else entry
    unknown = [key for key in entry if key not in ENTRY]
    if unknown:
        raise UserError(f"metrics: {unknown[0]} is not known{nearest(unknown[0], ENTRY)}.")
    metric = load_metric(entry["metric"])
    named = {}
    known = {"arm": fakes, "real": reals, "extractor": protocol["extractors"]}
    for key, choices in known.items():
        named[key] = entry.get(key, next(iter(choices)))
        if named[key] not in choices:
            raise UserError(
                f"metrics.{metric.name}.{key}={named[key]} is not there; there are "
                f"{', '.join(choices)}."
            )
    settings = dict(entry.get("settings", {}))
    return Job(
        metric, entry.get("name", metric.name), **named, asks=entry.get("asks"), settings=settings
    )


def _too_few(job: Job, n_fake: int, n_real: int) -> list[str]:
    """Sentences for sets that are too small for a metric or for its settings."""
    found = []
    for n, which in ((n_fake, "generated"), (n_real, "real")):
        if n < job.metric.min_samples:
            found.append(
                f"{job.name} needs at least {job.metric.min_samples} {which} images; there are {n}."
            )
        for setting in job.metric.sizes:
            value = job.settings.get(setting, 0)
            if value > n:
                found.append(too_large(job.name, setting, value, n, which))
    return found


@dataclass(frozen=True)
class _Comparable:
    """What two values must share to be ranked: nothing of seeds or of sampling settings."""

    job: Job
    fake: Source
    real: Source
    extractor: Extractor

    def completed(self, value: Value, resolution: int) -> Value:
        judged = self.job.metric.needs != FEATURES
        asks = {"asks": self.job.asks} if self.job.asks else {}
        settings = canonical(self.job.settings | asks)
        template = value["name"].removeprefix(self.job.name) if judged else ""
        parts = {
            "metric": f"{value['metric']}{template} {self.job.metric.version} {settings}",
            "extractor": self.extractor.fingerprint,
            "preprocessing": f"resized by {RESIZE} where sizes differ",
            "resolution": resolution,
            "n": value["n"],
            "real set": None if judged else self.real.fingerprint,
            "requests": self.fake.requests,
        }
        whole = {
            "arm": self.job.arm,
            "extractor": self.job.extractor,
            "direction": self.job.metric.direction,
            "fingerprint": {"id": fingerprint(parts), "parts": parts},
        }
        if self.fake.fingerprint == self.real.fingerprint:
            note = f"{value['note'] or ''} The generated set is the real set."
            value = value | {"note": note.strip()}
        return {"name": value["name"], "metric": value["metric"]} | whole | value


# distances between sets -----------------------------------------------------------------------


def _distances(
    job: Job, real: Extracted, fake: Extracted, extractor: Extractor, seed: int
) -> list[Value]:
    """Every value of a metric on features, with its interval and its floor."""

    def draws(purpose: str) -> np.random.Generator:
        return rng(seed, job.arm, job.name, purpose)

    def compute(x: np.ndarray, y: np.ndarray, stream: np.random.Generator) -> dict[str, float]:
        most = min(len(x), len(y))
        capped = {k: min(v, most) for k, v in job.settings.items() if k in job.metric.sizes}
        randomness = {"rng": stream} if job.metric.draws else {}
        return job.metric.values(x, y, **(job.settings | capped | randomness))

    x, y = real.features, fake.features
    value = compute(x, y, draws("value"))
    stream = draws("halves")
    spans = intervals.halves_interval(
        value, lambda rows: compute(x, y[rows], stream), len(y), draws("interval")
    )
    floor, m = _floor(job, real, y, compute, draws("floor"))
    note = _rank_note(len(x), len(y), x.shape[1]) if job.metric.name == "fid" else None
    return [
        {
            "name": name,
            "metric": given,
            "value": value[given],
            "low": spans[given][0],
            "high": spans[given][1],
            "n": len(y),
            "n_real": len(x),
            "floor": {"value": floor[0][given], "m": m, "generated": floor[1][given]}
            if floor
            else None,
            "ceiling": None,
            "chance": None,
            "undefined": 0,
            "note": note,
        }
        for name, given in zip(job.names(), job.metric.gives, strict=True)
    ]


def _floor(
    job: Job, real: Extracted, fake: np.ndarray, compute: Any, stream: np.random.Generator
) -> tuple[tuple[dict[str, float], dict[str, float]] | None, int]:
    """Means over 10 splits: real against real between disjoint halves of m, and the generated
    value against the same half at the same m. None where the halves are too small."""
    if len(set(real.subjects)) < 2:
        return None, 0
    splits = [intervals.disjoint_halves(real.subjects, stream) for _ in range(intervals.FLOORS)]
    m = min([len(fake)] + [len(half) for pair in splits for half in pair])
    if m < job.metric.min_samples:
        return None, m
    pairs = []
    for first, second in splits:
        one, other = (real.features[stream.permutation(half)[:m]] for half in (first, second))
        some = fake[stream.permutation(len(fake))[:m]]
        pairs.append((compute(one, other, stream), compute(one, some, stream)))
    names = job.metric.gives
    floor, generated = (
        {name: float(np.mean([pair[side][name] for pair in pairs])) for name in names}
        for side in (0, 1)
    )
    return (floor, generated), m


def _rank_note(n_real: int, n_fake: int, d: int) -> str | None:
    n = min(n_real, n_fake)
    return f"{n} images for {d} dimensions: biased upwards" if n <= d else None


# scores per image -----------------------------------------------------------------------------


def _adherence(
    job: Job, real: Extracted, fake: Extracted, extractor: Extractor, seed: int
) -> list[Value]:
    """One value for each template of prompts, beside real frames and shuffled prompts."""
    if fake.texts is None:
        raise UserError(
            f"{job.name} needs the prompts of the generated images: a manifest, or a table "
            "captions.csv in their folder with the columns file and text."
        )
    if not job.asks:
        raise UserError(f"metrics.{job.name}.asks is missing: the function that reads a prompt.")
    asks = load_class(job.asks)
    templates, unread = _templates(asks, fake.texts)
    real_templates = _templates(asks, real.texts)[0] if real.texts else {}
    values = []
    for template, rows in templates.items():
        stream = rng(seed, job.arm, job.name, template)
        places, wanted = list(rows), list(rows.values())
        matrix = job.metric(fake.scores[places], extractor.label_names, wanted, **job.settings)
        own = np.diagonal(matrix)
        span = intervals.bootstrap_interval(own, [fake.subjects[i] for i in places], stream)
        shuffled = intervals.shuffled(matrix, stream)
        there = real_templates.get(template, {})
        values.append(
            {
                "name": f"{job.name}/{template}",
                "metric": job.metric.name,
                "value": float(own.mean()),
                "low": span[0] if span else None,
                "high": span[1] if span else None,
                "n": len(places),
                "n_real": len(there),
                "floor": None,
                "ceiling": _own_prompts(job, real, there, extractor) if there else None,
                "chance": dict(zip(("value", "low", "high"), shuffled, strict=True)),
                "undefined": unread,
                "note": f"only {len(places)} prompts" if len(places) < FEW else None,
            }
        )
    return values


def _own_prompts(
    job: Job, found: Extracted, rows: dict[int, dict[str, float]], extractor: Extractor
) -> float:
    """Share right of real frames with their own prompts."""
    scores, names = found.scores, extractor.label_names
    right = [job.metric(scores[[i]], names, [want], **job.settings) for i, want in rows.items()]
    return float(np.mean(right))


def _templates(asks: Any, texts: list[str]) -> tuple[dict[str, dict[int, dict[str, float]]], int]:
    """What each prompt asks, by template and place; and how many prompts nothing can be asked of
    (they are of no known form, or determine no label)."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    unread = 0
    for place, text in enumerate(texts):
        try:
            template, wanted = asks(text)
        except ValueError:
            unread += 1
            continue
        if wanted:
            found.setdefault(template, {})[place] = wanted
        else:
            unread += 1
    if not found:
        raise UserError(f"None of {len(texts)} prompts can be judged, such as {texts[0][:80]!r}.")
    return dict(sorted(found.items())), unread
