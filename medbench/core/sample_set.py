"""A directory of generated samples: images under their arm's name, a manifest, provenance.

    ARM/000012.png ...   manifest.jsonl   provenance.json   complete

Whoever writes may be stopped at any moment and begin again, and several processes may write at
once, each with a part of the manifest. Whoever reads trusts nothing that the manifest says."""

import hashlib
import json
import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medbench.core.errors import UserError
from medbench.core.files import (
    disk_error,
    is_complete,
    mark_complete,
    write_bytes,
    write_json,
    write_text,
)
from medbench.core.images import decode_image, encode_png, quantise

__all__ = [
    "MANIFEST",
    "PROVENANCE",
    "SampleSetWriter",
    "decode_image",
    "read_manifest",
    "write_image",
]

MANIFEST, PROVENANCE, PART = "manifest.jsonl", "provenance.json", "manifest.part-{}.jsonl"
REQUIRED = {"arm": str, "index": int, "file": str}
OPTIONAL = {"sample_id": str, "subject_id": str, "seed": int, "sha256": str, "request": dict}
FIELDS = ("arm", "index", "sample_id", "subject_id", "seed", "file", "sha256", "request")
ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

log = logging.getLogger(__name__)


class SampleSetWriter:
    """Writes one process's part of a sample set; whoever calls `finish` puts the parts together."""

    def __init__(self, folder: Path, provenance: dict[str, Any], bits: int, part: int = 0) -> None:
        self.folder, self.provenance, self.bits = Path(folder), provenance, bits
        self._part = self.folder / PART.format(part)

    def done(self, arm: str) -> set[int]:
        """Indices of an arm whose image is on disk with the content that was recorded."""
        lines = [line for line in self._lines().values() if line["arm"] == arm]
        return {line["index"] for line in lines if self._is_whole(line)}

    def write(self, arm: str, index: int, image: np.ndarray, record: Mapping[str, Any]) -> None:
        """Write a (C, H, W) image in [-1, 1], then its line.

        `record` holds sample_id, subject_id, seed and request."""
        if not ARM_NAME.fullmatch(arm):
            raise UserError(f"An arm cannot be called {arm!r}: letters, digits, _ - . only.")
        grey, clipped = quantise(image, self.bits)
        data = encode_png(grey)
        file = f"{arm}/{index:06d}.png"
        write_bytes(self.folder / file, data)
        line = {"arm": arm, "index": index, "file": file} | _plain(dict(record))
        line |= {"sha256": hashlib.sha256(data).hexdigest(), "clipped": [clipped, image.size]}
        self._append(json.dumps(line, ensure_ascii=False))

    def finish(self, expected: Mapping[str, int]) -> None:
        """Merge the parts in the arms' order (samples 0 to n - 1 of each), marker last.

        Only one process may call it, after all have written."""
        lines = self._lines()
        for arm, n in expected.items():
            absent = [i for i in range(n) if not self._is_whole(lines.get((arm, i)))]
            if absent:
                raise UserError(
                    f"{self.folder} lacks {len(absent)} of {n} samples of the arm {arm} (the first "
                    f"is {absent[0]}). Type the same command again: it makes only those."
                )
        kept = [lines[arm, index] for arm, n in expected.items() for index in range(n)]
        rows = [{k: line[k] for k in FIELDS if k in line} for line in kept]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        written = self.provenance | {"bits": self.bits, "clipped": self._clipped(kept)}
        write_json(self.folder / PROVENANCE, _plain(written))
        write_text(self.folder / MANIFEST, text)
        mark_complete(self.folder)
        for part in self.folder.glob(PART.format("*")):
            part.unlink()

    def _clipped(self, lines: list[dict[str, Any]]) -> dict[str, Any]:
        """What clipping to [-1, 1] changed, as counts: it is reported, never silent."""
        if is_complete(self.folder) and (self.folder / PROVENANCE).exists():
            known = json.loads((self.folder / PROVENANCE).read_text(encoding="utf-8"))
            if all("clipped" not in line for line in lines):
                return known.get("clipped", {})
        pairs = [line["clipped"] for line in lines if "clipped" in line]
        return {
            "images": sum(count > 0 for count, _ in pairs),
            "values": sum(count for count, _ in pairs),
            "of_values": sum(size for _, size in pairs),
        }

    def _append(self, line: str) -> None:
        try:
            with self._part.open("ab+") as file:
                if file.tell():  # a torn last line must not swallow this one
                    file.seek(-1, 2)
                    line = line if file.read(1) == b"\n" else "\n" + line
                file.write(line.encode() + b"\n")
        except OSError as error:
            raise disk_error(error, self._part) from error

    def _lines(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Every usable line of the manifest and of all parts; the latest of a sample counts."""
        found: dict[tuple[str, int], dict[str, Any]] = {}
        paths = [self.folder / MANIFEST, *sorted(self.folder.glob(PART.format("*")))]
        for path in [p for p in paths if p.exists()]:
            damaged = 0
            for text in path.read_bytes().split(b"\n"):
                if text.strip():
                    line = _parse(text)
                    if line is None or _mistake(self.folder, line):
                        damaged += 1
                    else:
                        found[line["arm"], line["index"]] = line
            if damaged:
                log.warning("%s: %d damaged lines; their samples are made again", path, damaged)
        return found

    def _is_whole(self, line: dict[str, Any] | None) -> bool:
        if line is None or "sha256" not in line:
            return False
        path = self.folder / line["file"]
        if not path.is_file():
            return False
        return hashlib.sha256(path.read_bytes()).hexdigest() == line["sha256"]


def write_image(path: Path, image: np.ndarray, bits: int) -> int:
    """Write one (C, H, W) image in [-1, 1] as a PNG; returns how many values were clipped."""
    grey, clipped = quantise(image, bits)
    write_bytes(path, encode_png(grey))
    return clipped


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """The lines of a finished sample set, checked as what a stranger may have written.

    Absent optional fields are filled: sample_id `ARM/INDEX`, subject_id the sample_id, seed and
    sha256 None, request {}. `file` is relative and lies inside the folder."""
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} has no {MANIFEST}: it is not a finished sample set.")
    lines: list[dict[str, Any]] = []
    seen: dict[tuple[str, int], int] = {}
    for number, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not text.strip():
            continue
        line = _parse(text)
        mistake = "it is not a JSON object" if line is None else _mistake(folder, line)
        if line is not None and not mistake and (line["arm"], line["index"]) in seen:
            first = seen[line["arm"], line["index"]]
            mistake = f"{line['arm']} {line['index']} stands in line {first} already"
        if line is None or mistake:
            raise UserError(
                f"{path}, line {number}, is damaged: {mistake}. Type the command that made the "
                "folder again, with fresh=true, or mend the line."
            )
        seen[line["arm"], line["index"]] = number
        lines.append(_filled(line))
    if not lines:
        raise UserError(f"{path} names no samples.")
    return lines


def _filled(line: dict[str, Any]) -> dict[str, Any]:
    sample_id = line.get("sample_id", f"{line['arm']}/{line['index']}")
    default = {"sample_id": sample_id, "subject_id": sample_id, "seed": None, "sha256": None}
    whole = default | {"request": {}} | line
    return {name: whole[name] for name in FIELDS}


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _mistake(folder: Path, line: dict[str, Any]) -> str:
    """What is wrong with a line, or nothing."""
    kinds = REQUIRED | OPTIONAL
    lacking = [name for name in REQUIRED if name not in line]
    if lacking:
        return f"it lacks {', '.join(lacking)}"
    for name, value in line.items():
        if name == "clipped":  # stands in unfinished parts only
            continue
        if name not in kinds:
            return f"the field {name!r} is not known; known are {', '.join(FIELDS)}"
        if value is None and name in OPTIONAL:
            continue
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            return f"{name}={value!r} is not of type {kinds[name].__name__}"
    if line["index"] < 0 or not ARM_NAME.fullmatch(line["arm"]):
        return f"arm={line['arm']!r}, index={line['index']} is not an arm's name and a place in it"
    return _path_mistake(folder, line["file"])


def _path_mistake(folder: Path, file: str) -> str:
    """A path that leaves the folder, by its spelling or through a link, is refused."""
    if not file or "\0" in file or "\\" in file or Path(file).is_absolute():
        return f"file={file!r} is not a relative path"
    if ".." in Path(file).parts:
        return f"file={file!r} leaves the folder"
    if not (folder / file).resolve().is_relative_to(folder.resolve()):
        return f"file={file!r} is a link out of the folder"
    return ""


def _plain(value: Any) -> Any:
    """NumPy numbers and vectors as JSON values, NaN as null; images do not belong in a manifest."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        if value.ndim > 1:
            raise TypeError(f"an array of shape {value.shape} cannot stand in a manifest")
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
