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
from medbench.cli import finish
from medbench.core.files import mark_complete
from medbench.core.sample_set import SampleSetWriter, write_image
from medbench.evaluate import main as command

N = 40


def main(argv: list[str]) -> int:
    return finish(command, argv)


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
    (path,) = tmp_path.glob("evaluations/*/result.json")
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


DOTS = ["--config-dir", str(Path(__file__).parents[1] / "outside"), "--quiet"]


def dots(folder: Path, name: str, shift: int = 0, n: int = 24) -> Path:
    """Grey squares with one bright column."""
    for index in range(n):
        image = np.full((1, 8, 8), -0.5, np.float32)
        image[:, :, (index + shift) % 8] = 0.5
        write_image(folder / name / f"{index}.png", image, 8)
    return folder / name


def test_the_judge_is_fitted_once_and_can_go_to_another_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = dots(tmp_path, "one"), dots(tmp_path, "other", 3)
    given = [f"fake={one}", f"real={other}", "protocol=dots_quick", *DOTS]
    archive = tmp_path / "judge.zip"
    assert main([*given, f"out={tmp_path / 'a'}", f"export={archive}", "--json"]) == 0
    printed = capsys.readouterr()
    first = json.loads(printed.out)
    assert "stage dots_judge: fit" in printed.err
    assert main([*given, f"out={tmp_path / 'a'}"]) == 0
    assert "dots_judge" not in capsys.readouterr().err
    there = [f"out={tmp_path / 'b'}", f"extractors.eye.stage={archive}", "--json"]
    assert main([*given, *there]) == 0
    assert json.loads(capsys.readouterr().out)["values"] == first["values"]
    (tmp_path / "broken.zip").write_text("no zip")
    assert main([*given, f"extractors.eye.stage={tmp_path / 'broken.zip'}"]) == 2


def test_a_dataset_stands_for_the_real_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"fake={dots(tmp_path, 'one')}", "data=dots", "protocol=dots_quick", *DOTS]
    assert main([*given, f"out={tmp_path}"]) == 0
    assert "fid" in capsys.readouterr().out
    assert main([*given, f"real={tmp_path}"]) == 2


def test_captions_make_no_other_real_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake, real = dots(tmp_path, "one"), dots(tmp_path, "other", 3)
    given = [f"real={real}", "protocol=dots_quick", *DOTS, f"out={tmp_path}", "--json"]

    def fid(*words: str) -> dict[str, Any]:
        assert main([*given, *words]) == 0
        return dict(json.loads(capsys.readouterr().out)["values"][0])

    captions = tmp_path / "said.csv"
    captions.write_text("file,text\n" + "".join(f"{i}.png,a dot\n" for i in range(24)))
    without, described = fid(f"fake={fake}"), fid(f"fake={fake}", f"real_captions={captions}")
    assert without["fingerprint"] == described["fingerprint"]
    same = fid(f"fake={real}", f"captions={captions}")
    assert same["note"].endswith("The generated set is the real set.")


def test_what_is_odd_is_said_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copies of real images, sizes that differ, dark images, too few for a metric."""
    fake, real = dots(tmp_path, "fake", 2, 9), dots(tmp_path, "real")
    shutil.copy(real / "3.png", fake / "copy.png")
    write_image(fake / "large.png", np.full((1, 16, 9), -0.5, np.float32), 8)
    given = [f"fake={fake}", f"real={real}", "protocol=dots_quick", *DOTS[:2]]
    assert main([*given, f"out={tmp_path}", "record=mine"]) == 0
    printed = capsys.readouterr()
    assert "of 11 generated images are real ones, byte for byte" in printed.err
    assert "images of 2 shapes, 8x8 to 16x9: all are resized to 8" in printed.err
    assert "kid is left out: subset_size=20 is larger than the 11 generated" in printed.err
    (path,) = tmp_path.glob("evaluations/*/result.json")
    result = json.loads(path.read_text())
    warned = "\n".join(result["provenance"]["warnings"])
    assert "images of 2 shapes, 8x8 to 16x9: all are resized to 8" in warned
    assert "1 images are of one grey value, such as large.png" in warned
    assert result["recorded"] and result["row"] == "mine"
    page = path.with_name("report.html").read_text()
    assert "byte for byte" in page and "kid is left out" in page and "data:image/png" in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "gi_quik"}, "protocol=gi_quik is not known; did you mean gi_quick"),
        ({"scale": "large"}, "scale=large is not known; it is tiny or paper"),
        ({"real": "nowhere"}, "real=nowhere is not a folder"),
        ({"fake": "tests/benchmark"}, "is not a folder; did you mean benchmarks?"),
        ({"captions": "void.csv"}, "captions=void.csv is not a file."),
        ({"real": "", "reel": "x"}, "reel is not known; did you mean real?\n"),
        ({"protocol": ""}, "protocol= is missing: how to measure. ct_quick, cxr_quick"),
        ({"real": ""}, "real= is missing: a folder of real images"),
        ({"seed": "x"}, "seed=x is not a whole number"),
        ({"extractors.judge.stage": "void"}, "extractors.judge.stage=void is not a folder"),
        ({"extractors.judge.stage": "void.zip"}, "extractors.judge.stage=void.zip is not a file"),
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
