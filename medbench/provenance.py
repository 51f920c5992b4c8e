"""What made a result: code, versions, machine."""

import logging
import os
import platform
import subprocess
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from medbench.machine import Machine

PACKAGES = ("medbench", "torch", "lightning", "diffusers", "transformers", "numpy", "scipy")


def describe_machine(machine: Machine) -> dict[str, Any]:
    """Versions, device, threads and the commit, for a result and its report."""
    return {
        "git": git_commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": machine.say().removeprefix("device: "),
        "threads": machine.threads,
        "processes": machine.world,
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """The commit of the checkout that runs, with `-changed` where files differ from it."""
    here = Path(__file__).parent
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=-changed"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None


def quiet_libraries() -> None:
    """Silence Lightning's banners and its remarks on what we mean to do; other warnings show."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
    warnings.filterwarnings("ignore", message=".*broadcast_buffers. is deprecated.*")  # in DDP
