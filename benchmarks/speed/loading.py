"""Seconds of the loader for a batch against those of a training step, and what cached latents save.

    python -m benchmarks.speed.loading [steps] [tiny|paper]

Both are seconds of the processor on one thread: the loader has a process of its own, and keeps up
as long as it takes fewer of them. The data are phantoms written to disk, read from a prepared copy;
the judges' own data are drawn, once: later epochs find them in memory. `paper` measures MSDM's
networks at their paper's width instead."""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from datamodules.base import DataModule
from datamodules.medvqa_gi_2024 import MedvqaGi2024
from datamodules.mimic_cxr_jpg import MimicCxrJpg
from datamodules.phantom.writing import write_layout
from datamodules.preparing import prepare
from lit_models.stage import Stage, View
from medbench.config import load
from medbench.core.batch import Batch, collate
from medbench.core.seeds import Draws, rng
from medbench.fitting import build, fit_stage
from medbench.library import Library
from medbench.loading import Needed
from medbench.machine import Machine, choose_machine
from medbench.measurement import compose_measurement
from medbench.plan import Plan, StagePlan
from medbench.provenance import quiet_libraries
from medbench.settings import TrainerSettings

UNFITTED = ("stages.autoencoder.steps=0", "backbones.clip_gi.steps=0")
PAPER = (
    "stages.autoencoder.image_size=256",
    "stages.autoencoder.widths=[64,128,256,512]",
    "stages.diffusion.image_size=256",
    "stages.diffusion.widths=[256,256,512,1024]",
    "stages.diffusion.embedding=1024",
    "stages.diffusion.groups=32",
    "stages.diffusion.batch_size=2",
)
SIDE, N, FILMS, FEW = 256, 200, 400, 6
HEADER = f"{'stage, data':<46}{'batch':>6}{'loader':>9}{'step':>9}{'ratio':>8}"


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    quiet_libraries()
    torch.set_num_threads(1)
    machine = choose_machine(TrainerSettings(accelerator="cpu"))
    with tempfile.TemporaryDirectory() as place:
        is_paper = "paper" in sys.argv[2:]
        count = FEW if is_paper else N
        frames = write_layout("medvqa_gi_2024", Path(place) / "frames", count, size=SIDE)
        print(HEADER)
        if is_paper:
            latents(frames, machine, steps, Path(place) / "paper", *PAPER)
        else:
            tiny(frames, machine, steps, Path(place))


def tiny(frames: Path, machine: Machine, steps: int, place: Path) -> None:
    """Every tiny stage on files of its kind, and the judges on what they are fitted on."""
    copy = partial(MedvqaGi2024, str(frames), image_size=64)
    prepare(copy().preparations()["resized"], place, quiet=True)
    read = copy(prepared=str(place))
    plan = planned(place / "out", "msdm", *UNFITTED)
    compare("autoencoder, prepared frames", plan.stage("stage:msdm.autoencoder"), read, steps)
    compare("clip_gi, prepared frames", plan.stage("stage:clip_gi"), read, steps)
    latents(frames, machine, steps, place / "latents")
    root = write_layout("mimic_cxr_jpg", place / "films", FILMS, size=SIDE, traps="off")
    films = partial(MimicCxrJpg, str(root), image_size=64)
    prepare(films().preparations()["resized"], place, quiet=True)
    judge = plan_judge(place / "out", "cxr_quick", "phantom_cxr", "cxr_judge")
    compare("cxr_judge, prepared films", judge, films(prepared=str(place)), steps)
    compare("cxr_judge, drawn", judge, judge.data.module, steps)
    other = plan_judge(place / "out", "gi_quick", "phantom_colonoscopy", "colonoscopy_judge")
    compare("colonoscopy_judge, drawn", other, other.data.module, steps)


def latents(frames: Path, machine: Machine, steps: int, out: Path, *words: str) -> None:
    """The diffusion stage on prepared frames: each sample encoded anew, and from cached latents."""
    size = 256 if words else 64
    copy = partial(MedvqaGi2024, str(frames), image_size=size)
    prepare(copy().preparations()["resized"], out, quiet=True)
    taken = []
    for copies in (0, 1):
        given = (*UNFITTED, *words, f"stages.diffusion.latent_copies={copies}")
        plan = planned(out / str(copies), "msdm", *given)
        diffusion = plan.stage("stage:msdm.diffusion")
        for part in diffusion.upstream.values():
            fit_stage(part, machine, lambda values, step: None)
        what = f"diffusion, {'cached latents' if copies else 'encoding each sample'}"
        loader, step, once = compare(what, diffusion, copy(prepared=str(out)), steps)
        taken.append((loader + step, once / (FEW if words else N)))
    (plain, _), (cached, each) = taken
    print(f"an epoch from cached latents: {plain / cached:.2f} x as fast, loader and step together")
    print(f"the cache takes {1000 * each:.0f} ms for each frame with its prompts, once")


def planned(out: Path, method: str, *words: str) -> Plan:
    return Plan(load([f"method={method}", f"out={out}", *words], Library()))


def plan_judge(out: Path, protocol: str, data: str, name: str) -> StagePlan:
    """A backbone's plan, as a protocol that asks for it has it."""
    words = [f"protocol={protocol}", f"data={data}", f"out={out}"]
    return Plan(compose_measurement(words, Library(), "tiny")).stage(f"stage:{name}")


def compare(what: str, plan: StagePlan, data: DataModule, steps: int) -> tuple[float, float, float]:
    """Seconds a batch of loading and of training, and those of making the view."""
    stage: Stage = build(plan)
    stage.load_parts()
    stage.train()
    began = time.process_time()
    view = stage.view(Needed(data.split("train"), stage.needs))
    once = time.process_time() - began
    size = plan.fit.batch_size
    batch, loader = load_seconds(view, size, steps)
    step = step_seconds(stage, batch, steps)
    print(f"{what:<46}{size:>6}{loader:>8.3f}s{step:>8.3f}s{loader / step:>8.3f}", flush=True)
    return loader, step, once


def load_seconds(view: View, size: int, steps: int) -> tuple[Batch, float]:
    """A batch, and the seconds that each of the following takes one process."""

    def batch_of(number: int) -> Batch:
        rows = range(number * size, (number + 1) * size)
        return collate([view.draw(i % len(view), rng("speed", i)) for i in rows])

    batch = batch_of(0)
    began = time.process_time()
    for number in range(1, steps + 1):
        batch_of(number)
    return batch, (time.process_time() - began) / steps


def step_seconds(stage: Stage, batch: Batch, steps: int) -> float:
    """Loss, gradients and update, by the plainest loop."""
    parameters = [p for p in stage.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, 1e-5)
    stage.draws = Draws(range(len(batch["sample_id"])))
    began = 0.0
    for number in range(steps + 2):
        if number == 2:
            began = time.process_time()
        stage.loss(batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return (time.process_time() - began) / steps


if __name__ == "__main__":
    main()
