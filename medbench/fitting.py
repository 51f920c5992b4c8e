"""Fits the stages of a plan, or finds them finished: one process fits, the others wait."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lit_models.stage import BESIDE, Stage, write_stage
from lit_models.tensors import check_names
from medbench import processes
from medbench.core.classes import load_class
from medbench.core.errors import UserError
from medbench.core.files import (
    check_writable,
    is_complete,
    locked,
    mark_complete,
    read_json,
    write_json,
)
from medbench.core.progress import Progress
from medbench.keeper import LOG, read_log
from medbench.loading import Job
from medbench.machine import Machine
from medbench.plan import Plan, StagePlan, swap
from medbench.training import run_fit

Log = Callable[[dict[str, float], int], None]


def fit_all(plan: Plan, machine: Machine, log: Log) -> list[dict[str, Any]]:
    """Every stage of the plan, finished; a record of what was done for each.

    The method's that wait for no other come first: a second process begins with backbones."""
    before = {stage.name: stage.action for stage in plan.stages}  # another process may fit some
    turns = sorted(plan.stages, key=lambda stage: bool(stage.upstream) or stage.is_backbone)
    found = {s.name: fit_stage(s, machine, log, before[s.name]) for s in turns}
    return [found[stage.name] for stage in plan.stages]


def fit_stage(
    plan: StagePlan, machine: Machine, log: Log, before: str | None = None
) -> dict[str, Any]:
    """Reuse, go on with, import or fit one stage; `before` is what was to be done at first."""
    before = before or plan.action
    with _held(plan, machine):
        action = processes.from_first(plan.action)
        if action != "reuse":
            _make(plan, machine, log, action)
        elif machine.is_first and before == "reuse":
            print(f"stage {plan.name}: reused ({plan.folder.name})", flush=True)
        elif machine.is_first:
            _take_over(plan, log)
            action = before
    return describe(plan, action)


def _take_over(plan: StagePlan, log: Log) -> None:
    """What another process has fitted meanwhile is this run's too, curves included."""
    print(f"stage {plan.name}: fitted by another process ({plan.folder.name})", flush=True)
    for name, points in read_json(plan.folder / "metrics.json")["curves"].items():
        for step, value in points:
            log({f"{plan.name}/{name}": value}, int(step))


def describe(plan: StagePlan, action: str) -> dict[str, Any]:
    """What a result says of a finished stage."""
    metrics = read_json(plan.folder / "metrics.json")
    kept = ("steps", "seconds", "steps_per_second", "samples", "parameters", "trainable")
    return {
        "name": plan.name,
        "class": plan.dotted,
        "fingerprint": plan.fingerprint,
        "folder": str(plan.folder),
        "action": action,
        "untrained": not plan.weights and metrics["steps"] == 0,
    } | {key: metrics.get(key) for key in kept}


@contextmanager
def _held(plan: StagePlan, machine: Machine) -> Iterator[None]:
    """The stage's lock, held by the first process; waits while another run fits the stage."""
    if not machine.is_first or is_complete(plan.folder):
        yield
        return
    check_writable(plan.stages)
    progress = None
    while True:
        with locked(_lock(plan)) as holder:
            if holder is None:
                yield
                return
        if progress is None:
            print(f"stage {plan.name}: {holder} is fitting it; waiting", flush=True)
            progress = Progress(f"wait for {plan.name}", plan.fit.steps or 0)
        entries = read_log(plan.work / LOG)
        progress.update(max(0, entries[-1]["step"] - progress.done) if entries else 0)
        time.sleep(0.5)


def is_held(plan: StagePlan) -> bool:
    """Whether another process is fitting the stage."""
    with locked(_lock(plan)) as holder:
        return holder is not None


def _lock(plan: StagePlan) -> Path:
    return plan.stages / f".{plan.folder.name}.lock"


def _make(plan: StagePlan, machine: Machine, log: Log, action: str) -> None:
    if machine.is_first:
        plan.work.mkdir(parents=True, exist_ok=True)
        verb = {"fit": "fit", "continue": "continue", "import": "import"}[action]
        print(f"stage {plan.name}: {verb} ({plan.folder.name})", flush=True)
    processes.wait()
    stage = build(plan)
    if plan.weights:
        metrics = _import(stage, plan)
    else:
        stage.load_parts()
        if action == "fit":
            stage.initialise()
        job = Job(plan.name, plan.fit, plan.fingerprint, plan.seed, plan.work, machine, log)
        held_out = "validation" if "validation" in plan.data.module.splits else None
        same = plan.split == "validation"
        metrics = run_fit(
            stage,
            plan.data.split(plan.split),
            plan.data.split(held_out) if held_out and not same else None,
            job,
        )
    if machine.is_first:
        _leave(stage, plan, metrics)
    processes.wait()


def build(plan: StagePlan) -> Stage:
    """The stage with the initial weights of its seed; nothing is read yet."""
    torch.manual_seed(plan.seed)
    stage = load_class(plan.dotted)(**plan.resolved())
    if not isinstance(stage, Stage):
        raise UserError(f"{plan.dotted} is not a Stage, so {plan.name} cannot be fitted.")
    return stage


def _import(stage: Stage, plan: StagePlan) -> dict[str, Any]:
    """Released weights in place of a fit."""
    state = stage.import_weights(Path(str(plan.weights)))
    check_names(set(state), set(stage.own_state()), f"weights={plan.weights}")
    stage.load_state_dict(state, strict=False)
    return {"steps": 0, "seconds": 0.0, "curves": {}, "imported_from": str(plan.weights)}


def _leave(stage: Stage, plan: StagePlan, metrics: dict[str, Any]) -> None:
    """Write the stage's directory, its marker last, and drop the work folder."""
    counts = count_parameters(stage)
    config = {
        "class": plan.dotted,
        "version": plan.version,
        "fingerprint": plan.fingerprint,
        "arguments": swap(plan.arguments, lambda ref: BESIDE + plan.upstream[ref].folder.name),
        "fit": plan.fit.weight_settings(),
        "seed": plan.seed,
        "data": {"name": plan.data.name, "split": plan.split, **plan.data.settings},
        "weights": plan.weights,
    }
    write_stage(stage, plan.folder, config)
    write_json(plan.folder / "metrics.json", metrics | counts)
    mark_complete(plan.folder)
    shutil.rmtree(plan.work, ignore_errors=True)


def count_parameters(stage: Stage) -> dict[str, Any]:
    """Numbers of own, trainable and frozen parameters, the last by part."""
    own = stage.own_parameters().values()
    return {
        "parameters": sum(p.numel() for p in own),
        "trainable": sum(p.numel() for p in own if p.requires_grad),
        "frozen": {
            name: sum(p.numel() for p in getattr(stage, name).parameters())
            for name in sorted(stage.frozen)
        },
    }
