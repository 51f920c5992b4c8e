"""A run's sample set under its protocol: the harness, handed what this run has."""

from typing import Any

from benchmarks.extractors import open_extractors
from benchmarks.harness import measure
from benchmarks.requests import select
from benchmarks.sources import Source, folder_source, paired, split_source
from datamodules.base import Subset
from medbench.core.fingerprint import fingerprint
from medbench.machine import Machine
from medbench.plan import Plan, references, swap

Values = list[dict[str, Any]]


def measure_run(run: Any, machine: Machine) -> Values:
    """The values of a finished sample set. Their random halves and subsets are the protocol's,
    so that equal samples have equal values whatever the run's seed."""
    plan: Plan = run.plan
    protocol = swap(plan.config["protocol"], lambda ref: str(plan.stage(ref).folder))
    fakes = {
        arm: paired(folder_source(run.samples, arm), requested(plan, block))
        for arm, block in protocol["arms"].items()
    }
    reals = {name: real_source(plan, spec) for name, spec in protocol["reals"].items()}
    extractors = open_extractors(protocol, machine.device, instead(protocol))
    seed = protocol.get("seed", 0)
    values = measure(protocol, fakes, reals, extractors, plan.out / "features", seed)
    return [_trained_by_it(value, plan) for value in values]


def requested(plan: Plan, arm: dict[str, Any]) -> Source:
    """The real samples that an arm's requests were taken from, in their order."""
    return real_source(plan, arm["requests"] | {"data": arm.get("data")})


def real_source(plan: Plan, spec: dict[str, Any]) -> Source:
    """The real images that a protocol names, out of the run's data or of its own."""
    data = plan.data(spec.get("data"))
    rule = {name: value for name, value in spec.items() if name != "data"}
    return split_source(data.split(spec["split"]), rule, data.fingerprint(spec["split"]))


def whole_split(plan: Plan, spec: dict[str, Any]) -> Source:
    """Every sample of a split, for sets whose requests are found by sample_id."""
    data = plan.data(spec.get("data"))
    split = data.split(spec["split"])
    name = fingerprint([data.fingerprint(spec["split"]), "whole"])
    return Source(Subset(split, select(split, {"split": spec["split"]})), name)


def instead(protocol: dict[str, Any]) -> str:
    """What to type where released weights are not at hand."""
    name = protocol.get("instead")
    if not name:
        return ""
    return f"Meanwhile protocol={name} needs no released weights."


def _trained_by_it(value: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """A note where what measures is also what the method was trained with."""
    mine = {stage.name for stage in plan.stages if f"stage:{stage.name}" in _own(plan)}
    extractors = plan.config["protocol"].get("extractors") or {}
    used = str(value.get("extractor") or "").split("+")
    judges = {
        ref.removeprefix("stage:") for name in used for ref in references(extractors.get(name))
    }
    both = sorted(mine & judges)
    if not both:
        return value
    note = f"{value['note']}; " if value.get("note") else ""
    return value | {"note": f"{note}the method was trained with the extractor {both[0]}"}


def _own(plan: Plan) -> set[str]:
    """References of what the pipeline needs, as against what only measures."""
    found = set(references(plan.pipeline))
    for stage in reversed(plan.stages):
        if f"stage:{stage.name}" in found:
            found |= set(stage.upstream)
    return found
