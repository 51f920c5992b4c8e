"""A run's sample set under its protocol: the harness, handed what this run has."""

from typing import Any

from benchmarks.extractors import open_extractors
from benchmarks.harness import measure
from benchmarks.sources import Source, folder_source, split_source
from medbench.machine import Machine
from medbench.plan import Plan, swap


def measure_run(run: Any, machine: Machine) -> list[dict[str, Any]]:
    """The values of a finished sample set. Their random halves and subsets are the protocol's,
    so that equal samples have equal values whatever the run's seed."""
    plan: Plan = run.plan
    protocol = swap(plan.config["protocol"], lambda ref: str(plan.stage(ref).folder))
    fakes = {arm: folder_source(run.samples, arm) for arm in protocol["arms"]}
    reals = {name: real_source(plan, spec) for name, spec in protocol["reals"].items()}
    extractors = open_extractors(protocol, machine.device)
    seed = protocol.get("seed", 0)
    return measure(protocol, fakes, reals, extractors, plan.out / "features", seed)


def real_source(plan: Plan, spec: dict[str, Any]) -> Source:
    """The real images that a protocol names, out of the run's data or of its own."""
    data = plan.data(spec.get("data"))
    rule = {name: value for name, value in spec.items() if name != "data"}
    return split_source(data.split(spec["split"]), rule, data.fingerprint(spec["split"]))
