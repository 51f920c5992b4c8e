"""Every result that can be reached: those of the output folder, and those that were tracked."""

import json
import sqlite3
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError
from medbench.core.files import is_complete, read_json
from medbench.tracking import default_uri
from medbench.tracking.places import sqlite_path, without_password
from medbench.tracking.store import ATTEMPT_TAG, RUN_TAG

Result = dict[str, Any]
FOLDER = "folder"  # key that a local result carries: where its samples and config are
ARTIFACT = "result.json"
PAGE = "leaderboard"  # the tracked run that holds the leaderboard's own page, and no result
TRACKED_RUNS = """
select (select value from tags t where t.run_uuid = r.run_uuid and t.key = ?),
       (select value from tags t where t.run_uuid = r.run_uuid and t.key = ?)
from runs r where r.lifecycle_stage = 'active' and r.status = 'FINISHED'"""


def collect(out: Path, uri: str | None) -> list[Result]:
    """Results by run, newest attempt only, oldest first.

    MLflow is asked when a store was named, or when the local one knows of runs whose folders are
    gone; otherwise it is not imported."""
    local = local_results(out)
    if uri is None and not _lacks_tracked(out, local):
        return newest(local)
    return newest([*tracked_results(uri or default_uri(out), local), *local])


def newest(results: Iterable[Result]) -> list[Result]:
    """The last attempt of each run; of equal ones the later in the list."""
    kept: dict[Any, Result] = {}
    for result in results:
        key = result.get("run") or id(result)
        if key not in kept or result.get("attempt", 1) >= kept[key].get("attempt", 1):
            kept.pop(key, None)
            kept[key] = result
    return list(kept.values())


def local_results(out: Path) -> list[Result]:
    """Results of finished runs and of measured folders, oldest first."""
    runs = [path for path in out.glob(f"runs/*/{ARTIFACT}") if is_complete(path.parent)]
    paths = [*runs, *out.glob(f"evaluations/*/{ARTIFACT}")]
    found = []
    for path in sorted(paths, key=lambda path: path.stat().st_mtime):
        result = _read(path)
        if result and result.get("recorded", True):
            found.append(result | {FOLDER: str(path.parent)})
    return found


def _read(path: Path) -> Result | None:
    """A result, or a line that says why it is left out: one damaged file hides no others."""
    try:
        result = read_json(path)
    except UserError as error:
        print(f"left out: {error}", file=sys.stderr)
        return None
    if not isinstance(result, dict) or not {"row", "protocol", "values"} <= result.keys():
        print(f"left out: {path} is not a result.", file=sys.stderr)
        return None
    return result


def _lacks_tracked(out: Path, local: list[Result]) -> bool:
    """Whether the local database knows a finished run whose result is not on disk.

    Asked of the file itself, since importing MLflow takes seconds; where its tables are not as
    expected, MLflow is asked."""
    path = sqlite_path(default_uri(out))
    if path is None or not path.exists():
        return False
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)
        try:
            tracked = connection.execute(TRACKED_RUNS, (RUN_TAG, ATTEMPT_TAG)).fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return True
    known = _attempts(local)
    return any(
        run and run != PAGE and known.get(run, 0) < int(attempt or 1) for run, attempt in tracked
    )


def _attempts(local: Iterable[Result]) -> dict[str, int]:
    """The newest attempt of each run that is on disk."""
    known: dict[str, int] = {}
    for result in local:
        run = result.get("run")
        if run:
            known[run] = max(known.get(run, 0), int(result.get("attempt", 1)))
    return known


def tracked_results(uri: str, local: list[Result]) -> list[Result]:
    """Results of finished tracked runs that are not on disk here."""
    from medbench.tracking.store import Store

    known = _attempts(local)
    found = []
    try:
        store = Store(uri)
        for run in store.runs():
            tags = run.data.tags
            if tags[RUN_TAG] == PAGE:
                continue
            newer = known.get(tags[RUN_TAG], 0) < int(tags.get(ATTEMPT_TAG, 1))
            if newer and run.info.status == "FINISHED":
                found += _fetch(store, run.info.run_id)
    except UserError:
        raise
    except Exception as error:  # MLflow raises its own, requests' and SQLAlchemy's kinds
        reason = without_password((str(error).splitlines() or [type(error).__name__])[0])[:200]
        raise UserError(
            f"{without_password(uri)} cannot be read ({reason}). Start the server or correct "
            "tracking.uri; without it the local results are shown."
        ) from error
    return found


def _fetch(store: Any, run_id: str) -> list[Result]:
    """The result that a tracked run carries; none for a run of another kind."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        try:
            path = store.fetch_artifact(run_id, ARTIFACT, Path(folder))
            result = json.loads(path.read_text(encoding="utf-8"))
        except (MlflowException, OSError, json.JSONDecodeError) as error:
            print(f"left out: tracked run {run_id}: {error}"[:200], file=sys.stderr)
            return []
    return [result]
