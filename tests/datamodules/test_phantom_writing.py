"""Phantoms on disk: the command, the marker, and folders that are not touched."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from datamodules.base import PHANTOM_MARKER
from datamodules.phantom.__main__ import main
from datamodules.phantom.layouts import medvqa
from datamodules.phantom.writing import LAYOUTS, TRAPS, open_layout, write_layout
from medbench.core.errors import UserError

WORDS = ["write", "layout=medvqa_gi_2024", "n=4", "size=16"]


def test_the_command_writes_and_says_what_to_try(tmp_path: Path) -> None:
    dest = tmp_path / "root"
    command = [sys.executable, "-m", "datamodules.phantom", *WORDS, f"dest={dest}", "seed=3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"python -m medbench.doctor data=medvqa_gi_2024 data.root={dest}" in done.stdout
    assert "4/4 images" in done.stderr
    marker = json.loads((dest / PHANTOM_MARKER).read_text())
    assert marker["seed"] == 3 and marker["n"] == 4 and marker["layout"] == "medvqa_gi_2024"
    assert (tmp_path / "root.truth" / "truth.jsonl").read_text().count("\n") == 4


def test_a_folder_that_holds_something_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    assert main([*WORDS, f"dest={tmp_path}"]) == 2
    assert "holds something, perhaps an unfinished phantom" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_marker_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(medvqa, "write_truth", stop)
    assert main([*WORDS, f"dest={tmp_path / 'root'}"]) == 130
    assert (tmp_path / "root" / "Dev-Dataset").is_dir()
    assert not (tmp_path / "root" / PHANTOM_MARKER).exists()


BAD = {
    "layout=medvqa": "layout=medvqa is not known; did you mean medvqa_gi_2024?",
    "n=many": "n=many: a whole number is needed.",
    "n=0": "n=0 must be at least 1.",
    "traps=some": "traps=some is not known; it takes forced, natural, off.",
    "names=short": "names must be one of full, bare, not 'short'.",
    "sise=4": "sise=4 is not known; did you mean size?",
}


@pytest.mark.parametrize("word", BAD)
def test_a_wrong_word_is_explained(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [w for w in WORDS if not w.startswith(word.split("=")[0] + "=")]
    assert main([*words, f"dest={tmp_path / 'root'}", word]) == 2
    assert BAD[word] in capsys.readouterr().err and not (tmp_path / "root").exists()


def test_help_lists_layouts_and_the_quirks_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in LAYOUTS)
    assert main(["--help", "layout=medvqa_gi_2024"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in medvqa.QUIRKS) and "table=release" in shown
    assert main(["write", "dest=x"]) == 2
    assert "layout is missing" in capsys.readouterr().err


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_every_layout_says_its_quirks_in_a_sentence(layout: str) -> None:
    module = open_layout(layout)
    assert module.QUIRKS and all(len(said) > 10 for said in module.QUIRKS.values())


def test_the_same_words_write_the_same_files(tmp_path: Path) -> None:
    for traps in TRAPS:
        one = write_layout("medvqa_gi_2024", tmp_path / f"{traps}1", 8, size=16, traps=traps)
        two = write_layout("medvqa_gi_2024", tmp_path / f"{traps}2", 8, size=16, traps=traps)
        files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
        assert files == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
        assert all((one / p).read_bytes() == (two / p).read_bytes() for p in files)
    with pytest.raises(UserError, match="holds a finished phantom"):
        write_layout("medvqa_gi_2024", one, 8)
