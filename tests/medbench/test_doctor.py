"""The doctor: what is found, what is missing for which method, and its last line."""

import json
import sys
from pathlib import Path

import pytest

from medbench.cli import finish
from medbench.doctor import main

OUTSIDE = str(Path(__file__).parents[1] / "outside")
TOYS = str(Path(__file__).parent / "toy_configs")


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_it_ends_with_what_works(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config-dir", OUTSIDE, "method=policy", f"out={out}"]) == 0
    text = capsys.readouterr().out
    last = "Works here: python -m medbench.run method=policy scale=tiny"
    assert text.splitlines()[-1].startswith(last)
    for part in ("Python 3.", "torch ", "device cpu, precision 32-true", "GiB free"):
        assert part in text
    assert "folder" in text and "give data=folder data.root=DIR" in text
    assert "would fit policy.base, policy.policy, dots_judge" in text


def test_finished_stages_are_found(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = out / "stages" / "policy.base-0123"
    stage.mkdir(parents=True)
    (stage / "complete").touch()
    words = ["--config-dir", OUTSIDE, "method=policy", "scale=tiny", f"out={out}", "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["out"]["stages"] == ["policy.base-0123"]
    assert report["methods"][0]["found"] == ["policy.base"]


def test_missing_weights_and_roots_are_named(
    out: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "own.yaml").write_text(
        "data: dots\nprotocol: dots_quick\npipeline: a\n"
        "stages:\n"
        "  a: {class: toys.Policy, anchor: some-lab/anchor, steps: 1}\n"
    )
    words = ["--config-dir", OUTSIDE, "--config-dir", str(tmp_path), "method=own", f"out={out}"]
    assert main(words) == 1
    text = capsys.readouterr().out
    place = tmp_path / "models--some-lab--anchor"
    assert f"stages.a.anchor=some-lab/anchor is not there: put it at {place}" in text
    assert text.splitlines()[-1].startswith("No method can be run yet")
    place.mkdir()
    assert main(words) == 0
    assert str(place) in capsys.readouterr().out


def test_a_root_is_looked_at(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--config-dir", OUTSIDE, "method=policy", "data=folder", f"out={out}", "--json"]
    assert main([*words, f"data.root={tmp_path}"]) == 1
    data = {d["name"]: d for d in json.loads(capsys.readouterr().out)["data"]}
    assert str(tmp_path) in data["folder"]["missing"][0]


def test_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert finish(main, ["metod=msdm", "data=floder", "data.root=/x"]) == 2
    said = capsys.readouterr().err
    assert "did you mean method?" in said and "did you mean folder?" in said


def test_an_unwritable_folder_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    words = ["--config-dir", OUTSIDE, "method=policy", f"out={tmp_path / 'file' / 'out'}"]
    assert main(words) == 1
    assert "Nothing can be run until" in capsys.readouterr().out.splitlines()[-1]
