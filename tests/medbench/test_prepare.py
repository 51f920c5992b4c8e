"""`medbench prepare` and the doctor's look at one dataset, as a user types them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.folder import Folder
from medbench.cli import finish
from medbench.doctor import main as doctor
from medbench.prepare import main as prepare


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for index in range(30):
        grey = draw.integers(0, 255, (40, 48)).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{index:02d}.png")
    return folder


def words(root: Path, out: Path, *more: str) -> list[str]:
    return ["data=folder", f"data.root={root}", f"out={out}", *more]


def test_a_resized_copy_is_made_said_and_found(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(words(root, out, "data.image_size=16", "workers=1")) == 0
    said = capsys.readouterr()
    assert "resized: " in said.out and f"use it: data.prepared={out}/prepared" in said.out
    assert "30/30 images" in said.err
    plain = Folder(str(root), image_size=16).split("all")
    quick = Folder(str(root), image_size=16, prepared=str(out / "prepared")).split("all")
    assert np.array_equal(plain[4]["image"], quick[4]["image"])
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    assert prepare(words(root, out, "data.image_size=16", "--json")) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["resized"]
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    assert prepare(words(root, out, "data.image_size=16", "--list")) == 0
    assert "30 images, {'image_size': 16" in capsys.readouterr().out


def test_a_killed_command_goes_on_and_leaves_no_process(root: Path, out: Path) -> None:
    typed = words(root, out, "data.image_size=1024", "workers=2")
    command = [sys.executable, "-m", "medbench.prepare", *typed]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.rglob("[0-9]*.npz"))) < 3:
        time.sleep(0.005)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    made = {p: p.stat().st_mtime_ns for p in out.rglob("[0-9]*.npz")}
    [folder] = (out / "prepared").iterdir()
    if (folder / "complete").exists():
        pytest.skip("it was done before it could be killed")
    assert prepare([*typed, "workers=1"]) == 0
    assert (folder / "complete").exists() and len(list(folder.glob("*.npz"))) == 30
    kept = [p for p, stamp in made.items() if p.stat().st_mtime_ns == stamp]
    assert len(kept) >= len(made) - 2  # those that a process wrote while it was ended
    for _ in range(100):
        if not any(Path(f"/proc/{child}/cmdline").exists() for child in children):
            break
        time.sleep(0.05)
    else:
        pytest.fail("processes of a killed command live on")


WRONG = {
    "data=floder": "data=floder is not known; did you mean folder?",
    "data.rot=x": "data.rot=x is not known; did you mean data.root?",
    "prepar=x": "prepare does not know prepar; did you mean prepare?",
    "prepare=resize": "prepare=resize is not known; did you mean resized?",
    "workers=many": "workers must be int or None",
    "scale=huge": "scale=huge is not known; it is tiny or paper.",
}


@pytest.mark.parametrize("word", WRONG)
def test_a_wrong_word_is_explained(
    word: str, root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finish(prepare, [*words(root, out, "data.image_size=16"), word]) == 2
    assert WRONG[word] in capsys.readouterr().err


def test_what_cannot_be_prepared_is_said(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finish(prepare, words(root, out)) == 2
    assert "a resized copy needs data.image_size" in capsys.readouterr().err
    (root / "03.png").write_bytes(b"no image")
    assert finish(prepare, words(root, out, "data.image_size=16")) == 2
    assert "03.png does not start as a .png file does" in capsys.readouterr().err
    assert finish(prepare, []) == 2
    assert "data=NAME is missing" in capsys.readouterr().err


# the doctor -----------------------------------------------------------------------------
def test_the_doctor_looks_at_one_dataset(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(words(root, out)) == 0
    said = capsys.readouterr().out
    assert "data=folder: real; licence: that of the images" in said
    assert "samples: all 30, train " in said and "checked at level=fast" in said
    assert said.splitlines()[-1].startswith("This dataset can be used. level=full decodes")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "07.png")
    assert doctor(words(root, out)) == 0
    capsys.readouterr()
    assert doctor(words(root, out, "level=full")) == 1
    said = capsys.readouterr().out
    assert "07.png is all black (every pixel is 0). Replace it, or leave it out." in said
    [listed] = out.rglob("bad-*.txt")
    assert f"data.bad_files={listed}" in said and listed.read_text() == "07.png\n"
    assert doctor(words(root, out, "level=full", f"data.bad_files={listed}")) == 0
    said = capsys.readouterr().out
    assert "1 files are left out by data.bad_files: 07.png" in said and "all 29" in said
    assert doctor(words(root, out, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["all"] == 30


def test_the_doctor_names_what_is_wrong_with_a_root(
    root: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.zip").write_bytes(b"PK\3\4")
    assert doctor(["data=folder", f"data.root={tmp_path / 'data.zip'}", f"out={out}"]) == 1
    assert "is an archive. Unpack it" in capsys.readouterr().out
    assert finish(doctor, [*words(root, out), "level=deep"]) == 2
    assert "level=fast or level=full goes with data=NAME" in capsys.readouterr().err
    assert finish(doctor, ["level=full"]) == 2
