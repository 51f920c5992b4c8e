"""Preparations: by content, in parallel, and going on after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datamodules.preparing import Arrays, Preparation, file_of, open_prepared, prepare
from medbench.core.errors import UserError

KEYS = [f"a/{i}" for i in range(20)]


def make(key: str) -> Arrays:
    number = int(key.rpartition("/")[2])
    return {"image": np.full((1, 2, 2), number, np.uint8)}


def fail_on_three(key: str) -> Arrays:
    if key.endswith("3"):
        raise UserError(f"{key} is bad")
    return make(key)


def kill_at_seven(key: str) -> Arrays:
    if key.endswith("/7"):
        os.kill(os.getpid(), signal.SIGKILL)
    return make(key)


def test_processes_write_what_one_writes_and_it_is_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Preparation("small", 1, KEYS, make, {"size": 2}, source="x")
    folder = prepare(one, tmp_path / "one", quiet=True)
    other = prepare(one, tmp_path / "two", workers=2, quiet=True)
    assert folder.name == other.name == f"small-{one.fingerprint}"
    assert prepare(one, tmp_path / "one") == folder
    assert capsys.readouterr().err == "small is there already; nothing to do\n"
    for key in KEYS:
        assert file_of(folder, key).read_bytes() == file_of(other, key).read_bytes()
    for place in (folder, folder.parent, tmp_path / "one"):
        assert open_prepared(str(place), one).read("a/5")["image"].max() == 5


def test_other_data_or_settings_are_refused(tmp_path: Path) -> None:
    one = Preparation("small", 1, KEYS[:2], make, {"size": 2}, source="x")
    folder = prepare(one, tmp_path, quiet=True)
    for change in ({"settings": {"size": 3}}, {"source": "y"}, {"version": 2}):
        other = Preparation(**{**one.__dict__, **change})
        with pytest.raises(UserError, match="was made from other data or with other settings"):
            open_prepared(str(folder), other)
        with pytest.raises(UserError, match="holds no small-.* python -m medbench.prepare"):
            open_prepared(str(tmp_path), other)


def test_a_failure_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    bad = Preparation("small", 1, KEYS, fail_on_three, source="x")
    with pytest.raises(UserError, match="2 of 20 could not be prepared.*\na/3 is bad\na/13 is bad"):
        prepare(bad, tmp_path, quiet=True)
    with pytest.raises(UserError, match="is not finished"):
        open_prepared(str(tmp_path), bad)
    mended = Preparation("small", 1, KEYS, make, source="x")
    before = file_of(mended.folder(tmp_path), "a/5").stat().st_mtime_ns
    prepare(mended, tmp_path, quiet=True)
    assert file_of(mended.folder(tmp_path), "a/5").stat().st_mtime_ns == before
    assert open_prepared(str(tmp_path), mended).read("a/13")["image"].max() == 13


def test_it_goes_on_after_a_kill(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from datamodules.preparing import Preparation, prepare\n"
        "from tests.datamodules.test_preparing import KEYS, kill_at_seven\n"
        f"p = Preparation('small', 1, KEYS, kill_at_seven, source='x')\n"
        f"prepare(p, Path({str(tmp_path)!r}), quiet=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == -signal.SIGKILL
    whole = Preparation("small", 1, KEYS, make, source="x")
    folder = whole.folder(tmp_path)
    made = [key for key in KEYS if file_of(folder, key).exists()]
    assert made == KEYS[:7]
    file_of(folder, KEYS[2]).write_bytes(b"")  # as after a power cut
    (folder / "a" / ".7.npz.1.tmp").write_bytes(b"half")
    times = {key: file_of(folder, key).stat().st_mtime_ns for key in made}
    time.sleep(0.01)
    prepare(whole, tmp_path, quiet=True)
    again = {key: file_of(folder, key).stat().st_mtime_ns for key in made}
    assert [key for key in made if again[key] != times[key]] == [KEYS[2]]
    assert not list(folder.rglob("*.tmp"))
    file_of(folder, KEYS[2]).write_bytes(b"PK and no more")
    with pytest.raises(UserError, match=r"2\.npz cannot be read .* prepare again"):
        open_prepared(str(folder), whole).read(KEYS[2])
