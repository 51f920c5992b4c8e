"""The command `run` through its own door, on toy methods from outside the packages."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from medbench import ahead
from medbench.cli import finish
from medbench.config import load
from medbench.core.files import locked
from medbench.core.sample_set import decode_image, read_manifest
from medbench.fitting import fit_stage
from medbench.library import Library
from medbench.machine import choose_machine
from medbench.plan import Plan
from medbench.run import main
from medbench.settings import TrainerSettings

OUTSIDE = Path(__file__).parents[1] / "outside"


def run(out: Path, *words: str) -> int:
    fixed = ["trainer.threads=1", "trainer.workers=0", "trainer.together=1", f"out={out}"]
    return finish(main, ["--config-dir", str(OUTSIDE), *fixed, *words])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder in which the policy row has been run."""
    out = tmp_path_factory.mktemp("outputs")
    assert run(out, "method=policy") == 0
    return out


@pytest.fixture(scope="module")
def folder(done: Path) -> Path:
    """The folder of that run; other tests add runs beside it."""
    (only,) = (done / "runs").iterdir()
    return only


def actions(printed: str) -> dict[str, str]:
    """What the command said of each stage."""
    lines = [line.split() for line in printed.splitlines() if line.startswith("stage ")]
    return {words[1].rstrip(":"): words[2] for words in lines}


def results(out: Path) -> list[dict]:
    paths = sorted((out / "runs").glob("*/result.json"), key=lambda p: p.stat().st_mtime)
    return [json.loads(path.read_text()) for path in paths]


def test_a_run_leaves_stages_samples_a_result_and_a_page(done: Path, folder: Path) -> None:
    assert {"config.yaml", "run.json", "result.json", "report.html", "complete"} <= {
        path.name for path in folder.iterdir()
    }
    assert len(read_manifest(folder / "samples")) == 24
    for stage in (done / "stages").glob("policy*"):
        left = {path.name for path in stage.iterdir()}
        assert left == {"weights.safetensors", "config.yaml", "metrics.json", "extra", "complete"}
    (result,) = results(done)
    assert {v["name"] for v in result["values"]} == {"fid", "kid", "precision", "recall", "f1"}
    assert all(v["low"] <= v["value"] <= v["high"] for v in result["values"])
    assert result["phantom"] and result["untrained"] == []


def test_the_same_command_shows_the_result_again(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(done, "method=policy") == 0
    printed = capsys.readouterr().out
    assert "This run is finished" in printed
    assert actions(printed) == {}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("fresh=true", {"policy.base": "reused", "policy.policy": "reused"}),
        ("sampling.scale=0.5", {"policy.base": "reused", "policy.policy": "reused"}),
        ("stages.policy.lr=0.02", {"policy.base": "reused", "policy.policy": "fit"}),
        ("seed=1", {"policy.base": "fit", "policy.policy": "fit"}),
        ("trainer.accumulate=2", {}),
    ],
)
def test_a_change_costs_only_what_depends_on_it(
    done: Path, capsys: pytest.CaptureFixture[str], word: str, expected: dict[str, str]
) -> None:
    assert run(done, "method=policy", word) == 0
    found = actions(capsys.readouterr().out)
    assert found == (expected | {"dots_judge": "reused"} if expected else {})


def test_rows_share_stages_and_a_pipeline_may_have_no_weights(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(done, "method=three") == 0
    assert actions(capsys.readouterr().out)["policy.base"] == "reused"
    assert run(done, "method=mixture") == 0
    found = actions(capsys.readouterr().out)
    assert found == {"policy.base": "reused", "adversary.gan": "fit", "dots_judge": "reused"}


def test_interrupted_generation_goes_on_to_the_same_images(
    done: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(done, out)
    whole, broken = folder / "samples", out / "runs" / folder.name / "samples"
    files = [line["file"] for line in read_manifest(whole)]
    for name in ("../complete", "../result.json", "complete"):
        (broken / name).unlink()
    for file in files[5:9]:
        (broken / file).unlink()
    assert run(out, "method=policy", "generation.batch_size=7") == 0
    assert [line["file"] for line in read_manifest(broken)] == files
    for file in files:
        difference = decode_image(whole / file) - decode_image(broken / file)
        assert np.abs(difference).max() <= 2 / 255 + 1e-6  # one grey level of [-1, 1]


def test_a_second_process_is_told_which_one_holds_the_run(
    done: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(folder / "lock") as holder:
        assert holder is None
        assert run(done, "method=policy", "fresh=true") == 2
    assert "This run is held by process" in capsys.readouterr().err


def test_a_stage_without_its_marker_is_fitted_again(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(done, out)
    for stage in (out / "stages").glob("policy.policy-*"):
        (stage / "complete").unlink()
    assert run(out, "method=policy", "fresh=true") == 0
    assert actions(capsys.readouterr().out)["policy.policy"] == "fit"


def test_damaged_weights_are_named(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(done, out)
    for stage in (out / "stages").glob("policy.base-*"):
        (stage / "weights.safetensors").write_bytes(b"not tensors")
    assert run(out, "method=policy", "fresh=true") == 2
    assert "weights.safetensors is damaged" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file", "method=policy") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_untrained_row_says_so(done: Path) -> None:
    assert run(done, "method=policy", "stages.policy.steps=0") == 0
    assert results(done)[-1]["untrained"] == ["policy.policy"]


def test_the_plan_counts_without_memory(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(done, "method=policy", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["finished"]
    assert {s["name"]: s["parameters"] for s in plan["stages"]}["policy.policy"] == 64
    assert plan["stages"][1]["frozen"] == {"policy.base": 64}


def test_what_waits_for_no_other_stage_is_fitted_ahead_and_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["method=policy", f"out={tmp_path}", "trainer.threads=1", "trainer.workers=0"]
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert ahead.main([f"--config-dir={OUTSIDE}", *words]) == 0
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    assert list(actions(capsys.readouterr().out)) == ["dots_judge", "policy.base"]
    plan = Plan(load(words, Library([OUTSIDE])))
    machine = choose_machine(TrainerSettings(accelerator="cpu", threads=1))
    logged: list[tuple[str, int]] = []

    def log(values: dict[str, float], step: int) -> None:
        logged.extend((name, step) for name in values)

    found = fit_stage(plan.stage("stage:dots_judge"), machine, log, before="fit")
    assert found["action"] == "fit"
    assert ("dots_judge/train/loss", 60) in logged
