"""The entries of a protocol's metrics, checked before any image is opened."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.metrics.declaration import Metric, load_metric, too_large
from benchmarks.sources import Source
from medbench.core.errors import UserError, nearest

# Keys of an entry beside `metric`, and what each says.
ENTRY = {
    "name": "what the values are called; without it, the metric's name",
    "arm": "generated images; without it, the first arm",
    "second": "the other arm, of a comparison of two",
    "real": "real images; without it, the first real set",
    "extractor": "network; without it, the first",
    "race": "extractor that judges race",
    "age": "extractor that tells age",
    "train": "real set that the method was trained on",
    "heldout": "real set that it was not trained on",
    "asks": "dotted path of what reads a prompt",
    "labels": "names of the labels that count; without it, all",
    "called": "name of a label -> the name that the network's score has",
    "group": "group of labels whose scores are class probabilities",
    "pairing": "key of meta; only images that share its value are paired",
    "controls": "names of the maps that are taken from an image again",
    "segment": "dotted path of what segments an image, or a volume (HU) with its spacing",
    "against": "what a generated image is compared with: real, or prior",
    "of": "metric whose values of two arms are compared, with its settings",
    "window": "grey values of -1 and 1 in Hounsfield units",
    "by": "keys by whose values the rows are measured in groups as well",
    "settings": "keyword arguments of the metric",
}
NEEDS_EXTRACTOR = {
    *("real_features", "fake_features", "real_outputs", "fake_outputs", "probabilities"),
    *("scores", "real_scores", "image_embeddings", "text_embeddings", "posture"),
    *("train_features", "heldout_features"),
}
NEEDS_REAL = {"real_features", "real_outputs"}


@dataclass(frozen=True)
class Job:
    """One entry of a protocol's metrics, with the sources that it names."""

    metric: Metric
    name: str
    arm: str
    real: str | None
    extractor: str | None
    settings: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)  # the other keys of ENTRY

    @property
    def asks(self) -> str | None:
        return self.options.get("asks")

    def named(self, given: str) -> str:
        """What the result calls one of the values that the metric gives."""
        prefix = "" if self.name == self.metric.name else f"{self.name}/"
        if given in self.metric.gives:
            return self.name if len(self.metric.gives) == 1 else prefix + given
        return f"{self.name}/{given.removeprefix(self.metric.name + '/')}"

    def names(self) -> list[str]:
        """Names of the values that are known before anything is measured."""
        return [self.named(given) for given in self.metric.gives]

    def reals(self) -> list[str]:
        """Real sets that it takes features of."""
        found = [self.real] if self.real and NEEDS_REAL & set(self.metric.needs) else []
        return found + [self.options[key] for key in ("train", "heldout") if key in self.options]

    def extractors(self) -> list[str]:
        found = [self.extractor] if self.extractor else []
        return found + [self.options[key] for key in ("race", "age") if key in self.options]


def plan_jobs(
    protocol: Mapping[str, Any], fakes: Mapping[str, Source], reals: Mapping[str, Source]
) -> list[Job]:
    """The protocol's metrics, with every mistake of theirs in one UserError."""
    mistakes: list[str] = []
    jobs: list[Job] = []
    for entry in protocol["metrics"]:
        try:
            jobs.append(make_job(entry, protocol, fakes, reals))
        except UserError as error:
            mistakes += error.mistakes
    for job in jobs:
        mistakes += too_few(job, fakes, reals)
    names = [name for job in jobs for name in job.names()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        mistakes.append(f"Two values would be called {twice[0]}: give one of them a name.")
    if mistakes:
        raise UserError(*mistakes)
    return jobs


def make_job(
    entry: Mapping[str, Any] | str,
    protocol: Mapping[str, Any],
    fakes: Iterable[str],
    reals: Iterable[str],
) -> Job:
    """One entry, its defaults filled in from what the protocol has."""
    entry = {"metric": entry} if isinstance(entry, str) else dict(entry)
    known = ("metric", *ENTRY)
    for key in entry:
        if key not in known:
            raise UserError(f"metrics: {key} is not known{nearest(key, known)}.")
    metric = load_metric(entry["metric"])
    needs = set(metric.needs)
    extractors = [n for n, block in (protocol.get("extractors") or {}).items() if block is not None]
    choices = {
        "arm": list(fakes),
        "second": list(fakes),
        "real": list(reals),
        "train": list(reals),
        "heldout": list(reals),
        "extractor": extractors,
        "race": extractors,
        "age": extractors,
    }
    for key, there in choices.items():
        if entry.get(key) is not None and entry[key] not in there:
            raise UserError(
                f"metrics.{metric.name}.{key}={entry[key]} is not there; there are "
                f"{', '.join(there) or 'none'}."
            )
    mistakes = list(_absent(metric, entry, choices))
    if mistakes:
        raise UserError(*mistakes)
    first = {key: entry.get(key) or next(iter(there), None) for key, there in choices.items()}
    fixed = ("metric", "name", "arm", "real", "extractor", "settings")
    return Job(
        metric=metric,
        name=entry.get("name", metric.name),
        arm=str(first["arm"]),
        real=first["real"],
        extractor=first["extractor"] if needs & NEEDS_EXTRACTOR else entry.get("extractor"),
        settings=dict(entry.get("settings") or {}),
        options={k: v for k, v in entry.items() if k not in fixed and v is not None},
    )


def _absent(
    metric: Metric, entry: Mapping[str, Any], choices: Mapping[str, list[str]]
) -> Iterator[str]:
    """Keys that a metric cannot do without."""
    needs = set(metric.needs)
    owed = {
        "asks": "asked",
        "train": "train_features",
        "heldout": "heldout_features",
        "controls": "fake_controls",
        "segment": "fake_masks",
        "race": "race_scores",
        "age": "predicted_ages",
        "second": "second_values",
        "of": "second_values",
    }
    for key, need in owed.items():
        if need in needs and not entry.get(key):
            yield f"metrics.{metric.name}.{key} is missing: {ENTRY[key]}."
    if needs & NEEDS_EXTRACTOR and not choices["extractor"]:
        yield f"metrics.{metric.name} needs an extractor; the protocol names none."
    if needs & NEEDS_REAL and not choices["real"]:
        yield f"metrics.{metric.name} needs a real set; the protocol names none."


def too_few(job: Job, fakes: Mapping[str, Source], reals: Mapping[str, Source]) -> Iterator[str]:
    """Sentences for sets that are too small for a metric or for its settings."""
    sides = [(len(fakes[job.arm]), "generated")]
    if job.real and (NEEDS_REAL & set(job.metric.needs) or job.asks):
        sides.append((len(reals[job.real]), "real"))
    for n, which in sides:
        if n < job.metric.min_samples:
            yield (
                f"{job.name} needs at least {job.metric.min_samples} {which} images; there are {n}."
            )
        for setting in job.metric.sizes:
            value = job.settings.get(setting, 0)
            if value > n:
                yield too_large(job.name, setting, value, n, which)
