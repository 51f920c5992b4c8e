"""Images in a folder: a sample set with its manifest, or anyone's PNG and JPEG files.

A bare folder is a sample set of unknown provenance: one reader serves both."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.base import DataModule, Split, expand
from medbench.core.batch import Sample
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import fingerprint, hash_file, hash_files
from medbench.core.images import SUFFIXES, decode_image
from medbench.core.sample_set import MANIFEST, read_manifest
from medbench.core.seeds import mix

ALL = "all"
FILE_COLUMNS = ("file", "filename", "file_name", "image", "path")
TEXT_COLUMNS = ("text", "caption", "prompt", "report")
ID_COLUMNS = ("sample_id", "subject_id")


class Folder(DataModule):
    """Every image under `root`, in order of its path; or, with a manifest, what that names.

    table: a CSV or JSONL file with a column `file` (relative to root), and any of text, sample_id,
    subject_id; each further column is a label, empty = unlabelled. A file of that kind lying in
    root under the name captions.csv or captions.jsonl is found by itself.
    arm: only this arm of a sample set.
    validation, test: shares of the subjects, by hash, for use as training data."""

    version = 1
    yields = ("image", "text", "labels", "label_names", "sample_id", "subject_id", "meta")
    splits = (ALL, "train", "validation", "test")
    licence = "that of the images"
    split_source = "by hash of subject_id"
    location = ("root", "table")

    def __init__(
        self,
        root: str,
        table: str | None = None,
        arm: str | None = None,
        validation: float = 0.1,
        test: float = 0.1,
    ) -> None:
        super().__init__()
        self.root, self.arm = expand(root), arm
        self.validation, self.test = validation, test
        self.table = expand(table) if table else self._found_table()
        self._rows: list[Sample] | None = None
        self._content: Any = None

    def check(self) -> list[str]:
        try:
            self.rows()
        except UserError as error:
            return list(error.mistakes)
        return []

    def split(self, name: str) -> Split:
        if name not in self.splits:
            raise UserError(f"A folder has no split {name}; it has {', '.join(self.splits)}.")
        rows = [row for row in self.rows() if name in (ALL, self._side(row["subject_id"]))]
        if not rows:
            raise UserError(f"{self.root}: no images fall into the split {name}.")
        return Rows(self.root, rows)

    def content(self, split: str) -> Any:
        """The images' content, and the table's or the manifest's: never the folder's name."""
        if self._content is None:
            paths = [self.root / row["meta"]["file"] for row in self.rows()]
            tables = [path for path in (self.table, self.root / MANIFEST) if path and path.exists()]
            images = hash_files(self.root, paths, content=True)
            self._content = [images, [hash_file(path) for path in tables]]
        return self._content

    def arms(self) -> list[str]:
        """Names of the arms of a sample set; none for a bare folder."""
        return list(dict.fromkeys(r["meta"]["arm"] for r in self.rows() if "arm" in r["meta"]))

    def requests(self) -> str | None:
        """Fingerprint of what the samples were drawn from; None where that is unknown."""
        rows = self.rows()
        if any("request" not in row["meta"] for row in rows):
            return None
        return fingerprint([[r["sample_id"], _keys(r["meta"]["request"])] for r in rows])

    def rows(self) -> list[Sample]:
        """Every sample without its image."""
        if self._rows is None:
            if not self.root.is_dir():
                raise UserError(f"root={self.root} is not a folder.")
            known = (self.root / MANIFEST).is_file()
            self._rows = self._from_manifest() if known else self._from_files()
        return self._rows

    def _side(self, subject: str) -> str:
        place = mix("folder split", subject) / 2**63
        if place < self.test:
            return "test"
        return "validation" if place < self.test + self.validation else "train"

    def _from_manifest(self) -> list[Sample]:
        lines = read_manifest(self.root)
        arms = list(dict.fromkeys(line["arm"] for line in lines))
        if self.arm is not None and self.arm not in arms:
            raise UserError(f"{self.root} has no arm {self.arm}; it has {', '.join(arms)}.")
        rows = [_manifest_row(line) for line in lines if self.arm in (None, line["arm"])]
        with_text = ["text" in row for row in rows]
        if any(with_text) and not all(with_text):  # arms with and without prompts, read together
            rows = [{k: v for k, v in row.items() if k != "text"} for row in rows]
        return rows

    def _from_files(self) -> list[Sample]:
        found = sorted(p for p in self.root.rglob("*") if p.suffix.lower() in SUFFIXES)
        names = [p.relative_to(self.root).as_posix() for p in found if p.is_file()]
        if not names:
            raise UserError(f"{self.root} holds no images; {', '.join(SUFFIXES)} are read.")
        if self.table is None:
            return [_bare_row(name) for name in names]
        return _table_rows(self.table, names)

    def _found_table(self) -> Path | None:
        found = [self.root / f"captions{suffix}" for suffix in (".csv", ".jsonl")]
        return next((path for path in found if path.is_file()), None)


class Rows:
    """Samples read when they are asked for."""

    def __init__(self, root: Path, rows: list[Sample]) -> None:
        self.root, self.rows = root, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        row = self.rows[index]
        return {"image": decode_image(self.root / row["meta"]["file"])} | row

    def describe(self, index: int) -> Sample:
        """The sample without its image."""
        return self.rows[index]


def _bare_row(name: str) -> Sample:
    return {"sample_id": name, "subject_id": name, "meta": {"file": name}}


def _manifest_row(line: dict[str, Any]) -> Sample:
    request = line["request"]
    meta = {name: line[name] for name in ("arm", "index", "seed", "file")}
    row: Sample = {"sample_id": line["sample_id"], "subject_id": line["subject_id"]}
    if isinstance(request.get("text"), str):
        row["text"] = request["text"]
    return row | {"meta": meta | ({"request": request} if request else {})}


def _keys(request: dict[str, Any]) -> dict[str, Any]:
    """A request's keys; `meta` is for reading and changes no sample."""
    return {name: value for name, value in request.items() if name != "meta"}


def _table_rows(table: Path, names: list[str]) -> list[Sample]:
    """One sample per image, all of them named by the table and all its lines with an image."""
    lines = _read_table(table)
    file = _column(lines[0], FILE_COLUMNS)
    if file is None:
        raise UserError(
            f"{table} has no column for the file name; call it file. It has {', '.join(lines[0])}."
        )
    by_name = {str(line[file]): line for line in lines}
    if len(by_name) < len(lines):
        raise UserError(f"{table} names {len(lines) - len(by_name)} files more than once.")
    absent, extra = sorted(set(names) - set(by_name)), sorted(set(by_name) - set(names))
    if absent or extra:
        first = f"{absent[0]} has no line" if absent else f"{extra[0]} has no image"
        raise UserError(
            f"{table} does not match the images: {len(absent)} images without a line, {len(extra)} "
            f"lines without an image ({first}). Names are relative to the folder, with suffix."
        )
    text = _column(lines[0], TEXT_COLUMNS)
    known = {file, text, *ID_COLUMNS}
    labels = [name for name in lines[0] if name not in known]
    return [_table_row(table, name, by_name[name], text, labels) for name in names]


def _table_row(
    table: Path, name: str, line: dict[str, Any], text: str | None, labels: list[str]
) -> Sample:
    row = _bare_row(name)
    row |= {key: str(line[key]) for key in ID_COLUMNS if line.get(key) not in (None, "")}
    if "subject_id" not in line:
        row["subject_id"] = row["sample_id"]
    if text is not None:
        row["text"] = str(line[text])
    if labels:
        try:
            values = [float(line[k]) if line.get(k) not in (None, "") else np.nan for k in labels]
        except (TypeError, ValueError) as error:
            raise UserError(f"{table}: a label of {name} is not a number ({error}).") from None
        row |= {"labels": np.array(values, np.float32), "label_names": labels}
    return row


def _column(line: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in line), None)


def _read_table(path: Path) -> list[dict[str, Any]]:
    if path.suffix not in (".csv", ".jsonl"):
        raise UserError(f"table={path} is not read{nearest(path.suffix, ('.csv', '.jsonl'))}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".jsonl":
            lines = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            lines = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, csv.Error) as error:
        raise UserError(f"The table {path} cannot be read: {error}.") from error
    if not lines or not all(isinstance(line, dict) and None not in line for line in lines):
        raise UserError(f"The table {path} has no lines, or one with more cells than the header.")
    return lines
