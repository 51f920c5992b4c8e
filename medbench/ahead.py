"""A second process that fits what the first will need: two slow cores work on two stages.

It takes stages that wait for no other one, backbones first, and leaves those that another process
holds. Whoever needs a stage waits for its lock, so nothing else has to be agreed."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from medbench.core.errors import Interrupted
from medbench.machine import Machine
from medbench.plan import Plan, StagePlan

LOG = "ahead.log"


def ready(plan: Plan) -> list[StagePlan]:
    """Stages to be fitted that wait for no other one."""
    todo = [stage for stage in plan.stages if stage.action in ("fit", "continue")]
    return [s for s in todo if all(part.action == "reuse" for part in s.upstream.values())]


@contextlib.contextmanager
def helped(plan: Plan, machine: Machine, words: Sequence[str], folder: Path) -> Iterator[None]:
    """While the block runs, a second process fits ahead, if that is worth it here."""
    cores = len(os.sched_getaffinity(0))
    chosen = 2 if machine.accelerator == "cpu" and cores > machine.threads else 1
    together = machine.settings.together or chosen
    if machine.world > 1 or together < 2 or len(ready(plan)) < 2:
        yield
        return
    with (folder / LOG).open("a") as log:
        command = [sys.executable, "-m", "medbench.ahead", *words]
        env = dict(os.environ)  # a copy, since the tracking thread's imports may change it now
        child = subprocess.Popen(command, stdout=log, stderr=log, env=env)
    try:
        yield
    finally:
        child.terminate()  # it saves what it has; usually it has long ended
        child.wait()


def main(argv: list[str]) -> int:
    """Fit ahead for the command whose words these are."""
    from medbench.cli import parse
    from medbench.config import load
    from medbench.fitting import fit_stage, is_held
    from medbench.library import Library
    from medbench.machine import choose_machine
    from medbench.provenance import quiet_libraries
    from medbench.settings import TrainerSettings

    def stop(signum: int, frame: object) -> None:
        raise Interrupted(signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    quiet_libraries()
    arguments = parse(argv)
    config = load(arguments.words, Library(arguments.config_dirs))
    settings = {k: v for k, v in config["trainer"].items() if k != "name"}
    machine = choose_machine(TrainerSettings(**settings))
    for stage in sorted(ready(Plan(config)), key=lambda stage: not stage.is_backbone):
        if not is_held(stage):
            fit_stage(stage, machine, lambda values, step: None)
    return 0


if __name__ == "__main__":
    from medbench.cli import launch

    launch(main)
