"""One fit: exact resume, players, accumulation, averaged weights, NaN."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import toy_data
import toys

from lit_models.stage import Stage, open_stage, write_stage
from medbench.core.errors import Interrupted, UserError
from medbench.core.files import mark_complete
from medbench.core.settings import FitSettings
from medbench.keeper import CHECKPOINT, read_log
from medbench.loading import Job
from medbench.machine import choose_machine
from medbench.settings import TrainerSettings
from medbench.training import run_fit

DATA = toy_data.Dots()


def fit(
    stage: Stage,
    work: Path,
    settings: FitSettings,
    accumulate: int = 1,
    workers: int = 0,
    log: Callable[[dict[str, float], int], None] | None = None,
    checkpoint_activations: bool = False,
    compile: bool = False,
) -> dict:
    """Fit a stage with one thread in `work`."""
    work.mkdir(parents=True, exist_ok=True)
    machine = choose_machine(
        TrainerSettings(
            accelerator="cpu",
            threads=1,
            workers=workers,
            accumulate=accumulate,
            log_every=1,
            checkpoint_activations=checkpoint_activations,
            compile=compile,
        )
    )
    job = Job("toy", settings, "key", 0, work, machine)
    if log:
        job.log = log
    return run_fit(stage, DATA.split("train"), DATA.split("validation"), job)


def make(kind: str, folder: Path) -> Stage:
    """A toy stage with weights of a fixed seed; a policy over an anchor of its own."""
    torch.manual_seed(0)
    if kind == "adversary":
        return toys.Adversary()
    if kind == "base":
        return toys.Base()
    anchor = toys.Base()
    write_stage(anchor, folder / "anchor", _config("toys.Base"))
    mark_complete(folder / "anchor")
    policy = toys.Policy(str(folder / "anchor"))
    policy.load_parts()
    return policy


def _config(dotted: str) -> dict:
    return {"class": dotted, "version": 1, "arguments": {}, "fingerprint": "none"}


SETTINGS = {
    "base": FitSettings(steps=30, batch_size=8, lr=0.05, ema=0.9, clip=0.5, schedule="cosine"),
    "adversary": FitSettings(steps=30, batch_size=8, lr=1e-3, optimizer="adam"),
    "policy": FitSettings(steps=30, batch_size=8, lr=1e-2, weight_decay=0.1),
}


def same(first: Stage, second: Stage) -> None:
    ours, theirs = first.state_dict(), second.state_dict()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize(
    ("kind", "signum", "at"),
    [
        ("base", signal.SIGINT, 11),
        ("adversary", signal.SIGTERM, 12),
        ("policy", signal.SIGINT, 13),
        ("base", signal.SIGTERM, 30),
    ],
)
def test_a_fit_that_was_stopped_ends_as_if_it_had_not_been(
    kind: str, signum: int, at: int, tmp_path: Path
) -> None:
    whole = make(kind, tmp_path)
    expected = fit(whole, tmp_path / "whole", SETTINGS[kind])

    def stop(values: dict[str, float], step: int) -> None:
        if step == at and any(name.startswith("toy/train/") for name in values):
            os.kill(os.getpid(), signum)

    broken = make(kind, tmp_path)
    with pytest.raises(Interrupted) as stopped:
        fit(broken, tmp_path / "broken", SETTINGS[kind], log=stop)
    assert stopped.value.exit_status == 128 + signum
    resumed = make(kind, tmp_path)
    found = fit(resumed, tmp_path / "broken", SETTINGS[kind], workers=1)
    assert found["continued_from"] in (at, at + 1)
    assert found["curves"] == expected["curves"]
    same(whole, resumed)


def test_loaders_outlive_a_signal_to_every_process(tmp_path: Path) -> None:
    expected = fit(make("base", tmp_path), tmp_path / "whole", SETTINGS["base"])
    told = []

    def signal_children(values: dict[str, float], step: int) -> None:
        if step == 3:
            for child in multiprocessing.active_children():
                os.kill(int(child.pid or 0), signal.SIGTERM)
                told.append(child)

    stage = make("base", tmp_path)
    found = fit(stage, tmp_path / "told", SETTINGS["base"], workers=1, log=signal_children)
    assert told and found["curves"] == expected["curves"]


def test_accumulating_changes_nothing_but_rounding(tmp_path: Path) -> None:
    stages = [make("adversary", tmp_path) for _ in range(2)]
    for parts, stage in zip((1, 4), stages, strict=True):
        fit(stage, tmp_path / str(parts), SETTINGS["adversary"], accumulate=parts)
    for ours, theirs in zip(stages[0].parameters(), stages[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_players_step_at_their_own_rates_and_frequencies(tmp_path: Path) -> None:
    stage = make("adversary", tmp_path)
    found = fit(stage, tmp_path / "fit", SETTINGS["adversary"])
    assert len(found["curves"]["train/critic/loss"]) == 30
    assert len(found["curves"]["train/generator/loss"]) == 15
    critic, generator = stage.optimizers()
    assert critic.param_groups[0]["betas"] == (0.5, 0.9)
    assert (critic.param_groups[0]["lr"], generator.param_groups[0]["lr"]) == (2e-3, 1e-3)


def test_frozen_parts_stay_as_they_are_and_out_of_the_weights(tmp_path: Path) -> None:
    stage = make("policy", tmp_path)
    before = {name: value.clone() for name, value in stage.anchor.state_dict().items()}
    fit(stage, tmp_path / "fit", SETTINGS["policy"])
    assert not stage.anchor.training
    assert all(torch.equal(before[n], v) for n, v in stage.anchor.state_dict().items())
    assert set(stage.own_state()) == {"shift"}


def test_averaged_weights_are_what_a_stage_leaves(tmp_path: Path) -> None:
    stage = make("base", tmp_path)
    fit(stage, tmp_path / "fit", SETTINGS["base"])
    write_stage(stage, tmp_path / "left", _config("toys.Base"))
    mark_complete(tmp_path / "left")
    left = open_stage(tmp_path / "left")
    assert torch.equal(left.mean, stage.ema.values()["mean"])
    assert not torch.equal(left.mean, stage.mean)


def test_averaged_weights_follow_their_closed_form() -> None:
    from lit_models.stage import Ema

    weight = torch.nn.Parameter(torch.zeros(3))
    average, expected = Ema({"a.b": weight}, 0.5), torch.zeros(3)
    for step in range(20):
        with torch.no_grad():
            weight += 1
        average.update({"a.b": weight}, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    torch.testing.assert_close(average.values()["a.b"], expected)


class Diverging(toys.Base):
    """Its loss is NaN from step 5 on."""

    def loss(self, batch: dict) -> dict[str, torch.Tensor]:
        found = super().loss(batch)
        return {"loss": found["loss"] * float("nan")} if self.fitted_steps >= 4 else found


def test_nan_stops_the_fit_with_the_step_and_the_samples(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"was nan at step 5 \(samples train-\d+, train-\d+"):
        fit(Diverging(), tmp_path, SETTINGS["base"])


def test_a_checkpoint_that_holds_objects_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "surprise": Path("x")}, tmp_path / CHECKPOINT)
    with pytest.raises(UserError, match="refused"):
        fit(make("base", tmp_path), tmp_path, SETTINGS["base"])


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(UserError, match=rf"{CHECKPOINT} is refused.*Delete it"):
        fit(make("base", tmp_path), tmp_path, SETTINGS["base"])


def test_the_batch_must_divide(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not divide by 1 processes times"):
        fit(make("base", tmp_path), tmp_path, SETTINGS["base"], accumulate=3)


def test_a_log_cut_short_is_read_up_to_the_cut(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "values": {}}\n{"step": 2, "val')
    assert [entry["step"] for entry in read_log(tmp_path / "log.jsonl")] == [1]


class Blocks(toys.Adversary):
    """The adversary with its layers declared as units of checkpointing."""

    blocks = (torch.nn.Linear,)


@pytest.mark.parametrize(
    "setting", ["checkpoint_activations", pytest.param("compile", marks=pytest.mark.slow)]
)
def test_saving_memory_or_time_changes_nothing_but_rounding(setting: str, tmp_path: Path) -> None:
    if setting == "compile" and not shutil.which("g++"):
        pytest.skip("torch.compile needs a C++ compiler on a CPU")
    stages = []
    for turn, on in enumerate((False, True)):
        torch.manual_seed(0)
        stages.append(Blocks())
        fit(stages[-1], tmp_path / str(turn), SETTINGS["adversary"], **{setting: on})
    assert stages[0].own_state().keys() == stages[1].own_state().keys()
    for ours, theirs in zip(stages[0].parameters(), stages[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_checkpointing_needs_declared_blocks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="declares no blocks"):
        fit(make("base", tmp_path), tmp_path, SETTINGS["base"], checkpoint_activations=True)
