"""What no test may do: reach past this machine, or leave a file in the repository."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
# Folders that tools write to; the environment is one, since Python compiles into it.
SPARED = {".git", ".venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0", "::")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Forbidden(RuntimeError):
    """A test did what it must not. No OSError, so that no retry swallows it."""


def _connect(_: Any, address: Any) -> None:
    if isinstance(address, tuple):
        _resolve(address[0])


def _resolve(host: Any, *_: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name and not name.startswith(LOOPBACK) and name != socket.gethostname():
        raise Forbidden(f"A test reached for {name}: tests have no network but loopback.")


def _open(path: Any, _: Any, flags: Any) -> None:
    if flags & WRITING:
        _write(path)


def _write(path: Any, *_: Any) -> None:
    if not isinstance(path, str | bytes | os.PathLike):
        return
    absolute = os.path.abspath(os.fsdecode(path))
    if not absolute.startswith(f"{REPOSITORY}{os.sep}"):
        return
    parts = Path(absolute).relative_to(REPOSITORY).parts
    if SPARED.isdisjoint(parts) and not parts[0].startswith("pytest-cache-files-"):
        raise Forbidden(f"A test wrote {absolute}: tests write to tmp_path.")


def _rename(_: Any, target: Any, *__: Any) -> None:
    _write(target)


def _database(path: Any) -> None:
    name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    if not name.startswith((":memory:", "file:")):
        _write(name)


CHECKS: dict[str, Callable[..., None]] = {
    "socket.connect": _connect,
    "socket.sendto": _connect,
    "socket.getaddrinfo": _resolve,
    "socket.gethostbyname": _resolve,
    "open": _open,
    "os.mkdir": _write,
    "os.rename": _rename,
    "sqlite3.connect": _database,
}
_installed = False


def install() -> None:
    """Watch this process. An audit hook cannot be taken out again, nor be forgotten by a patch."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_watch)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    check = CHECKS.get(event)
    if check is not None:
        check(*arguments)
