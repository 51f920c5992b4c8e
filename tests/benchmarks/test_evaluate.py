"""The command `evaluate`: anyone's folders, without training or tracking."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from datamodules.phantom.colonoscopy_words import LABEL_NAMES
from datamodules.phantom_colonoscopy import PhantomColonoscopy
from lit_models.backbones.classifier import Classifier
from lit_models.stage import write_stage
from medbench.core.files import mark_complete
from medbench.core.sample_set import SampleSetWriter, write_image
from medbench.evaluate import main

N = 40


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantom frames as a sample set and as a bare folder, a judge that knows nothing, and
    gi_quick for small sets."""
    root = tmp_path_factory.mktemp("evaluate")
    split = PhantomColonoscopy(n_train=0, n_validation=0, n_test=40).split("test")
    writer = SampleSetWriter(root / "set", {}, 8)
    for index in range(N):
        sample = split[7 * index]
        record = {key: sample[key] for key in ("sample_id", "subject_id")}
        request = {"text": sample["text"], "meta": {"template": sample["meta"]["template"]}}
        writer.write("prompts", index, sample["image"], record | {"seed": 1, "request": request})
        write_image(root / "bare" / f"{index}.png", split[7 * index + 3]["image"], 8)
    writer.finish({"prompts": N})
    torch.manual_seed(0)
    arguments = {"label_names": list(LABEL_NAMES), "widths": [8, 8]}
    judge = Classifier(label_names=LABEL_NAMES, widths=(8, 8))
    (root / "judge").mkdir()
    config = {"class": "lit_models.backbones.classifier.Classifier", "version": judge.version}
    config |= {"fingerprint": "0123456789abcdef", "arguments": arguments}
    write_stage(judge, root / "judge", config)
    mark_complete(root / "judge")
    protocol: Any = OmegaConf.load("benchmarks/protocols/gi_quick.yaml")
    protocol.metrics[1].settings = {"subset_size": 20, "subsets": 5}
    OmegaConf.save(protocol, root / "small.yaml")
    return root


def words(folders: Path, tmp_path: Path, **changes: str) -> list[str]:
    given = {
        "real": f"{folders}/bare",
        "fake": f"{folders}/set",
        "protocol": f"{folders}/small.yaml",
        "extractors.judge.stage": f"{folders}/judge",
        "out": str(tmp_path),
    } | changes
    return [f"{key}={value}" for key, value in given.items() if value] + ["--quiet"]


def test_a_sample_set_is_measured_whole(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(folders, tmp_path)) == 0
    printed = capsys.readouterr().out
    (path,) = tmp_path.glob("*.json")
    result = json.loads(path.read_text())
    names = [value["name"] for value in result["values"]]
    assert names[:5] == ["fid", "kid", "precision", "recall", "f1"]
    assert any(name.startswith("adherence/") for name in names)
    assert all(np.isfinite(value["value"]) for value in result["values"])
    assert all(value["name"] in printed for value in result["values"]) and str(path) in printed
    assert result["values"][0]["fingerprint"]["parts"]["requests"]


def test_a_bare_folder_is_measured_without_prompts(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words(folders, tmp_path, fake=f"{folders}/bare"), "--json"]) == 0
    printed = capsys.readouterr()
    values = {value["name"]: value for value in json.loads(printed.out)["values"]}
    assert list(values) == ["fid", "kid", "precision", "recall", "f1"]
    assert values["fid"]["value"] == pytest.approx(0, abs=1e-6)
    assert values["fid"]["note"].endswith("The generated set is the real set.")
    assert values["fid"]["fingerprint"]["parts"]["requests"] is None
    assert "adherence is left out: the generated images have no prompts" in printed.err


def test_a_judge_that_a_run_has_fitted_beside_is_found(folders: Path, tmp_path: Path) -> None:
    stages = tmp_path / "stages"
    shutil.copytree(folders / "judge", stages / "colonoscopy_judge-0123456789abcdef")
    given = {"extractors.judge.stage": "", "out": str(tmp_path / "evaluations")}
    assert main(words(folders, tmp_path, **given)) == 0
    shutil.copytree(folders / "judge", stages / "colonoscopy_judge-fedcba9876543210")
    assert main(words(folders, tmp_path, **given)) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "gi_quik"}, "protocol=gi_quik is not known; did you mean gi_quick"),
        ({"protocol": "gi_quick"}, "kid: subset_size=300 is larger than the 40 generated images"),
        ({"real": "nowhere"}, "nowhere is not a folder"),
        ({"real": "", "reel": "x"}, "reel is not known; did you mean real?\nreal= is missing."),
        ({"seed": "x"}, "seed=x is not a whole number"),
        ({"extractors.judge.stage": ""}, "The extractor judge needs the stage colonoscopy_judge"),
        ({"extractors.judge.stage": "void"}, "extractors.judge.stage=void is not a folder"),
        ({"extractors.jugde.stage": "x"}, "protocol small has the extractors judge"),
    ],
)
def test_mistakes_are_sentences(
    folders: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    said: str,
) -> None:
    assert main(words(folders, tmp_path, **changes)) == 2
    assert said in capsys.readouterr().err


def test_help_names_the_protocols(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "gi_quick" in capsys.readouterr().out
