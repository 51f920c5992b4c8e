"""Files whole or absent, locks that die with their process, sentences for disks."""

import errno
import os
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.core.files import atomic_path, locked, read_json, write_json, write_text


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "before")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "file").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"disk is full: .*file could not be written \(\d+ MiB"):
        write_json(tmp_path / "file", {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "file" / "inside", "")


def test_json_that_is_damaged_or_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"a": ')
    with pytest.raises(UserError, match=r"cut\.json is damaged"):
        read_json(tmp_path / "cut.json")
    with pytest.raises(UserError, match=r"none\.json is missing"):
        read_json(tmp_path / "none.json")


def test_a_lock_says_who_holds_it_and_dies_with_them(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path) as mine:
        assert mine is None
        with locked(path) as holder:
            assert holder is not None and f"process {os.getpid()} on " in holder
    child = os.fork()
    if child == 0:
        with locked(path):
            os._exit(0)  # no clean-up, as after SIGKILL
    os.waitpid(child, 0)
    with locked(path) as mine:
        assert mine is None
