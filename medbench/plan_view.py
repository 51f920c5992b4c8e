"""`--dry-run`: the plan of a run, from networks built on the meta device."""

import json
from typing import Any

from benchmarks.requests import select
from medbench.core.classes import load_class
from medbench.plan import Plan, StagePlan, references

MIB = 2**20


def show_plan(run: Any, as_json: bool) -> int:
    """Print what the run would fit or reuse, draw, measure and write."""
    view = describe_plan(run)
    if as_json:
        print(json.dumps(view, indent=1))
        return 0
    print(f"run {run.folder.name}: {'finished' if run.is_finished else 'to do'}\n")
    print(f"{'stage':<28} {'parameters':>13} {'trainable':>13}  does      fingerprint")
    for stage in view["stages"]:
        print(
            f"{stage['name']:<28} {stage['parameters']:>13,} {stage['trainable']:>13,}  "
            f"{stage['action']:<9} {stage['fingerprint']}"
        )
        print(f"    {stage['class']}, {stage['budget']}, data {stage['data']}")
        for part, number in stage["frozen"].items():
            size = "unknown until its files are there" if number is None else f"{number:,}"
            print(f"    frozen: {part} ({size})")
    print(f"\nthe method in all: {view['parameters_in_all']:,} parameters")
    for arm in view["arms"]:
        print(f"arm {arm['name']}: {arm['samples']} samples from {arm['keys']}, {arm['sampling']}")
    print(f"metrics: {', '.join(view['metrics'])}")
    print(f"disk: about {view['disk_mib']:,} MiB under {run.plan.out}")
    return 0


def describe_plan(run: Any) -> dict[str, Any]:
    """The plan as plain values."""
    plan: Plan = run.plan
    outside: dict[str, dict[str, int | None]] = {}
    counts = {stage.name: count(stage, outside) for stage in plan.stages}
    stages = [_stage(stage, counts, outside[stage.name]) for stage in plan.stages]
    arms = [_arm(name, arm, plan) for name, arm in plan.config["protocol"]["arms"].items()]
    needed = _needed(plan)
    return {
        "run": run.fingerprint,
        "finished": run.is_finished,
        "stages": stages,
        "parameters_in_all": sum(counts[name][0] for name in needed)
        + sum(n or 0 for name in needed for n in outside[name].values()),
        "arms": arms,
        "metrics": _metrics(plan),
        "disk_mib": _disk(plan, counts, sum(arm["samples"] for arm in arms)),
    }


def count(stage: StagePlan, outside: dict[str, dict[str, int | None]]) -> tuple[int, int]:
    """Own parameters and trainable ones, of a network without memory; notes its outside parts."""
    import torch

    with torch.device("meta"):
        network = load_class(stage.dotted)(**stage.resolved())
    beside = {str(part.folder) for part in stage.upstream.values()}
    found = network.outside_parts()
    outside[stage.name] = {name: n for name, n in found.items() if name not in beside}
    parameters = list(network.parameters())
    return (
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
    )


def _stage(
    stage: StagePlan, counts: dict[str, tuple[int, int]], outside: dict[str, int | None]
) -> dict[str, Any]:
    fit = stage.fit
    budget = f"{fit.steps} steps" if fit.steps is not None else f"{fit.epochs} epochs"
    budget = f"weights {stage.weights}" if stage.weights else f"{budget} of {fit.batch_size}"
    return {
        "name": stage.name,
        "class": stage.dotted,
        "parameters": counts[stage.name][0],
        "trainable": 0 if stage.weights else counts[stage.name][1],
        "frozen": {part.name: counts[part.name][0] for part in stage.upstream.values()} | outside,
        "fingerprint": stage.fingerprint,
        "action": stage.action,
        "budget": budget,
        "data": f"{stage.data.name}/{stage.split}",
        "folder": str(stage.folder),
    }


def _needed(plan: Plan) -> set[str]:
    """Names of the stages that the pipeline draws from, however far up."""
    found: set[str] = set()
    queue = [plan.stage(reference) for reference in references(plan.pipeline)]
    while queue:
        stage = queue.pop()
        if stage.name not in found:
            found.add(stage.name)
            queue += stage.upstream.values()
    return found


def _arm(name: str, arm: dict[str, Any], plan: Plan) -> dict[str, Any]:
    split = plan.data(arm.get("data")).split(arm["requests"]["split"])
    return {
        "name": name,
        "samples": len(select(split, arm["requests"])),
        "keys": ", ".join(arm["keys"]),
        "sampling": plan.config["sampling"] | arm.get("sampling", {}),
    }


def _metrics(plan: Plan) -> list[str]:
    return [item.get("name", item["metric"]) for item in plan.config["protocol"]["metrics"]]


def _disk(plan: Plan, counts: dict[str, tuple[int, int]], samples: int) -> int:
    """Weights, the checkpoints of what is fitted (weights, averages, two moments), samples."""
    total = 0
    for stage in plan.stages:
        own, trainable = counts[stage.name]
        if stage.action in ("fit", "continue"):
            total = max(total, 4 * (own + 4 * trainable))
    weights = sum(4 * counts[s.name][0] for s in plan.stages if s.action != "reuse")
    size = int(plan.config["protocol"].get("resolution", 256))
    return (total + weights + samples * 3 * size * size) // MIB + 1
