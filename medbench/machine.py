"""Where a command runs: device, precision, threads, processes; chosen once and said in a line."""

import os
from dataclasses import dataclass, replace

from medbench.core.errors import UserError
from medbench.settings import TrainerSettings


@dataclass(frozen=True)
class Machine:
    """What the trainer settings come to on this computer."""

    accelerator: str  # cpu or cuda
    device: str  # of this process
    precision: str
    strategy: str  # one, ddp or fsdp
    threads: int
    workers: int
    rank: int
    world: int
    nodes: int
    settings: TrainerSettings

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def with_threads(self, threads: int) -> "Machine":
        return replace(self, threads=threads)

    def say(self) -> str:
        """One line for people: what was chosen, and that `auto` found no GPU."""
        import torch

        name = torch.cuda.get_device_name() if self.accelerator == "cuda" else "CPU"
        why = ""
        if self.accelerator == "cpu" and self.settings.accelerator == "auto":
            why = " (no GPU found)"
        many = f", {self.world} processes by {self.strategy}" if self.world > 1 else ""
        return (
            f"device: {name}{why}, precision {self.precision}, {self.threads} thread"
            f"{'s' if self.threads > 1 else ''} and {self.workers} loader process"
            f"{'es' if self.workers != 1 else ''}{many}"
        )


def choose_machine(settings: TrainerSettings) -> Machine:
    """Resolve every `auto`; a device that is asked for and not there is an error."""
    import torch

    has_gpu = torch.cuda.is_available()
    if settings.accelerator == "gpu" and not has_gpu:
        raise UserError(
            "trainer asks for a GPU and torch sees none; use trainer=cpu, or check the driver with "
            "python -m medbench.doctor"
        )
    accelerator = "cpu" if settings.accelerator == "cpu" or not has_gpu else "cuda"
    world, rank, local = _place(settings)
    strategy = settings.strategy if settings.strategy != "auto" else ("ddp" if world > 1 else "one")
    if strategy == "fsdp" and accelerator == "cpu":
        raise UserError("trainer.strategy=fsdp shards over GPUs and there is none; use trainer=ddp")
    cores = len(os.sched_getaffinity(0))
    on_cpu = accelerator == "cpu"
    threads = settings.threads or (1 if on_cpu else max(1, min(cores // world, 8)))
    workers = settings.workers if settings.workers >= 0 else (1 if on_cpu else min(cores - 1, 8))
    return Machine(
        accelerator=accelerator,
        device="cpu" if on_cpu else f"cuda:{local}",
        precision=_precision(settings.precision, accelerator),
        strategy=strategy if world > 1 else "one",
        threads=threads,
        workers=max(0, workers),
        rank=rank,
        world=world,
        nodes=settings.nodes,
        settings=settings,
    )


def _precision(asked: str, accelerator: str) -> str:
    if asked != "auto":
        return asked
    import torch

    return "bf16-mixed" if accelerator == "cuda" and torch.cuda.is_bf16_supported() else "32-true"


def _place(settings: TrainerSettings) -> tuple[int, int, int]:
    """World size, rank and local rank, as torchrun or SLURM say; else one process."""
    env = os.environ
    if "WORLD_SIZE" in env and "RANK" in env:
        return int(env["WORLD_SIZE"]), int(env["RANK"]), int(env.get("LOCAL_RANK", 0))
    if "SLURM_NTASKS" in env and "SLURM_PROCID" in env and settings.devices > 1:
        return int(env["SLURM_NTASKS"]), int(env["SLURM_PROCID"]), int(env["SLURM_LOCALID"])
    return 1, 0, 0
