"""Real processes of the command `run`: killed at random moments, and two of them at once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

OUTSIDE = Path(__file__).parents[1] / "outside"
SLOW_STEPS = "1500"


def command(out: Path, *words: str) -> list[str]:
    start = [sys.executable, "-m", "medbench.run", "--config-dir", str(OUTSIDE)]
    return [*start, f"out={out}", "tracking.enabled=false", *words]


def finished_weights(out: Path, stage: str) -> dict[str, torch.Tensor]:
    (folder,) = (out / "stages").glob(f"{stage}-*")
    assert (folder / "complete").exists()
    return load_file(folder / "weights.safetensors")


def killed_and_continued(words: list[str], out: Path, signals: list[int], seed: int) -> None:
    """Start the command, stop it while it fits, once for each signal; then let it finish.

    SIGINT and SIGTERM go to all its processes, as from a terminal or a scheduler."""
    draw = random.Random(seed)
    for signum in signals:
        process = subprocess.Popen(
            command(out, *words), stderr=subprocess.PIPE, start_new_session=True
        )
        _wait_for_fit(process, out)
        time.sleep(draw.uniform(0.2, 3))
        if signum == signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, signum)
        process.communicate(timeout=60)
        expected = {0, -signum if signum == signal.SIGKILL else 128 + signum}
        assert process.returncode in expected
    subprocess.run(command(out, *words), check=True, capture_output=True, timeout=300)


def _wait_for_fit(process: subprocess.Popen[bytes], out: Path) -> None:
    """Until a fit has written to its log since the process began."""
    began = time.time()
    while process.poll() is None and time.time() - began < 120:
        logs = list((out / "stages").glob("*/work/log.jsonl"))
        if any(log.stat().st_mtime > began for log in logs):
            return
        time.sleep(0.05)


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(tmp_path: Path) -> None:
    words = ["method=adversary", f"stages.gan.steps={SLOW_STEPS}", "trainer.threads=1"]
    subprocess.run(
        command(tmp_path / "whole", *words), check=True, capture_output=True, timeout=300
    )
    killed_and_continued(words, tmp_path / "broken", [signal.SIGKILL], os.getpid())
    whole, broken = (finished_weights(tmp_path / n, "adversary.gan") for n in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(6))
@pytest.mark.parametrize("method", ["adversary", "policy"])
def test_many_kills(method: str, trial: int, tmp_path: Path) -> None:
    stage = {"adversary": "gan", "policy": "policy"}[method]
    words = [f"method={method}", f"stages.{stage}.steps={SLOW_STEPS}", "trainer.threads=1"]
    words += ["trainer.accumulate=2"] if trial % 2 else []
    subprocess.run(
        command(tmp_path / "whole", *words), check=True, capture_output=True, timeout=300
    )
    signals = [signal.SIGKILL, (signal.SIGINT, signal.SIGTERM)[trial % 2], signal.SIGKILL]
    killed_and_continued(words, tmp_path / "broken", signals, seed=trial)
    names = [f"{method}.{stage}"] + (["policy.base"] if method == "policy" else [])
    for name in names:
        whole, broken = (finished_weights(tmp_path / n, name) for n in ("whole", "broken"))
        assert all(torch.equal(whole[key], broken[key]) for key in whole)


def test_two_processes_equal_one_with_the_same_global_batch(tmp_path: Path) -> None:
    words = ["method=policy", "pipeline=base", "stages.base.dropout=0.0", "trainer.threads=1"]
    subprocess.run(command(tmp_path / "one", *words), check=True, capture_output=True, timeout=300)
    both = [*words, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    subprocess.run(command(tmp_path / "two", *both), check=True, capture_output=True, timeout=300)
    one, two = (finished_weights(tmp_path / n, "policy.base") for n in ("one", "two"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=1e-6)
