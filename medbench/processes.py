"""Several processes of one run: they start together, and the first decides for all."""

import datetime
from typing import Any

from medbench.machine import Machine

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
