"""MIMIC-CXR's reports by study: files in folders, or the release's zip read in place."""

import os
import zipfile
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.mimic_tables import release_folder
from datamodules.reports import parse_report, read_ranges
from medbench.core.errors import UserError

TOP, ZIP = "mimic-cxr", "mimic-cxr-reports.zip"
TREE = f"""{TOP}/2.0.0/ (or the files in {TOP}/ itself)
  {ZIP}, or unpacked: files/p10/p10000001/s50000001.txt ... files/p19/"""
LOCAL_HEADER = 30  # bytes before the name of a zip's member


class Reports:
    """The report of a study as text and in sections; an absent one is an error that names it."""

    def __init__(self, root: Path, overrides: Path | None = None) -> None:
        self.folder = _release(root)
        self.zip = None if (self.folder / "files").is_dir() else _Zip(self.folder / ZIP)
        self._ranges = read_ranges(overrides) if overrides else {}

    def name(self, subject: str, study: str) -> str:
        """Relative to `folder`, and in the zip."""
        return f"files/p{subject[:2]}/p{subject}/s{study}.txt"

    def has(self, subject: str, study: str) -> bool:
        name = self.name(subject, study)
        return name in self.zip if self.zip else (self.folder / name).is_file()

    def text(self, subject: str, study: str) -> str:
        """The report as it was written."""
        name = self.name(subject, study)
        where = f"{self.zip.path}: {name}" if self.zip else str(self.folder / name)
        try:
            data = self.zip.read(name) if self.zip else (self.folder / name).read_bytes()
            return data.decode("utf-8-sig")
        except (FileNotFoundError, KeyError):
            raise UserError(
                f"The report {where} is missing. Fetch it, or say expect=subset to leave out "
                "studies without a report."
            ) from None
        except UnicodeDecodeError as error:
            raise UserError(
                f"The report {where} is not UTF-8 (byte {error.start}). Fetch it again."
            ) from None
        except (OSError, zlib.error) as error:
            raise UserError(
                f"The report {where} cannot be read ({error}). Fetch it again."
            ) from None

    def sections(self, subject: str, study: str) -> dict[str, str]:
        """Its sections by name, and the whole under `report`."""
        text = self.text(subject, study)
        found = parse_report(text, self._ranges.get(study))
        return found | {"report": " ".join(text.split())}

    def content(self, studies: Sequence[tuple[str, str]]) -> list[Any]:
        """Name and size of each report's file, and what the overrides say."""
        names = [self.name(subject, study) for subject, study in studies]
        sizes = self.zip.sizes(names) if self.zip else [_size(self.folder / n) for n in names]
        return [sorted(zip(names, sizes, strict=True)), sorted(self._ranges.items())]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


def _release(root: Path) -> Path:
    """The folder with the zip or the texts: `root` itself, or root/mimic-cxr or its version."""
    if (root / ZIP).is_file() or (root.name != "mimic-cxr-jpg" and any(root.glob("files/p1?"))):
        return root
    try:
        return release_folder(root, TOP, ZIP, TREE)
    except UserError:
        return release_folder(root, TOP, "files", TREE)


class _Zip:
    """Members of a zip by name, read by position: many processes can share one index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = [m for m in archive.infolist() if m.filename.endswith(".txt")]
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} cannot be read ({error}). Fetch it again.") from None
        members.sort(key=lambda member: member.filename)
        self._names = np.array([m.filename.encode() for m in members], np.bytes_)
        self._places = np.array(
            [(m.header_offset, m.compress_size, m.file_size, m.compress_type) for m in members],
            np.int64,
        ).reshape(-1, 4)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_file"}

    @cached_property
    def _file(self) -> int:
        return os.open(self.path, os.O_RDONLY)

    def _row(self, name: str) -> int | None:
        row = int(np.searchsorted(self._names, name.encode()))
        return row if row < len(self._names) and self._names[row] == name.encode() else None

    def __contains__(self, name: str) -> bool:
        return self._row(name) is not None

    def read(self, name: str) -> bytes:
        """One member's bytes; KeyError for none of that name."""
        row = self._row(name)
        if row is None:
            raise KeyError(name)
        offset, packed, _, kind = self._places[row].tolist()
        header = os.pread(self._file, LOCAL_HEADER, offset)
        skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        data = os.pread(self._file, packed, offset + LOCAL_HEADER + skip)
        if kind == zipfile.ZIP_STORED:
            return data
        if kind != zipfile.ZIP_DEFLATED:
            raise UserError(f"{self.path} is packed in a way that is not read; unpack it.")
        return zlib.decompress(data, -15)

    def sizes(self, names: Sequence[str]) -> list[int]:
        rows = [self._row(name) for name in names]
        return [-1 if row is None else int(self._places[row, 2]) for row in rows]
