"""One fit under Lightning: batches addressed by step, checkpoints of our own, exact resume."""

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, Strategy
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from lit_models.stage import Dataset, Stage
from medbench.core.batch import Batch, Sample, collate, to_device
from medbench.core.errors import Interrupted, UserError
from medbench.core.files import atomic_path, read_json, write_json
from medbench.core.progress import Progress
from medbench.core.seeds import Draws, mix, rng
from medbench.core.settings import FitSettings
from medbench.machine import Machine

CHECKPOINT, LOG, FIT = "checkpoint.ckpt", "log.jsonl", "fit.json"
SAVE_SHARE = 50  # a save of one second is followed by 50 seconds of training: 2 % of the time


@dataclass
class Job:
    """Everything that one fit needs beside the stage and its data."""

    name: str
    fit: FitSettings
    key: str  # the stage's fingerprint: makes its random streams its own
    seed: int
    work: Path
    machine: Machine
    log: Callable[[dict[str, float], int], None] = field(default=lambda values, step: None)


class Needed:
    """A dataset's samples with the keys that a stage declares, and no other."""

    def __init__(self, dataset: Dataset, needs: tuple[str, ...]) -> None:
        self.dataset, self.keys = dataset, {*needs, "sample_id"}
        if "labels" in self.keys:
            self.keys.add("label_names")

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return {k: v for k, v in self.dataset[index].items() if k in self.keys}


class Addressed(TorchDataset[Sample]):
    """Samples by (step, place in the global batch), in an order that depends on (seed, epoch)."""

    def __init__(self, view: Any, job: Job) -> None:
        self.view, self.key, self.seed, self.size = view, job.key, job.seed, job.fit.batch_size
        self._epoch, self._order = -1, None

    def __getitem__(self, address: tuple[int, int]) -> Sample:
        step, place = address
        epoch, position = divmod(step * self.size + place, len(self.view))
        if epoch != self._epoch:
            self._order = rng(self.seed, "order", epoch).permutation(len(self.view))
            self._epoch = epoch
        sample = self.view.draw(int(self._order[position]), rng(self.key, "view", step, place))
        return sample | {"draw_seed": mix(self.key, "draw", step, place)}


class Steps:
    """This process's addresses of every step left; without a length, so that no loop counts it."""

    def __init__(self, stage: Stage, total: int, share: range) -> None:
        self.stage, self.total, self.share = stage, total, share

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(int(self.stage.fitted_steps), self.total):
            yield [(step, place) for place in self.share]


def _collate(samples: list[Sample]) -> Batch:
    seeds = [sample.pop("draw_seed") for sample in samples]
    return collate(samples) | {"draw_seeds": seeds}


def _start_worker(_: int) -> None:
    """A loader outlives Ctrl-C, so that the fit can save; it ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or absent, and that hold tensors and plain values only."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        with atomic_path(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError
            raise UserError(
                f"{path} is refused: it is damaged or holds more than tensors and plain values "
                f"({str(error).splitlines()[0][:160]}). Delete it to fit this stage from its start."
            ) from error


class Keeper(L.Callback):
    """Logs, checks for NaN, validates, saves and stops, in this order after every step."""

    def __init__(self, job: Job, total: int, validate: Callable[[Stage], dict[str, float]]) -> None:
        self.job, self.total, self.validate = job, total, validate
        self.signum = 0
        self.pending: list[tuple[int, list[str], dict[str, torch.Tensor]]] = []
        self.saved_step = self.first_step = 0
        self.every = job.fit.val_every or max(1, math.ceil(total / 10))

    def on_train_start(self, trainer: L.Trainer, stage: Any) -> None:
        self.first_step = self.saved_step = int(stage.fitted_steps)
        self.began = self.saved_at = time.monotonic()
        self.cost = 0.0
        self._trim_log()
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._note)
        self.progress = Progress(
            f"fit {self.job.name}", self.total, self.first_step, quiet=not trainer.is_global_zero
        )

    def _note(self, signum: int, frame: FrameType | None) -> None:
        """The first signal lets the step end and saves; a second one ends the process."""
        self.signum = signum
        signal.signal(signum, signal.SIG_DFL)

    def _trim_log(self) -> None:
        """Forget what was logged after the checkpoint that the fit continues from."""
        path = self.job.work / LOG
        if self.job.machine.is_first and path.exists():
            kept = [e for e in read_log(path) if e["step"] <= self.first_step]
            with atomic_path(path) as temporary:
                temporary.write_text("".join(json.dumps(e) + "\n" for e in kept))

    def on_train_batch_end(
        self, trainer: L.Trainer, stage: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = int(stage.fitted_steps)
        self.pending.append((step, batch["sample_id"], stage.values))
        signum, due = self._agree(trainer, step)
        last = step == self.total
        if trainer.strategy.root_device.type == "cpu" or due or last or step % self._log_every == 0:
            self._flush(trainer)
        if step % self.every == 0 or last:
            self._write(trainer, step, {f"val/{k}": v for k, v in self.validate(stage).items()})
        if due:
            self._save(trainer, step)
        trainer.should_stop = trainer.should_stop or bool(signum)

    @property
    def _log_every(self) -> int:
        return self.job.machine.settings.log_every

    def _agree(self, trainer: L.Trainer, step: int) -> tuple[int, bool]:
        """Signal and save time, the same on every process."""
        spent = time.monotonic() - self.saved_at
        due = step < self.total and spent > max(SAVE_SHARE * self.cost, 1.0)
        if trainer.world_size == 1:
            return self.signum, due
        flags = torch.tensor([self.signum, int(due)], device=trainer.strategy.root_device)
        torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX)
        return int(flags[0]), bool(flags[1])

    def _flush(self, trainer: L.Trainer) -> None:
        """Values since the last look; the first that is not finite stops the fit."""
        for step, ids, tensors in self.pending:
            values = {name: float(value) for name, value in tensors.items()}
            wrong = [name for name, value in values.items() if not math.isfinite(value)]
            if wrong:
                raise UserError(
                    f"stage {self.job.name}: {wrong[0]} was {values[wrong[0]]} at step {step} "
                    f"(samples {', '.join(ids[:8])}{', ...' if len(ids) > 8 else ''}). The "
                    f"checkpoint of step {self.saved_step} is kept in {self.job.work}. A lower lr "
                    "or a clip (largest gradient norm) usually helps."
                )
            if step % self._log_every == 0 or step in (1, self.total):
                self._write(trainer, step, {f"train/{k}": v for k, v in values.items()})
        shown = {k: v for k, v in values.items() if k.split("/")[-1] == "loss"}
        self.progress.update(len(self.pending), **shown)
        self.pending.clear()

    def _write(self, trainer: L.Trainer, step: int, values: dict[str, float]) -> None:
        if not trainer.is_global_zero or not values:
            return
        with (self.job.work / LOG).open("a") as file:
            file.write(json.dumps({"step": step, "values": values}) + "\n")
        self.job.log({f"{self.job.name}/{k}": v for k, v in values.items()}, step)

    def _save(self, trainer: L.Trainer, step: int) -> None:
        if step == self.saved_step:
            return
        began = time.monotonic()
        trainer.save_checkpoint(self.job.work / CHECKPOINT, weights_only=False)
        self.saved_at = time.monotonic()
        self.cost, self.saved_step = self.saved_at - began, step

    def on_train_end(self, trainer: L.Trainer, stage: Any) -> None:
        self.signum, _ = self._agree(trainer, self.total)
        if self.signum:
            self._save(trainer, int(stage.fitted_steps))
        self.seconds = time.monotonic() - self.began
        self.progress.__exit__(None, None, None)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a fit's log; a last line cut short by a kill is left out."""
    entries = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries


def total_steps(fit: FitSettings, n_samples: int) -> int:
    """The budget in steps."""
    if fit.steps is not None:
        return fit.steps
    return math.ceil((fit.epochs or 0) * n_samples / fit.batch_size)


def run_fit(
    stage: Stage, dataset: Dataset, held_out: Dataset | None, job: Job
) -> dict[str, Any]:
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
    keeper = Keeper(job, total, _Validation(stage, held_out, job))
    trainer = _trainer(stage, machine, keeper)
    checkpoint = job.work / CHECKPOINT
    trainer.fit(
        stage,
        _loader(stage, view, job, total),
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

    block.forward = forward  # type: ignore[method-assign]


class _Validation:
    """Losses of held-out samples in batches of the fit's size, with noise that never changes."""

    def __init__(self, stage: Stage, held_out: Dataset | None, job: Job) -> None:
        self.view = None if held_out is None else stage.view(Needed(held_out, stage.needs))
        self.job = job

    def __call__(self, stage: Stage) -> dict[str, float]:
        if self.view is None:
            return {}
        n = min(len(self.view), self.job.fit.val_samples)
        chosen = rng(self.job.key, "held out").permutation(len(self.view))[:n]
        size = max(1, self.job.fit.batch_size // stage.accumulate)
        sums: dict[str, float] = {}
        stage.eval()
        with torch.no_grad():
            for start in range(0, n, size):
                rows = [int(i) for i in chosen[start : start + size]]
                batch = collate([self.view.draw(i, rng(self.job.key, "val", i)) for i in rows])
                seeds = [mix(self.job.key, "val", i) for i in rows]
                stage.draws = Draws(seeds, str(stage.device))
                for name, value in stage.validate(to_device(batch, stage.device)).items():
                    sums[name] = sums.get(name, 0.0) + float(value) * len(rows) / n
        stage.train()
        return sums


def _loader(stage: Stage, view: Any, job: Job, total: int) -> DataLoader[Sample]:
    machine = job.machine
    size = job.fit.batch_size // machine.world
    share = range(machine.rank * size, (machine.rank + 1) * size)
    return DataLoader(
        Addressed(view, job),
        batch_sampler=Steps(stage, total, share),  # type: ignore[arg-type]
        collate_fn=_collate,
        num_workers=machine.workers,
        worker_init_fn=_start_worker,
        pin_memory=machine.accelerator == "cuda",
        prefetch_factor=4 if machine.workers else None,
    )


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
        several = len(stage.players()) > 1
        return DDPStrategy(find_unused_parameters=several, broadcast_buffers=False)
    if machine.strategy == "fsdp":
        return FSDPStrategy(auto_wrap_policy=set(stage.blocks) or None, state_dict_type="full")
    return "auto"
