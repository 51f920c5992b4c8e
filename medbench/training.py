"""One fit under Lightning, from its start or from its last checkpoint, to the same end."""

import math
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, Strategy

from lit_models.stage import Dataset, Stage
from medbench.core.errors import Interrupted, UserError
from medbench.core.files import read_json, write_json
from medbench.core.seeds import mix
from medbench.core.settings import FitSettings
from medbench.keeper import CHECKPOINT, LOG, Keeper, WholeCheckpoints, read_log
from medbench.loading import Job, Needed, Validation, open_loader
from medbench.machine import Machine

FIT = "fit.json"


def total_steps(fit: FitSettings, n_samples: int) -> int:
    """The budget in steps."""
    if fit.steps is not None:
        return fit.steps
    return math.ceil((fit.epochs or 0) * n_samples / fit.batch_size)


def run_fit(stage: Stage, dataset: Dataset, held_out: Dataset | None, job: Job) -> dict[str, Any]:
    """Fit or go on fitting; returns the stage's metrics.json. Raises Interrupted after saving."""
    machine = _use_threads(job)
    fit = job.fit
    parts = machine.world * machine.settings.accumulate
    if fit.batch_size % parts:
        raise UserError(
            f"stages.{job.name}.batch_size={fit.batch_size} does not divide by {machine.world} "
            f"processes times trainer.accumulate={machine.settings.accumulate}."
        )
    _arrange(stage, machine)
    view = stage.view(Needed(dataset, stage.needs))
    total = total_steps(fit, len(view))
    torch.manual_seed(mix(job.key, "fit"))
    stage.prepare_fit(fit, total, job.key, machine.settings.accumulate)
    if total == 0:
        return {"steps": 0, "seconds": 0.0, "curves": {}, "samples": len(view)}
    keeper = Keeper(job, total, Validation(stage, held_out, job))
    trainer = _trainer(stage, machine, keeper)
    checkpoint = job.work / CHECKPOINT
    trainer.fit(
        stage,
        open_loader(stage, view, job, total),
        ckpt_path=str(checkpoint) if checkpoint.exists() else None,
        weights_only=True,
    )
    if keeper.signum:
        raise Interrupted(keeper.signum)
    if int(stage.fitted_steps) != total:
        raise RuntimeError(f"{job.name} ended at step {int(stage.fitted_steps)} of {total}")
    return _metrics(job, keeper, total, len(view))


def _metrics(job: Job, keeper: Keeper, total: int, n_samples: int) -> dict[str, Any]:
    curves: dict[str, list[list[float]]] = {}
    for entry in read_log(job.work / LOG):
        for name, value in entry["values"].items():
            curves.setdefault(name, []).append([entry["step"], value])
    worked = total - keeper.first_step
    return {
        "steps": total,
        "samples": n_samples,
        "seconds": round(keeper.seconds, 3),
        "steps_per_second": round(worked / keeper.seconds, 4) if keeper.seconds else None,
        "continued_from": keeper.first_step,
        "threads": job.machine.threads,
        "curves": curves,
    }


def _use_threads(job: Job) -> Machine:
    """The thread count changes rounding, so a fit goes on with the one that it began with."""
    path = job.work / FIT
    machine = job.machine
    if path.exists() and (job.work / CHECKPOINT).exists():
        began = read_json(path)
        if not machine.settings.threads and began["threads"] != machine.threads:
            machine = job.machine = machine.with_threads(began["threads"])
    elif machine.is_first:
        write_json(path, {"threads": machine.threads})
    torch.set_num_threads(machine.threads)
    return machine


def _arrange(stage: Stage, machine: Machine) -> None:
    """Compile and checkpoint activations where the settings ask for it."""
    if machine.settings.checkpoint_activations:
        if not stage.blocks:
            raise UserError(
                f"{type(stage).__name__} declares no blocks, so trainer.checkpoint_activations "
                "has nothing to work on; leave it out."
            )
        for module in stage.modules():
            if isinstance(module, stage.blocks):
                _checkpointed(module)
    if machine.settings.compile:
        for name, child in stage.named_children():
            if name not in stage.frozen and any(p.requires_grad for p in child.parameters()):
                child.compile()


def _checkpointed(block: torch.nn.Module) -> None:
    plain = block.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return plain(*args, **kwargs)
        return torch.utils.checkpoint.checkpoint(plain, *args, use_reentrant=False, **kwargs)

    block.forward = forward


def _trainer(stage: Stage, machine: Machine, keeper: Keeper) -> L.Trainer:
    return L.Trainer(
        accelerator=machine.accelerator,
        devices=max(1, machine.world // machine.nodes),
        num_nodes=machine.nodes,
        strategy=_strategy(stage, machine),
        precision=machine.precision,  # type: ignore[arg-type]
        max_epochs=1,
        callbacks=[keeper],
        plugins=[WholeCheckpoints()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=keeper.job.work,
    )


def _strategy(stage: Stage, machine: Machine) -> str | Strategy:
    if machine.strategy == "ddp":
        several = len(stage.team) > 1
        return DDPStrategy(find_unused_parameters=several, broadcast_buffers=False)
    if machine.strategy == "fsdp":
        if stage.ema or len(stage.team) > 1:
            raise UserError(
                f"{type(stage).__name__} has averaged weights or several players, which are not "
                "sharded; use trainer=ddp, or set ema=0."
            )
        return FSDPStrategy(auto_wrap_policy=set(stage.blocks) or None, state_dict_type="full")
    return "auto"
