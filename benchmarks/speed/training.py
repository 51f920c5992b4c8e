"""Steps per second of MSDM's diffusion stage: our fit against the plainest loop over its network.

    python -m benchmarks.speed.training [steps] [rounds]

Both run in turn in one process, on the same cached samples and with one loader process, averaged
weights and clipping; the plain loop neither logs nor checks nor saves nor addresses its noise."""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from lit_models.stage import Stage
from medbench.config import load
from medbench.core.batch import Batch, collate
from medbench.core.seeds import Draws, rng
from medbench.fitting import build, fit_stage
from medbench.library import Library
from medbench.loading import Job, Needed
from medbench.machine import Machine, choose_machine
from medbench.plan import Plan, StagePlan
from medbench.provenance import quiet_libraries
from medbench.settings import TrainerSettings
from medbench.training import run_fit

WORDS = ["method=msdm", "data.n_train=100", "stages.diffusion.latent_copies=1"]
UNFITTED = ["stages.autoencoder.steps=0", "backbones.clip_gi.steps=0"]


def main() -> None:
    steps, rounds = (int(value) for value in (*sys.argv[1:], "100", "5")[:2])
    quiet_libraries()
    machine = choose_machine(TrainerSettings(accelerator="cpu"))
    torch.set_num_threads(machine.threads)
    with tempfile.TemporaryDirectory() as out:
        words = [*WORDS, *UNFITTED, f"stages.diffusion.steps={steps}", f"out={out}"]
        plan = Plan(load(words, Library()))
        diffusion = plan.stage(str(plan.pipeline))
        for part in diffusion.upstream.values():
            fit_stage(part, machine, lambda values, step: None)
        pairs = [
            (ours(diffusion, machine, Path(out) / str(turn)), plain(diffusion, machine, steps))
            for turn in range(rounds)
        ]
    for name, rates in zip(("medbench", "plain loop"), zip(*pairs, strict=True), strict=True):
        print(f"{name:<12} {statistics.median(rates):.3f} steps/s (median of {rounds})")
    ratios = [ours / plain for ours, plain in pairs]
    print(f"ratio        {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def prepared(plan: StagePlan) -> Stage:
    stage = build(plan)
    stage.load_parts()
    return stage


def ours(plan: StagePlan, machine: Machine, work: Path) -> float:
    """Steps per second of run_fit, without validation."""
    work.mkdir()
    job = Job(plan.name, plan.fit, plan.fingerprint, 0, work, machine)
    metrics = run_fit(prepared(plan), plan.data.split("train"), None, job)
    return float(metrics["steps_per_second"])


class Rows(torch.utils.data.Dataset[Any]):
    """A stage's view as an ordinary map-style dataset."""

    def __init__(self, view: Any) -> None:
        self.view = view

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: int) -> Any:
        return self.view.draw(index, rng("plain", index))


def plain(plan: StagePlan, machine: Machine, steps: int) -> float:
    """Steps per second of: load, loss, backward, clip, step, average."""
    stage, fit = prepared(plan), plan.fit
    view = Rows(stage.view(Needed(plan.data.split("train"), stage.needs)))
    parameters = [p for p in stage.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, fit.lr, weight_decay=fit.weight_decay, fused=True)
    averages = [p.detach().clone() for p in parameters]
    loader = DataLoader(
        view,
        fit.batch_size,
        shuffle=True,
        drop_last=True,
        collate_fn=collate,
        num_workers=machine.workers,
        prefetch_factor=4 if machine.workers else None,
        persistent_workers=machine.workers > 0,
    )
    done = 0
    stage.train()
    while True:
        for batch in loader:
            if done == 1:  # the loader's start is nobody's training speed
                began = time.perf_counter()
            _step(stage, batch, optimizer, parameters, averages, fit.clip, fit.ema)
            done += 1
            if done == steps:
                return (steps - 1) / (time.perf_counter() - began)


def _step(
    stage: Stage,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    parameters: list[torch.nn.Parameter],
    averages: list[torch.Tensor],
    clip: float,
    decay: float,
) -> None:
    stage.draws = Draws(range(len(batch["text"])))
    stage.loss(batch)["loss"].backward()
    if clip:
        torch.nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if decay:
        torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1 - decay)


if __name__ == "__main__":
    main()
