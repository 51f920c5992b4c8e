"""What a fit reads: samples addressed by step, and held-out losses whose noise never changes."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from lit_models.stage import Dataset, Stage
from medbench.core.batch import Batch, Sample, collate, to_device
from medbench.core.seeds import Draws, mix, rng
from medbench.core.settings import FitSettings
from medbench.machine import Machine


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
        self._epoch, self._order = -1, rng(0).permutation(0)

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
    """A loader outlives Ctrl-C and a scheduler's SIGTERM to every process, so that the fit can
    save; it ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def open_loader(stage: Stage, view: Any, job: Job, total: int) -> DataLoader[Sample]:
    machine = job.machine
    size = job.fit.batch_size // machine.world
    share = range(machine.rank * size, (machine.rank + 1) * size)
    return DataLoader(
        Addressed(view, job),
        batch_sampler=Steps(stage, total, share),
        collate_fn=_collate,
        num_workers=machine.workers,
        worker_init_fn=_start_worker,
        pin_memory=machine.accelerator == "cuda",
        prefetch_factor=4 if machine.workers else None,
    )


class Validation:
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
