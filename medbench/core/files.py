"""Files that appear whole or not at all, and folders that one process holds at a time."""

import errno
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from medbench.core.errors import UserError

MARKER = "complete"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        if temporary.exists():
            temporary.unlink()


def disk_error(error: OSError, path: Path) -> Exception:
    """The sentence for a full or unwritable disk; any other error unchanged."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(_existing(path)).free / 2**20
        return UserError(
            f"The disk is full: {path} could not be written ({free:.0f} MiB free). Make room, or "
            "choose another folder with out=DIR, and type the same command to continue."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return UserError(
            f"{path} cannot be written ({error.strerror}). Choose a folder of yours with out=DIR."
        )
    return error


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def check_writable(folder: Path) -> None:
    """Stop with a sentence before any work if a folder cannot be written to."""
    with atomic_path(folder / ".writable") as probe:
        probe.write_bytes(b"medbench")
    (folder / ".writable").unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """A JSON file, or a sentence that names it when it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}). Delete it and run again.") from None


def mark_complete(folder: Path) -> None:
    write_text(folder / MARKER, "")


def is_complete(folder: Path) -> bool:
    return (folder / MARKER).is_file()


@contextmanager
def locked(path: Path) -> Iterator[str | None]:
    """Hold a lock file. Yields None when it is ours, or a description of who holds it.

    The kernel frees the lock when its process dies, so that no stale lock can exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if _try_lock(file):
            file.seek(0)
            file.truncate()
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
            file.flush()
            try:
                yield None
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
        else:
            file.seek(0)
            yield file.read() or "another process"


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
