"""From a protocol, generated and real images to values with intervals, floors and fingerprints."""

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.adherence import adherence_of
from benchmarks.extractors import RESIZE, Extractor
from benchmarks.features import Extracted, cached, extract, oddities
from benchmarks.groups import groups_of
from benchmarks.inputs import Inputs
from benchmarks.jobs import Job, make_job, plan_jobs
from benchmarks.kinds import Value, blank, values_of
from benchmarks.metrics.declaration import FEATURES, OUTPUTS, SAMPLES
from benchmarks.sources import Source, prepared
from medbench.core.errors import UserError
from medbench.core.fingerprint import canonical, fingerprint
from medbench.core.progress import Progress

__all__ = ["Value", "measure", "plan_jobs"]

log = logging.getLogger(__name__)
SMALLEST = 8  # rows of a group that is measured on its own
DISTANCES = (FEATURES, OUTPUTS)


def measure(
    protocol: Mapping[str, Any],
    fakes: Mapping[str, Source],
    reals: Mapping[str, Source],
    extractors: Mapping[str, Extractor],
    cache: Path,
    seed: int,
    quiet: bool = False,
    say: Callable[[str], None] = log.warning,
) -> list[Value]:
    """The `values` of a result: every metric of the protocol, one pass per source.

    A pass decodes an image once and shows it to every network that needs it, once; what is odd
    about a set is handed to `say`."""
    jobs = plan_jobs(protocol, fakes, reals)
    how = protocol.get("preprocessing") or {}
    fakes = {name: prepared(source, how) for name, source in fakes.items()}
    reals = {name: prepared(source, how) for name, source in reals.items()}
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".measure-") as folder:
        passes = Passes(fakes, reals, extractors, int(protocol["resolution"]), cache, quiet)
        passes.run(jobs, Path(folder))
        for line in passes.oddities():
            say(line)
        meter = _Meter(protocol, fakes, reals, extractors, passes, seed)
        values: list[Value] = []
        with Progress("metrics", len(jobs), unit="metric", quiet=quiet) as progress:
            for job in jobs:
                values += meter.values(job)
                progress.update()
        return values


class Passes:
    """Every source shown to every extractor that a job needs it for; each once."""

    def __init__(
        self,
        fakes: Mapping[str, Source],
        reals: Mapping[str, Source],
        extractors: Mapping[str, Extractor],
        resolution: int,
        cache: Path,
        quiet: bool,
    ) -> None:
        self.fakes, self.reals, self.extractors = fakes, reals, extractors
        self.resolution, self.cache, self.quiet = resolution, cache, quiet
        self._found: dict[tuple[str, str], Extracted] = {}

    def run(self, jobs: list[Job], folder: Path) -> None:
        wanted: dict[tuple[str, str], list[str]] = {}
        for job in jobs:
            for place, extractor in _shown(job, self.fakes):
                names = wanted.setdefault(place, [])
                names += [] if extractor in names else [extractor]
        for (side, name), extractors in wanted.items():
            source = self._source(side, name)
            todo = {
                e: self.extractors[e]
                for e in extractors
                if (source.fingerprint, e) not in self._found
            }
            if not todo:
                continue
            label = f"{'generated' if side == 'fake' else 'real'} images: {name}"
            if side == "fake":
                made = extract(source, todo, self.resolution, folder, label, self.quiet)
            else:
                made = cached(source, todo, self.resolution, self.cache, label, self.quiet)
            self._found |= {(source.fingerprint, e): one for e, one in made.items()}

    def __call__(self, side: str, name: str, extractor: str) -> Extracted:
        return self._found[self._source(side, name).fingerprint, extractor]

    def oddities(self) -> list[str]:
        """What is odd about the sets that were shown, each set named."""
        names = [(n, s.fingerprint) for group in (self.fakes, self.reals) for n, s in group.items()]
        found: dict[str, None] = {}
        for (place, _), extracted in self._found.items():
            name = next((n for n, known in names if known == place), "real images of the requests")
            for line in oddities(extracted.rows, self.resolution):
                found[f"{name}: {line}."] = None
        return list(found)

    def _source(self, side: str, name: str) -> Source:
        if side == "real":
            return self.reals[name]
        source = self.fakes[name]
        return source.pairs if side == "pairs" and source.pairs is not None else source


def _shown(job: Job, fakes: Mapping[str, Source]) -> list[tuple[tuple[str, str], str]]:
    """Which sources a job shows to which extractors."""
    needs, found = set(job.metric.needs), []
    for extractor in job.extractors():
        found.append((("fake", job.arm), extractor))
    if job.extractor:
        sets = job.reals() + ([job.real] if job.asks and job.real else [])
        found += [(("real", name), job.extractor) for name in sets]
        judged = "real_scores" in needs or ({"scores", "labels"} <= needs)
        if judged and fakes[job.arm].pairs is not None:
            found.append((("pairs", job.arm), job.extractor))
    return found


class _Meter:
    """Measures one job after the other, whole and by group."""

    def __init__(
        self,
        protocol: Mapping[str, Any],
        fakes: Mapping[str, Source],
        reals: Mapping[str, Source],
        extractors: Mapping[str, Extractor],
        passes: Passes,
        seed: int,
    ) -> None:
        self.protocol, self.fakes, self.reals = protocol, fakes, reals
        self.extractors, self.passes, self.seed = extractors, passes, seed

    def values(self, job: Job) -> list[Value]:
        inputs = self._inputs(job)
        found = self._measured(job, inputs)
        for key in job.options.get("by") or ():
            found += self._grouped(job, inputs, str(key))
        about = _Comparable(self.protocol, job, self.fakes, self.reals, self.extractors)
        return [about.completed(value) for value in found]

    def _inputs(self, job: Job) -> Inputs:
        resolution = int(self.protocol["resolution"])
        return Inputs(job, self.fakes, self.reals, self.extractors, self.passes, resolution)

    def _measured(self, job: Job, inputs: Inputs) -> list[Value]:
        if "second_values" in job.metric.needs:
            inputs._made |= self._two_arms(job)
        return self._values_of(job, inputs)

    def _values_of(self, job: Job, inputs: Inputs) -> list[Value]:
        if not job.asks:
            return values_of(job, inputs, self.seed)
        real = self.passes("real", str(job.real), str(job.extractor)) if job.real else None
        return adherence_of(job, inputs, real, self.seed)

    def _two_arms(self, job: Job) -> dict[str, np.ndarray]:
        """The per-sample values of both arms that a test compares."""
        found = {}
        for key, arm in (("first_values", job.arm), ("second_values", job.options["second"])):
            entry = dict(job.options["of"]) | {"arm": arm}
            inner = make_job(entry, self.protocol, self.fakes, self.reals)
            if inner.metric.kind != SAMPLES:
                raise UserError(
                    f"{job.name}: of={inner.metric.name} gives no value for each sample, which a "
                    "comparison of arms needs."
                )
            inputs = self._inputs(inner)
            scores = inner.metric.values(*inputs.whole(), **inner.settings)
            found[key] = np.asarray(scores[job.options.get("value", inner.metric.gives[0])])
        return found

    def _grouped(self, job: Job, inputs: Inputs, key: str) -> list[Value]:
        """The same metric on the rows of each value of a key; small groups are only named."""
        found, least = [], max(SMALLEST, job.metric.min_samples)
        for name, rows in self._groups(inputs, key).items():
            part = _Part(inputs, rows)
            inner = replace(job, settings=_fitting(job, len(rows)))
            if len(rows) < least:
                note = f"a group of fewer than {least} images is not measured"
                main = [blank(inner, job.metric.gives[0], len(rows), undefined=1, note=note)]
            else:
                made = self._values_of(inner, part)
                main = [v for v in made if v["metric"] in job.metric.gives]
            for value in main:
                about = {"name": f"{value['name']} [{key}={name}]", "group": {key: name}}
                found.append(value | about)
        return found

    def _groups(self, inputs: Inputs, key: str) -> dict[str, np.ndarray]:
        """By what the generated rows say of themselves, else by the real samples beside them."""
        found = groups_of(inputs.about, key)
        if not found and inputs.source.pairs is not None:
            found = groups_of(inputs.pair_rows(), key)
        return found


def _fitting(job: Job, n: int) -> dict[str, Any]:
    return {k: min(v, n) if k in job.metric.sizes else v for k, v in job.settings.items()}


class _Part(Inputs):
    """The inputs of some generated rows."""

    def __init__(self, inputs: Inputs, rows: np.ndarray) -> None:
        self.__dict__.update(inputs.__dict__)
        self.inputs, self._made = inputs, {}
        self.__dict__ |= {"kept": rows, "about": [inputs.about[int(i)] for i in rows]}

    def __getitem__(self, name: str) -> Any:
        from benchmarks.inputs import WHOLE, part

        if name not in self._made:
            whole = self.inputs[name]
            self._made[name] = whole if name in WHOLE else part(whole, self.kept)
        return self._made[name]


@dataclass(frozen=True)
class _Comparable:
    """What two values must share to be ranked: nothing of seeds or of sampling settings."""

    protocol: Mapping[str, Any]
    job: Job
    fakes: Mapping[str, Source]
    reals: Mapping[str, Source]
    extractors: Mapping[str, Extractor]

    def completed(self, value: Value) -> Value:
        job, fake = self.job, self.fakes[self.job.arm]
        distance = job.metric.needs in DISTANCES
        options = {k: v for k, v in job.options.items() if k not in ("race", "age", "by")}
        settings = canonical(job.settings | options)
        beside = value["name"].removeprefix(job.name) if job.asks else ""
        beside += canonical(value["group"]) if value.get("group") else ""
        named = {name: self.extractors[name].fingerprint for name in job.extractors()}
        real = self.reals[job.real] if job.real else None
        parts = {
            "metric": f"{value['metric']}{beside} {job.metric.version} {settings}",
            "extractor": "+".join(named.values()) or None,
            "preprocessing": self._preprocessing(),
            "resolution": int(self.protocol["resolution"]),
            "n": value["n"],
            "real set": real.images if real and distance else None,
            "requests": fake.requests,
        }
        whole = {
            "arm": job.arm,
            "extractor": "+".join(named) or None,
            "direction": job.metric.direction,
            "fingerprint": {"id": fingerprint(parts), "parts": parts},
        }
        if real is not None and fake.images == real.images:
            note = f"{value['note'] or ''} The generated set is the real set."
            value = value | {"note": note.strip()}
        kinds = [k for k in map(self._kind, job.extractors()) if k]
        if kinds:
            whole["extractor_kind"] = "+".join(kinds)
        return {"name": value["name"], "metric": value["metric"]} | whole | value

    def _preprocessing(self) -> str:
        how = self.protocol.get("preprocessing") or {}
        told = ", ".join(f"{name} {value}" for name, value in how.items())
        return f"resized by {RESIZE} where sizes differ" + (f"; {told}" if told else "")

    def _kind(self, name: str) -> str | None:
        """An extractor without its weights, so that two that differ in nothing else can be told."""
        kind = getattr(self.extractors[name], "kind", None)
        return str(kind) if kind else None
