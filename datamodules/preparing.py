"""Work that is done once on a dataset and kept: named by content, parallel, resumable."""

import io
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from datamodules.pools import spread
from medbench.core.errors import UserError
from medbench.core.files import disk_error, is_complete, mark_complete, read_json, write_json
from medbench.core.fingerprint import fingerprint
from medbench.core.progress import Progress

Arrays = dict[str, np.ndarray]
Make = Callable[[str], Arrays]
RECORD = "prepared.json"


@dataclass(frozen=True)
class Preparation:
    """Arrays for each key, by a function of the key that other processes can be handed.

    `source` identifies what it is made from: it and the settings name the folder."""

    name: str
    version: int
    keys: list[str]
    make: Make
    settings: dict[str, Any] = field(default_factory=dict)
    source: Any = None
    unit: str = "image"

    @property
    def fingerprint(self) -> str:
        return fingerprint([self.name, self.version, self.settings, self.source])

    def folder(self, out: Path) -> Path:
        """Where it is written under a run's `out`."""
        return out / "prepared" / f"{self.name}-{self.fingerprint}"


def prepare(preparation: Preparation, out: Path, *, workers: int = 1, quiet: bool = False) -> Path:
    """Make what is missing, and return the folder; what is there already is kept.

    A key that fails does not stop the others; all failures are named at the end."""
    folder = preparation.folder(out)
    if is_complete(folder):
        if not quiet:
            print(f"{preparation.name} is there already; nothing to do", file=sys.stderr)
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, _record(preparation))
    left = [key for key in preparation.keys if not _is_whole(file_of(folder, key))]
    total = len(preparation.keys)
    failed: list[str] = []
    label = f"prepare {preparation.name}"
    with Progress(label, total, total - len(left), preparation.unit, quiet) as bar:
        for _, mistake in spread(partial(_one, preparation.make, folder), left, workers):
            bar.update(1)
            failed += [mistake] if mistake else []
    for remains in folder.rglob(".*.tmp"):  # of a process that was killed
        remains.unlink()
    if failed:
        more = [f"and {len(failed) - 10} more."] if len(failed) > 10 else []
        raise UserError(
            f"{len(failed)} of {total} could not be prepared; the others are kept in {folder}, and "
            "the same command continues:",
            *failed[:10],
            *more,
        )
    mark_complete(folder)
    return folder


def _record(preparation: Preparation) -> dict[str, Any]:
    return {
        "name": preparation.name,
        "version": preparation.version,
        "fingerprint": preparation.fingerprint,
        "settings": preparation.settings,
        "keys": len(preparation.keys),
    }


def _one(make: Make, folder: Path, key: str) -> str | None:
    try:
        arrays = make(key)
    except UserError as error:
        return str(error)
    path = file_of(folder, key)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(buffer.getbuffer())
        os.replace(temporary, path)  # no fsync a file: it would cost more than the work
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(error, path) from error
    return None


def file_of(folder: Path, key: str) -> Path:
    """The file of a key; a key is a relative path without `..`."""
    pure = PurePosixPath(key)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ValueError(f"{key!r} is no key of a preparation")
    return folder / f"{key}.npz"


def _is_whole(path: Path) -> bool:
    """Whether a file ends as a zip does: an empty one after a power cut does not."""
    try:
        with path.open("rb") as file:
            file.seek(-22, os.SEEK_END)
            return file.read(4) == b"PK\5\6"
    except OSError:
        return False


class Prepared:
    """A finished preparation, by key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, key: str) -> Arrays:
        """The arrays of a key, or a sentence that names its file."""
        path = file_of(self.folder, key)
        try:
            with np.load(path, allow_pickle=False) as found:
                return {name: found[name] for name in found.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(
                f"The prepared file {path} cannot be read ({error}). Delete it and "
                f"{self.folder / 'complete'}, and prepare again."
            ) from error


def open_prepared(folder: str, preparation: Preparation) -> Prepared:
    """What `prepared=DIR` names: the folder itself, or one above it, of just this preparation."""
    given = Path(folder).expanduser().resolve()
    name = f"{preparation.name}-{preparation.fingerprint}"
    for place in (given, given / name, given / "prepared" / name):
        if (place / RECORD).is_file():
            return _checked(place, preparation)
    raise UserError(
        f"prepared={folder} holds no {name}. Make it with: python -m medbench.prepare, the same "
        f"data settings and prepare={preparation.name}; or leave `prepared` out."
    )


def _checked(place: Path, preparation: Preparation) -> Prepared:
    found = read_json(place / RECORD)
    if found.get("fingerprint") != preparation.fingerprint:
        raise UserError(
            f"prepared={place} was made from other data or with other settings "
            f"({found.get('settings')}; asked are {preparation.settings}). Prepare again, or name "
            "the folder that fits."
        )
    if not is_complete(place):
        raise UserError(f"prepared={place} is not finished; type the same command of prepare.")
    return Prepared(place)
