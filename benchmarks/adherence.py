"""Adherence: what each image shows, against what its prompt asks, template by template."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import intervals
from benchmarks.features import Extracted
from benchmarks.inputs import Inputs
from benchmarks.jobs import Job
from benchmarks.kinds import Value, blank, short
from medbench.core.classes import load_class
from medbench.core.errors import UserError
from medbench.core.seeds import rng

Templates = dict[str, dict[int, dict[str, float]]]
FEW = 30  # prompts of a template below which a value says that it rests on few


def adherence_of(job: Job, inputs: Inputs, real: Extracted | None, seed: int) -> list[Value]:
    """One value for each template of prompts, beside real frames and shuffled prompts."""
    fake = inputs.fake()
    if fake.texts is None:
        raise UserError(
            f"{job.name} needs the prompts of the generated images: a manifest, or a table "
            "captions.csv in their folder with the columns file and text."
        )
    asks = load_class(str(job.asks))
    names = inputs["score_names"]
    texts = {place: fake.texts[place] for place in map(int, inputs.kept)}
    templates, unread = _templates(asks, texts)
    if not templates:
        first = next(iter(texts.values()))
        example = f"none of {len(texts)} prompts can be judged, such as {first[:80]!r}"
        if len(texts) == len(fake.texts):
            raise UserError(f"{job.name}: {example}.")
        return [blank(job, job.metric.name, 0, undefined=unread, note=example)]  # of a group
    there: Templates = {}
    if real is not None and real.texts:
        there, _ = _templates(asks, dict(enumerate(real.texts)))
    values = []
    for template, rows in templates.items():
        stream = rng(seed, job.arm, job.name, template)
        places, wanted = list(rows), list(rows.values())
        matrix = job.metric(fake.scores[places], names, wanted, **job.settings)
        own = np.diagonal(matrix)
        draws = intervals.bootstrap_means(own, [fake.subjects[i] for i in places], stream)
        low, high = intervals.percentiles(draws)
        shuffled = intervals.shuffled(matrix, stream)
        prompted = there.get(template, {})
        values.append(
            blank(
                job,
                job.metric.name,
                len(places),
                name=f"{job.name}/{template}",
                value=float(own.mean()),
                low=low,
                high=high,
                n_real=len(prompted),
                ceiling=_own_prompts(job, real, prompted, names) if real and prompted else None,
                chance=dict(zip(("value", "low", "high"), shuffled, strict=True)),
                undefined=unread,
                note=f"only {len(places)} prompts" if len(places) < FEW else None,
                draws=short(draws) if draws is not None else None,
            )
        )
    return values


def _own_prompts(
    job: Job, found: Extracted, rows: Mapping[int, Mapping[str, float]], names: list[str]
) -> float:
    """Share right of real frames with their own prompts."""
    scores = found.scores
    right = [job.metric(scores[[i]], names, [want], **job.settings) for i, want in rows.items()]
    return float(np.mean(right))


def _templates(asks: Any, texts: Mapping[int, str]) -> tuple[Templates, int]:
    """What each prompt asks, by template and place; and how many prompts nothing can be asked of
    (they are of no known form, or determine no label)."""
    found: Templates = {}
    unread = 0
    for place, text in texts.items():
        try:
            template, wanted = asks(text)
        except ValueError:
            unread += 1
            continue
        if wanted:
            found.setdefault(template, {})[place] = wanted
        else:
            unread += 1
    return dict(sorted(found.items())), unread
