"""From one metric and its inputs to values: each kind of metric with the interval it deserves."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks import intervals
from benchmarks.inputs import Inputs
from benchmarks.jobs import Job
from benchmarks.metrics.declaration import (
    BETWEEN_ARMS,
    FEATURES,
    OUTPUTS,
    PAIRS,
    ROWS,
    SAMPLES,
    SETS,
)
from benchmarks.resampling import Halves
from medbench.core.seeds import rng

Value = dict[str, Any]
KEPT = 100  # resampled values that a result keeps, for comparisons of rows
FLOORED = (FEATURES, OUTPUTS)


def values_of(job: Job, inputs: Inputs, seed: int) -> list[Value]:
    """Every value of a metric other than adherence."""
    measure: Callable[[Job, Inputs, int], list[Value]] = {
        SETS: _sets,
        SAMPLES: _samples,
        ROWS: _rows,
        PAIRS: _pairs,
        BETWEEN_ARMS: _arms,
    }[job.metric.kind]
    return measure(job, inputs, seed)


def blank(job: Job, given: str, n: int, **known: Any) -> Value:
    """A value with everything that a result promises, absent parts null."""
    whole: Value = {
        "name": job.named(given),
        "metric": given,
        "value": None,
        "low": None,
        "high": None,
        "n": n,
        "n_real": None,
        "floor": None,
        "ceiling": None,
        "chance": None,
        "undefined": 0,
        "note": None,
        "draws": None,
    }
    return whole | known


def plain(value: Any) -> float | None:
    """A finite number, or None for a value that the metric's rule leaves undefined."""
    number = float(value)
    return number if np.isfinite(number) else None


def short(draws: np.ndarray) -> list[float] | None:
    """Resampled values to six digits, as many as are kept."""
    if not np.isfinite(draws).all():
        return None
    return [float(f"{value:.6g}") for value in draws[:KEPT]]


def _stream(job: Job, seed: int, purpose: str) -> np.random.Generator:
    return rng(seed, job.arm, job.name, purpose)


# distances between sets ---------------------------------------------------------------
def _sets(job: Job, inputs: Inputs, seed: int) -> list[Value]:
    """A value of whole sets: random halves for the interval, real halves for the floor."""
    halves = Halves(job, inputs.whole(), inputs.rows, inputs.more)
    n = inputs.n
    value = halves.value(_stream(job, seed, "value"))
    draws = halves.draws(n, _stream(job, seed, "interval"), _stream(job, seed, "halves"))
    floor: dict[str, tuple[float, float]] = {}
    m = 0
    real = inputs.real(job.real) if job.metric.needs in FLOORED else None
    if real is not None:
        floor, m = _floor(job, halves, real.subjects, n, _stream(job, seed, "floor"))
    note = _rank_note(*inputs.whole()) if job.metric.name == "fid" else None
    found = []
    for given, number in value.items():
        spread = float(np.std(draws[given], ddof=1)) if given in draws else float("nan")
        half = intervals.NORMAL_95 * spread
        known = bool(np.isfinite(half)) and plain(number) is not None
        found.append(
            blank(
                job,
                given,
                n,
                value=plain(number),
                low=float(number) - half if known else None,
                high=float(number) + half if known else None,
                n_real=len(real.rows) if real is not None else None,
                floor={"value": floor[given][0], "m": m, "generated": floor[given][1]}
                if given in floor
                else None,
                undefined=int(plain(number) is None),
                note=note,
                draws=short(draws[given]) if given in draws else None,
            )
        )
    return found


def _floor(
    job: Job, halves: Halves, subjects: list[str], n: int, stream: np.random.Generator
) -> tuple[dict[str, tuple[float, float]], int]:
    """Means over splits: real against real between disjoint halves of m, and the generated value
    against the same half at the same m. Nothing where the halves are too small."""
    if len(set(subjects)) < 2:
        return {}, 0
    count = intervals.FLOORS if len(subjects) <= intervals.MANY else intervals.FEW_FLOORS
    splits = [intervals.disjoint_halves(subjects, stream) for _ in range(count)]
    m = min([n] + [len(half) for pair in splits for half in pair])
    if m < job.metric.min_samples:
        return {}, m
    pairs = []
    for first, second in splits:
        one, other = (stream.permutation(half)[:m] for half in (first, second))
        some = stream.permutation(n)[:m]
        pairs.append((halves.real_pair(one, other, stream), halves.mixed(one, some, stream)))
    return {
        name: (
            float(np.mean([pair[0][name] for pair in pairs])),
            float(np.mean([pair[1][name] for pair in pairs])),
        )
        for name in pairs[0][0]
    }, m


def _rank_note(real: np.ndarray, fake: np.ndarray) -> str | None:
    n, d = min(len(real), len(fake)), real.shape[1]
    return f"{n} images for {d} dimensions: biased upwards" if n <= d else None


# scores per image and of rows -----------------------------------------------------------
def _samples(job: Job, inputs: Inputs, seed: int) -> list[Value]:
    """Means of per-image values with a bootstrap over subjects; NaN is undefined and counted."""
    given = _computed(job, inputs, seed)
    found = []
    for name, scores in given.items():
        scores = np.asarray(scores, np.float64)
        defined = np.isfinite(scores)
        subjects = [s for s, is_there in zip(inputs.subjects, defined, strict=True) if is_there]
        if not defined.any():
            found.append(blank(job, name, 0, undefined=len(scores), note="undefined everywhere"))
            continue
        # The purpose of the stream leaves the name out, so that values can be compared pairwise.
        draws = intervals.bootstrap_means(
            scores[defined], subjects, _stream(job, seed, "bootstrap")
        )
        low, high = intervals.percentiles(draws)
        found.append(
            blank(
                job,
                name,
                int(defined.sum()),
                value=float(scores[defined].mean()),
                low=low,
                high=high,
                undefined=int((~defined).sum()),
                draws=short(draws) if draws is not None else None,
                spread=float(scores[defined].std(ddof=1)) if defined.sum() > 1 else None,
            )
        )
    return found


def _computed(job: Job, inputs: Inputs, seed: int) -> dict[str, Any]:
    randomness = {"rng": _stream(job, seed, "value")} if job.metric.draws else {}
    settings = job.settings | randomness | inputs.more()
    return job.metric.values(*inputs.whole(), **settings)


def _rows(job: Job, inputs: Inputs, seed: int) -> list[Value]:
    """A value of rows that belong together, such as an AUROC: rows resampled by subject."""
    value = _computed(job, inputs, seed)
    subjects = inputs.subjects
    draws: dict[str, list[float]] = {name: [] for name in value}
    stream = _stream(job, seed, "bootstrap")
    count = intervals.ROW_BOOTSTRAPS if len(set(subjects)) > 1 else 0
    for rows in intervals.bootstrap_rows(subjects, count, stream):
        again = job.metric.values(*inputs.rows(rows), **(job.settings | inputs.more(rows)))
        for name in value:
            draws[name].append(float(again.get(name, np.nan)))
    ceiling = _ceiling(job, inputs)
    found = []
    for name, number in value.items():
        defined = np.array([x for x in draws[name] if np.isfinite(x)])
        enough = plain(number) is not None and len(defined) >= 0.5 * count and count > 0
        low, high = intervals.percentiles(defined) if enough else (None, None)
        kept = np.array(draws[name])
        found.append(
            blank(
                job,
                name,
                inputs.n,
                value=plain(number),
                low=low,
                high=high,
                ceiling=ceiling.get(name),
                undefined=int(plain(number) is None),
                note="undefined: one class is absent" if plain(number) is None else None,
                draws=short(kept) if count else None,
            )
        )
    return found


def _ceiling(job: Job, inputs: Inputs) -> dict[str, float | None]:
    """What the real images of the same requests score with the same judge."""
    if "scores" not in job.metric.needs or "real_scores" in job.metric.needs:
        return {}
    if inputs.source.pairs is None or job.metric.may_need or "race_scores" in job.metric.needs:
        return {}
    given = [inputs["real_scores"] if n == "scores" else inputs[n] for n in job.metric.needs]
    return {n: plain(v) for n, v in job.metric.values(*given, **job.settings).items()}


def _pairs(job: Job, inputs: Inputs, seed: int) -> list[Value]:
    """Means over pairs of generated samples, with a bootstrap over pairs."""
    found = []
    for name, scores in _computed(job, inputs, seed).items():
        scores = np.atleast_1d(np.asarray(scores, np.float64))
        kept = scores[np.isfinite(scores)]
        if not len(kept):
            found.append(
                blank(job, name, inputs.n, undefined=len(scores), note="undefined everywhere")
            )
            continue
        names = [str(i) for i in range(len(kept))]
        draws = intervals.bootstrap_means(kept, names, _stream(job, seed, "bootstrap"))
        low, high = intervals.percentiles(draws)
        found.append(
            blank(
                job,
                name,
                inputs.n,
                value=float(kept.mean()),
                low=low,
                high=high,
                undefined=int(len(scores) - len(kept)),
                note=f"{len(kept):,} pair{'s' * (len(kept) != 1)}",
                draws=short(draws) if draws is not None else None,
            )
        )
    return found


def _arms(job: Job, inputs: Inputs, seed: int) -> list[Value]:
    """What a test between two arms says; its own p is the value's."""
    found: Mapping[str, Any] = _computed(job, inputs, seed)
    first, second = inputs["first_values"], inputs["second_values"]
    about = f"{len(first)} against {len(second)}: {job.arm} against {job.options['second']}"
    return [blank(job, name, len(first), value=plain(v), note=about) for name, v in found.items()]
