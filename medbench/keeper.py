"""What happens after every step of a fit: logs, checks for NaN, held-out losses, saves, stops."""

import json
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import FSDPStrategy

from lit_models.stage import Stage
from medbench.core.errors import UserError
from medbench.core.files import atomic_path
from medbench.core.progress import Progress
from medbench.loading import Job

CHECKPOINT, LOG = "checkpoint.ckpt", "log.jsonl"
SAVE_SHARE = 50  # a save of one second is followed by 50 seconds of training: 2 % of the time


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
        if isinstance(trainer.strategy, FSDPStrategy):  # every process takes part
            stage.gathered = trainer.strategy.lightning_module_state_dict()
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
