"""Looking at every file of a dataset before anything is trained on it.

fast: both ends of each file. full: every file is decoded, by several processes, and the journal of
what was found good lets a second look go on where the first one stopped."""

import gzip
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from datamodules.base import Level
from datamodules.pictures import decode, is_blank, kind_of
from datamodules.pools import spread
from medbench.core.errors import UserError
from medbench.core.files import write_text
from medbench.core.fingerprint import fingerprint
from medbench.core.progress import Progress

Expect = Literal["full", "subset"]
Look = Callable[[Path], str | None]  # what is wrong with a file, or None
THREADS = 8  # of the fast level: they wait for the disk
CHUNK = 256
FEW = 500  # files that take no bar
HEAD, TAIL = 352, 64
LONG_TAIL = 1 << 16
SHOWN = 10
STARTS = {
    ".png": b"\x89PNG\r\n\x1a\n",
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".npz": b"PK",
    ".gz": b"\x1f\x8b",
}
ENDS = {
    ".png": b"IEND\xaeB`\x82",
    ".jpg": b"\xff\xd9",
    ".jpeg": b"\xff\xd9",
    ".npz": b"PK\5\6",
}


@dataclass
class Findings:
    """Bad files by path, with a sentence each, and how many were looked at."""

    looked: int = 0
    bad: dict[Path, str] = field(default_factory=dict)
    work: Path | None = None  # where a list of them is left

    def sentences(self, root: Path) -> list[str]:
        """A count with the first files, and what to do; empty when nothing is bad."""
        if not self.bad:
            return []
        lines = [self.bad[path] for path in sorted(self.bad)[:SHOWN]]
        rest = len(self.bad) - len(lines)
        more = [f"... and {rest} more."] if rest else []
        return [
            f"{len(self.bad)} of {self.looked} files under {root} are bad. Replace them, or "
            f"{self._how_to_leave_out(root)}",
            *lines,
            *more,
        ]

    def _how_to_leave_out(self, root: Path) -> str:
        if self.work is None:
            return (
                "list them, one path a line, in a text file and leave them out with "
                "data.bad_files=FILE."
            )
        listed = self.work / f"bad-{fingerprint(str(root))}.txt"
        inside = (path for path in sorted(self.bad) if path.is_relative_to(root))
        names = (path.relative_to(root).as_posix() for path in inside)
        write_text(listed, "".join(f"{name}\n" for name in names))
        return f"leave them out with data.bad_files={listed}, which lists them."


def inspect_files(
    paths: Iterable[Path],
    level: Level = "fast",
    *,
    work: Path | None = None,
    look: Look | None = None,
    workers: int | None = None,
    quiet: bool = False,
    label: str = "check files",
) -> Findings:
    """Look at every file. `work` is where the journal of the full level lies (none: not resumed).

    `look` replaces what the full level does with a file; it must be picklable."""
    files = list(paths)
    quiet = quiet or len(files) < FEW
    if level == "fast":
        found = _fast(files, quiet, label)
    else:
        found = _full(files, look or look_fully, work, workers, quiet, label)
    found.work = work
    return found


def _fast(files: Sequence[Path], quiet: bool, label: str) -> Findings:
    found = Findings(len(files))
    with (
        Progress(label, len(files), unit="file", quiet=quiet) as bar,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        for bad in pool.map(_look_at_many, _chunks(files, CHUNK)):
            found.bad |= bad
            bar.update(CHUNK)
        bar.done = len(files)
    return found


def _look_at_many(paths: Sequence[Path]) -> dict[Path, str]:
    """The bad ones: a task a file would cost more than the file."""
    looked = ((path, look_at_ends(path)) for path in paths)
    return {path: wrong for path, wrong in looked if wrong}


def _full(
    files: Sequence[Path],
    look: Look,
    work: Path | None,
    workers: int | None,
    quiet: bool,
    label: str,
) -> Findings:
    journal = Journal(work, files)
    left = [path for path in files if not journal.knows(path)]
    found = Findings(len(files))
    done = len(files) - len(left)
    with Progress(label, len(files), done, "file", quiet) as bar, journal:
        for path, wrong in spread(look, left, workers or len(os.sched_getaffinity(0))):
            if wrong:
                found.bad[path] = wrong
            else:
                journal.add(path)
            bar.update(1)
    return found


def _chunks(files: Sequence[Path], size: int) -> Iterator[list[Path]]:
    rest = iter(files)
    while chunk := list(islice(rest, size)):
        yield chunk


class Journal:
    """Which files were found good, by path, size and time of change; one line each, appended."""

    def __init__(self, work: Path | None, files: Sequence[Path]) -> None:
        self._path = None
        self._known: dict[str, list[int]] = {}
        if work is None or not files:
            return
        common = os.path.commonpath([str(path.parent) for path in files])
        self._path = work / f"inspection-{fingerprint(common)}.jsonl"
        lines = self._path.read_text(encoding="utf-8").split("\n") if self._path.exists() else []
        for line in lines:
            try:
                name, *stamp = json.loads(line)
            except (json.JSONDecodeError, ValueError):  # cut off by a kill: that file is seen anew
                continue
            self._known[name] = stamp

    def __enter__(self) -> "Journal":
        self._file = None
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
            self._file.write("\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def knows(self, path: Path) -> bool:
        stamp = self._known.get(str(path))
        return stamp is not None and path.exists() and stamp == _stamp(path)

    def add(self, path: Path) -> None:
        if self._file is not None:
            self._file.write(json.dumps([str(path), *_stamp(path)]) + "\n")


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


# one file ------------------------------------------------------------------------
def look_fully(path: Path) -> str | None:
    """Decode a file; an exposure of one grey value is bad too."""
    try:
        pixels, _ = decode(path)
    except UserError as error:
        return str(error)
    if is_blank(pixels):
        value = float(pixels.flat[0])
        black = "all black" if value == 0 else "one grey value"
        return f"{path} is {black} (every pixel is {value:g}). Replace it, or leave it out."
    return None


def look_at_ends(path: Path) -> str | None:
    """What the first and last bytes of a file say is wrong, without decoding it."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD)
            file.seek(max(0, size - TAIL))
            tail = file.read(TAIL)
    except FileNotFoundError:
        return f"{path} is missing."
    except PermissionError:
        return f"{path} may not be read by you. Ask its owner for the right to read it."
    except OSError as error:
        return f"{path} cannot be read ({error})."
    if not size:
        return f"{path} is empty. Fetch it again."
    suffix = path.suffix.lower()
    start, end = STARTS.get(suffix), ENDS.get(suffix)
    if start and not head.startswith(start):
        return f"{path} does not start as a {suffix} file does{_guess(head)}. Fetch it again."
    if end and end not in tail and not _ends_late(path, suffix, end):
        return f"{path} is cut off: its end is missing. Fetch it again."
    kind = kind_of(path)
    if kind == "nifti":
        return _nifti_ends(path, size, tail)
    if kind == "dicom" and head[128:132] != b"DICM":
        return f"{path} does not start as a DICOM file does{_guess(head)}. Fetch it again."
    return None


def _ends_late(path: Path, suffix: str, end: bytes) -> bool:
    """Some writers pad a file; then its end stands before the last bytes, or it decodes."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LONG_TAIL))
        rest = file.read().rstrip(b"\0")
    if rest.endswith(end):
        return True
    return end in rest and suffix != ".npz" and look_fully(path) is None


def _guess(head: bytes) -> str:
    """What the file seems to be instead."""
    text = head.lstrip()[:64].lower()
    if text.startswith((b"<!doctype", b"<html")):
        return " (it is a web page, perhaps of a failed sign-in)"
    if text.startswith(b"version https://git-lfs"):
        return " (it is a pointer to a file in Git LFS)"
    kinds = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"PK\3\4": "zip", b"\x1f\x8b": "gzip"}
    known = next((name for start, name in kinds.items() if head.startswith(start)), None)
    return f" (it starts as {known})" if known else ""


def _nifti_ends(path: Path, size: int, tail: bytes) -> str | None:
    """Whether header and length agree: a .gz tells its unpacked length in its last four bytes."""
    from datamodules.nifti import check_affine, read_header

    try:
        header = read_header(path)
        check_affine(header)
    except UserError as error:
        return str(error)
    if path.suffix != ".gz":
        return None if size >= header.bytes else f"{path} is cut off. Fetch it again."
    told = struct.unpack("<I", tail[-4:])[0]
    if (told - header.bytes) % 2**32 < LONG_TAIL or _unpacked(path) >= header.bytes:
        return None
    return f"{path} is cut off: its end is missing. Fetch it again."


def _unpacked(path: Path) -> int:
    """The unpacked length, counted: a file packed in several parts tells only that of the last."""
    count = 0
    try:
        with gzip.open(path) as file:
            while part := file.read(1 << 20):
                count += len(part)
    except (OSError, EOFError, zlib.error):
        return count
    return count


# what a dataset's check says -------------------------------------------------------
class Funnel:
    """How many samples each filter left; lines for people."""

    def __init__(self, n: int, unit: str = "images") -> None:
        self.unit, self.steps = unit, [("in the tables", n)]

    def keep(self, reason: str, n: int) -> None:
        """After the filter `reason`, n are left."""
        self.steps.append((reason, n))

    def lines(self) -> list[str]:
        first = f"{self.steps[0][1]} {self.unit} {self.steps[0][0]}"
        pairs = zip(self.steps, self.steps[1:], strict=False)
        return [first, *(f"{n} after {why} ({n - last:+d})" for (_, last), (why, n) in pairs)]


def check_counts(
    found: Mapping[str, int], release: Mapping[str, int], expect: Expect, phantom: bool = False
) -> list[str]:
    """Counts that differ from the release's; with `expect=subset` only those that exceed it."""
    if phantom:
        return []
    mistakes = []
    for name, count in release.items():
        have = found.get(name, 0)
        if have > count or (have < count and expect == "full"):
            word = " A partial or resized copy is read with data.expect=subset." * (have < count)
            mistakes.append(f"{name}: {have} where the release has {count}.{word}")
    return mistakes


def split_missing(paths: Sequence[Path], root: Path, expect: Expect) -> tuple[set[Path], list[str]]:
    """The paths that are not there, and the sentence about them, which `expect=subset` spares."""
    missing = _missing(paths)
    if not missing or expect == "subset":
        return missing, []
    shown = ", ".join(str(p.relative_to(root)) for p in sorted(missing)[:3])
    return missing, [
        f"{len(missing)} of {len(paths)} files are missing under {root}, such as {shown}. Fetch "
        "them, or read a partial copy with data.expect=subset."
    ]


def _missing(paths: Sequence[Path]) -> set[Path]:
    """One listing a folder is many times faster than asking for each file."""
    folders: dict[Path, set[str]] = {}
    missing = set()
    for path in paths:
        folder = path.parent
        if folder not in folders:
            folders[folder] = _listed(folder)
        if path.name not in folders[folder]:
            missing.add(path)
    return missing


def _listed(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder)) if folder.is_dir() else set()
    except PermissionError:
        raise UserError(
            f"{folder} may not be listed by you. Ask its owner for the right to read it."
        ) from None


def read_bad_files(listed: str | None, used: Mapping[str, object] | set[str]) -> set[str]:
    """The files of a list, one relative path a line, all of which must be used by the dataset."""
    if listed is None:
        return set()
    path = Path(listed).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"bad_files={listed} cannot be read ({error}).") from None
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for number, name in enumerate(names, start=1):
        if name not in used:
            raise UserError(
                f"bad_files={listed} names {name!r} (entry {number}), which is no file of this "
                "dataset. Paths are relative to data.root, with suffix."
            )
    return set(names)


def describe_bad_files(names: set[str]) -> list[str]:
    """What is said whenever files are left out; empty when none are."""
    if not names:
        return []
    shown = ", ".join(sorted(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return [f"{len(names)} files are left out by data.bad_files: {shown}"]
