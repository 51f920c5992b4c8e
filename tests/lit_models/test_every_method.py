"""What every method owes, at its tiny scale: found in the folders, so that a new one joins."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lit_models.stage import open_stage
from medbench.config import load
from medbench.core.batch import collate
from medbench.core.errors import Interrupted
from medbench.core.seeds import mix
from medbench.fitting import fit_stage
from medbench.generation import open_pipeline
from medbench.library import Library
from medbench.machine import Machine, choose_machine
from medbench.plan import Plan
from medbench.plan_view import count
from medbench.settings import TrainerSettings

OUTSIDE = Path(__file__).parents[1] / "outside"
LIBRARY = Library([OUTSIDE])
STEPS = 4
LEAN = ("batch_size=4", "val_samples=4")


def small(method: str, out: Path, steps: int = STEPS) -> Plan:
    """A method's plan with a few samples, a few steps and no protocol of its own."""
    words = [f"method={method}", f"out={out}"]
    config = load(words, LIBRARY)
    counts = [key for key in config["data"] if key.startswith("n_") or key == "n"]
    words += [f"data.{key}=6" for key in counts]
    for name in config["stages"]:
        words += [f"stages.{name}.{k}" for k in (f"steps={steps}", "epochs=null", *LEAN)]
    for name, block in config["backbones"].items():
        words += [f"backbones.{name}.{k}" for k in (f"steps={steps}", *LEAN)]
        own = [key for key in block.get("data") or {} if key.startswith("n_") or key == "n"]
        words += [f"backbones.{name}.data.{key}=6" for key in own]
    words += [f"others.{name}.steps={steps}" for name in config["others"]]
    return Plan(load(words, LIBRARY))


@pytest.fixture(scope="module")
def machine() -> Machine:
    return choose_machine(TrainerSettings(accelerator="cpu", threads=1, workers=0, log_every=1))


@pytest.fixture(scope="module", params=LIBRARY.names("methods"))
def fitted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, machine: Machine
) -> Plan:
    """A method with every stage that its pipeline and its protocol need fitted for a few steps."""
    plan = small(request.param, tmp_path_factory.mktemp(request.param))
    for stage in plan.stages:
        fit_stage(stage, machine, lambda values, step: None)
    return plan


def test_every_stage_leaves_what_is_read_back(fitted: Plan) -> None:
    for plan in fitted.stages:
        stage = open_stage(plan.folder)
        left = load_file(plan.folder / "weights.safetensors")
        state = stage.own_state()
        assert state.keys() == left.keys()
        assert all(torch.equal(state[name], left[name]) for name in left)
        assert not stage.training and not any(p.requires_grad for p in stage.parameters())


def test_the_plan_counts_what_is_built(fitted: Plan) -> None:
    for plan in fitted.stages:
        own = open_stage(plan.folder).own_parameters().values()
        assert count(plan, {})[0] == sum(p.numel() for p in own)


def test_a_stopped_fit_ends_as_an_unbroken_one(
    fitted: Plan, tmp_path: Path, machine: Machine
) -> None:
    """SIGTERM after the second step of every stage."""
    again = small(fitted.config["method"], tmp_path)
    assert [s.fingerprint for s in again.stages] == [s.fingerprint for s in fitted.stages]
    for plan, whole in zip(again.stages, fitted.stages, strict=True):
        with pytest.raises(Interrupted):
            fit_stage(plan, machine, _stop_once())
        assert plan.action == "continue"
        assert fit_stage(plan, machine, lambda values, step: None)["action"] == "continue"
        ours, theirs = (load_file(p.folder / "weights.safetensors") for p in (plan, whole))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def _stop_once() -> Callable[[dict[str, float], int], None]:
    """A log that sends one signal; a second one would end the process."""
    done: list[bool] = []

    def log(values: dict[str, float], step: int) -> None:
        if not done and step == 2 and any("/train/" in name for name in values):
            done.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    return log


def test_a_sample_depends_on_its_seed_and_request_alone(fitted: Plan) -> None:
    drawing = open_pipeline(fitted, "cpu")
    data = fitted.data(None).split("test")
    keys = (*drawing.takes, *(k for k in drawing.may_take if k in data[0]))
    requests = [{key: data[i][key] for key in keys} for i in range(3)]
    settings = dict(fitted.config["sampling"])
    if "steps" in settings:
        settings["steps"] = 3
    seeds = [mix("shared", i) for i in range(3)]

    def draw(rows: Sequence[int]) -> np.ndarray:
        with torch.inference_mode():
            batch = collate([requests[i] for i in rows])
            return drawing.generate(batch, [seeds[i] for i in rows], **settings)["image"].numpy()

    together = draw([0, 1, 2])
    assert together.dtype == np.float32 and len(together) == 3
    assert np.isfinite(together).all() and np.abs(together).max() <= 1 + 1e-6
    alone = np.concatenate([draw([i]) for i in (2, 0, 1)])[[1, 2, 0]]
    assert np.abs(together - alone).max() <= 1e-4
    assert np.array_equal(together, draw([0, 1, 2]))
    assert set(drawing.makes) >= {"image"}
