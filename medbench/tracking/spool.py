"""The spool of a run: everything that it tracks, one JSON line each, in the order it happened.

A line is `{"kind": ..., "time": milliseconds, ...}` with kind start, params, metrics, tags,
artifact or end. Times are fixed when a line is written, so that sending it twice adds nothing."""

import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from posixpath import normpath
from typing import Any

from medbench.core.files import disk_error

SPOOL = "spool"  # the folder's name in a run folder
VALUES = "values.jsonl"
DELIVERED = "delivered.json"
SENDING = "sending.lock"
TARGET = "target.json"  # the store that the values are for

Line = dict[str, Any]


class Spool:
    """The writing end of a spool; one process writes to it at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / VALUES
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _cut_torn_line(self.path)
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise disk_error(error, self.path) from error

    def append(self, kind: str, **content: Any) -> None:
        """Add one line; it survives the death of this process."""
        line = {"kind": kind, "time": int(time.time() * 1000), **content}
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            self._file.write(data)
        except OSError as error:
            raise disk_error(error, self.path) from error

    def close(self) -> None:
        self._file.close()


def _cut_torn_line(path: Path) -> None:
    """A process killed while writing leaves half a line; the resumed run writes it again."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        tail = b""
        while size > 0 and b"\n" not in tail:
            start = max(0, size - 65536)
            file.seek(start)
            tail = file.read(size - start)
            if b"\n" not in tail:
                size = start
        file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


def read_lines(path: Path, offset: int) -> Iterator[tuple[int, Line]]:
    """Whole lines from an offset on, each with the offset behind it."""
    with path.open("rb") as file:
        file.seek(offset)
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            offset += len(raw)
            yield offset, json.loads(raw)


def encode_number(value: float) -> float | str:
    """A number as JSON allows it: NaN and infinities as words."""
    number = float(value)
    return number if math.isfinite(number) else str(number)


def clean_name(name: str) -> str:
    """A name that MLflow accepts: letters, digits and `_-. :/`, at most 250 characters."""
    name = re.sub(r"[^\w.\- :/]", "_", name, flags=re.ASCII)
    return normpath(name).lstrip("/.")[:250] or "_"


class History:
    """What an attempt has spooled so far: highest step of each metric, parameters."""

    def __init__(self, path: Path, attempt: str) -> None:
        self.highest: dict[str, int] = {}
        self.params: dict[str, str] = {}
        current = ""
        for _, line in read_lines(path, 0) if path.exists() else ():
            if line["kind"] == "start":
                current = line["attempt"]
            elif current == attempt:
                self._take(line)

    def _take(self, line: Line) -> None:
        if line["kind"] == "metrics":
            self.highest |= dict.fromkeys(line["values"], line["step"])
        elif line["kind"] == "params":
            self.params |= line["values"]

    def new_metrics(self, values: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Those not yet spooled at this step or a later one.

        A resumed fit goes over some steps again, with the same values."""
        fresh = {key: value for key, value in values.items() if self.highest.get(key, -1) < step}
        self.highest |= dict.fromkeys(fresh, step)
        return fresh

    def new_params(self, values: Mapping[str, str]) -> dict[str, str]:
        """Those that are new; a changed one stands beside the old one, as `name:2`."""
        fresh = {}
        for name, value in values.items():
            spelling, count = name, 1
            while self.params.get(spelling, value) != value:
                count += 1
                spelling = f"{name}:{count}"
            if spelling not in self.params:
                fresh[spelling] = value
        self.params |= fresh
        return fresh
