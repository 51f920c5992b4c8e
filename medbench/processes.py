"""Several processes of one run: they start together, and the first decides for all."""

import datetime
import os
import signal
import subprocess
import sys
from types import FrameType
from typing import Any

from medbench.core.errors import UserError
from medbench.machine import Machine
from medbench.settings import TrainerSettings

PATIENCE = datetime.timedelta(hours=24)  # the first process may wait for another run's stage


def join(machine: Machine) -> None:
    """Open the process group that the fits will use, if there is more than one process."""
    if machine.world > 1:
        import torch

        gpu = machine.accelerator == "cuda"
        if gpu:
            torch.cuda.set_device(machine.device)
        backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
        torch.distributed.init_process_group(backend, timeout=PATIENCE)


def _joined() -> bool:
    import torch

    return torch.distributed.is_available() and torch.distributed.is_initialized()


def from_first(value: Any) -> Any:
    """The first process's value, on every process."""
    if not _joined():
        return value
    import torch

    box = [value]
    torch.distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def wait() -> None:
    """Until every process is here."""
    if _joined():
        import torch

        torch.distributed.monitored_barrier(timeout=PATIENCE)


def leave() -> None:
    if _joined():
        import torch

        torch.distributed.destroy_process_group()


def rank() -> int:
    """This process's rank by its environment, before any process group."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0)))


def relaunch(settings: TrainerSettings) -> int | None:
    """Start this command once for each process that the settings ask for; None where it runs as is.

    Under torchrun or SLURM the processes exist already. torchrun ends with a status of its own, so
    a signal that we passed on is what we end with."""
    if settings.devices * settings.nodes == 1 or "RANK" in os.environ:
        return None
    if "SLURM_PROCID" in os.environ:
        return None
    if settings.nodes > 1:
        raise UserError(
            f"trainer.nodes={settings.nodes}: start the command on every machine, under torchrun "
            "or srun (see docs/first-run.md); it cannot reach the other machines by itself."
        )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(settings.devices), "-m", "medbench.run", *sys.argv[1:]]
    env = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    child = subprocess.Popen(command, env=env)
    passed: list[int] = []

    def pass_on(signum: int, frame: FrameType | None) -> None:
        passed.append(signum)
        child.send_signal(signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, pass_on)
    status = child.wait()
    return 128 + passed[0] if passed else min(status, 255) if status >= 0 else 128 - status
