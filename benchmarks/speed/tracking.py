"""What tracking costs a training step: a spooled line against a call of MLflow in the step.

python benchmarks/speed/tracking.py [steps]     prints microseconds a step, three values each"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

from medbench.tracking import Tracker, default_uri, deliver

DEAD = "http://127.0.0.1:9"
TAGS = {"medbench.run": "speed", "medbench.attempt": "1"}
Log = Callable[[dict[str, float], int], object]


def a_step(log: Log, steps: int) -> float:
    """Microseconds a step for three values."""
    began = time.perf_counter()
    for step in range(steps):
        log({"train/loss": 1 / (step + 1), "train/mse": 0.5, "train/rate": 1e-4}, step)
    return (time.perf_counter() - began) / steps * 1e6


def spooled(out: Path, steps: int, uri: str | None = None) -> tuple[float, float]:
    """Microseconds a step, and the seconds that delivering took after the last one."""
    spool = out / "runs" / "speed" / "spool"
    tracker = Tracker(uri or default_uri(out), "speed", spool, "speed", TAGS)
    cost = a_step(tracker.metrics, steps)
    began = time.perf_counter()
    tracker.close("FINISHED", wait_s=120)
    return cost, time.perf_counter() - began


def in_the_step(out: Path, steps: int) -> float:
    """mlflow.log_metrics called by the step itself, on a local database that is open already."""
    import mlflow

    mlflow.set_tracking_uri(default_uri(out))
    mlflow.set_experiment("in the step")
    with mlflow.start_run():
        mlflow.log_metrics({"warm": 1.0}, step=0)
        return a_step(lambda values, step: mlflow.log_metrics(values, step=step), steps)


def main(steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        cost, after = spooled(out / "alive", steps)
        print(f"spooled, local database     {cost:10.1f} us/step, {after:.1f} s to deliver all")
        cost, after = spooled(out / "dead", steps, DEAD)
        print(f"spooled, server gone        {cost:10.1f} us/step, {after:.1f} s until it gives up")
        began = time.perf_counter()
        deliver(out / "alive")
        print(f"nothing left to deliver     {(time.perf_counter() - began) * 1e6:10.1f} us")
        few = min(steps, 200)
        print(f"mlflow.log_metrics in step  {in_the_step(out / 'alive', few):10.1f} us/step")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
