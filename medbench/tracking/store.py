"""The MLflow side of tracking: the one module that imports mlflow, and only when it is opened."""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medbench.core.files import locked
from medbench.tracking.places import artifact_root, sqlite_path

RUN_TAG, ATTEMPT_TAG = "medbench.run", "medbench.attempt"
PARAMS_A_CALL, METRICS_A_CALL = 100, 1000  # MLflow's limits; tags count like params
REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
PAGE = 500

# Read by MLflow at each call. Its defaults hold a caller for minutes when a server is gone; ours
# give up in seconds, since the spool tries again. What the user has set stays.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "2",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

# A process forked during an import would inherit the import lock of a thread that it does not
# have, and hang at its own import of the same module: forks wait until the opening is over.
_opening = threading.RLock()
os.register_at_fork(
    before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_opening.release
)


class Busy(Exception):
    """Another process is setting the database up."""


class Store:
    """One MLflow server or database, as far as spools and the leaderboard need it."""

    def __init__(self, uri: str) -> None:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        with _opening:
            from mlflow.tracking import MlflowClient

            logging.getLogger("mlflow").setLevel(logging.WARNING)
        with _setting_up(uri):
            self.client = MlflowClient(uri)
        self.uri = uri

    # runs -------------------------------------------------------------------
    def run_id(self, start: dict[str, Any], known: str | None) -> str:
        """The tracked run of a start line: the known one, else found by its tags, else new."""
        if known and self._is_active(known):
            return known
        experiment = self._experiment(start["experiment"])
        query = " and ".join(
            f"tags.`{tag}` = '{start['tags'][tag]}'" for tag in (RUN_TAG, ATTEMPT_TAG)
        )
        found = self.client.search_runs([experiment], query, max_results=1)
        if found:
            return found[0].info.run_id
        made = self.client.create_run(experiment, start["time"], start["tags"], start["name"])
        return made.info.run_id

    def _is_active(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id).info.lifecycle_stage == "active"
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found:
            return found.experiment_id
        try:
            return self.client.create_experiment(name, artifact_root(self.uri))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._experiment(name)  # another process was quicker

    # sending ----------------------------------------------------------------
    def send(
        self,
        run_id: str,
        metrics: Sequence[tuple[str, float, int, int]] = (),
        params: Sequence[tuple[str, str]] = (),
        tags: Sequence[tuple[str, str]] = (),
    ) -> list[str]:
        """Log (name, value, milliseconds, step), (name, value) and tags; names of those refused."""
        from mlflow.entities import Metric, Param, RunTag

        refused: list[str] = []
        for part in _parts([Metric(*metric) for metric in metrics], METRICS_A_CALL):
            refused += self._log(run_id, "metrics", part)
        for part in _parts([Param(*param) for param in params], PARAMS_A_CALL):
            refused += self._log(run_id, "params", part)
        for part in _parts([RunTag(*tag) for tag in tags], PARAMS_A_CALL):
            refused += self._log(run_id, "tags", part)
        return refused

    def _log(self, run_id: str, kind: str, part: list[Any]) -> list[str]:
        from mlflow.exceptions import MlflowException

        try:
            arguments: dict[str, Any] = {kind: part}
            self.client.log_batch(run_id, **arguments)
        except MlflowException as error:
            if error.error_code not in REFUSALS:
                raise
            if len(part) == 1:
                return [part[0].key]
            middle = len(part) // 2  # a refused call logs nothing: search for what it disliked
            halves = (part[:middle], part[middle:])
            return [name for half in halves for name in self._log(run_id, kind, half)]
        return []

    def send_artifact(self, run_id: str, path: Path, folder: str) -> None:
        self.client.log_artifact(run_id, str(path), folder or None)

    def continue_run(self, run_id: str) -> None:
        self.client.update_run(run_id, "RUNNING")

    def end_run(self, run_id: str, status: str, milliseconds: int) -> None:
        self.client.set_terminated(run_id, status, milliseconds)

    # reading ----------------------------------------------------------------
    def runs(self) -> Iterator[Any]:
        """Every tracked run of medbench that was not deleted."""
        experiments = [e.experiment_id for e in self.client.search_experiments()]
        token: str | None = None
        while experiments:
            page = self.client.search_runs(
                experiments, f"tags.`{RUN_TAG}` LIKE '%'", max_results=PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def fetch_artifact(self, run_id: str, name: str, folder: Path) -> Path:
        return Path(self.client.download_artifacts(run_id, name, str(folder)))


def _parts(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@contextmanager
def _setting_up(uri: str) -> Iterator[None]:
    """One process at a time makes the tables of an SQLite file."""
    path = sqlite_path(uri)
    if path is None:
        yield
        return
    with locked(path.with_name(f".{path.name}.lock")) as holder:
        if holder:
            raise Busy(f"{path} is being set up by {holder}")
        yield
