"""What a run calls to have something tracked; every call costs one written line."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medbench.core.files import locked, write_json
from medbench.tracking.places import check_uri, default_uri, place_of
from medbench.tracking.sender import Sender, deliver, has_unsent, say, say_kept
from medbench.tracking.spool import (
    SENDING,
    SPOOL,
    TARGET,
    History,
    Spool,
    clean_name,
    encode_number,
)
from medbench.tracking.store import ATTEMPT_TAG, RUN_TAG, Busy, Store

LONGEST_PARAM, LONGEST_TAG = 6000, 8000  # MLflow's limits, in characters
WHOLE = "params.json"


class Tracker:
    """Spools one run's values and sends them from a thread of its own.

    `spool` is a folder of the run's own, `RUN/spool`. The tags `medbench.run` and
    `medbench.attempt` say which tracked run is continued."""

    interval_s = 5.0  # between two sendings
    longest_pause_s = 60.0  # between two attempts at a server that is gone

    def __init__(
        self, uri: str, experiment: str, spool: Path, name: str, tags: Mapping[str, str]
    ) -> None:
        check_uri(uri)
        if RUN_TAG not in tags:
            raise ValueError(f"a tracked run is found again by its tag {RUN_TAG}")
        attempt = str(tags.get(ATTEMPT_TAG, "1"))
        self._uri, self._folder = uri, spool
        self._out = spool.absolute().parent.parent.parent  # OUT/runs/RUN/spool
        self._place = place_of(uri, self._out)
        self._spool = Spool(spool)
        write_json(spool / TARGET, {"place": self._place})
        self._history = History(self._spool.path, attempt)
        self._lock = threading.Lock()
        self._append(
            "start",
            experiment=experiment,
            name=name,
            attempt=attempt,
            tags=_short_tags(dict(tags) | {ATTEMPT_TAG: attempt}),
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._send, name="tracking", daemon=True)
        self._thread.start()

    # what a run calls -------------------------------------------------------
    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Numbers of one step; a step already logged for a name is not logged again."""
        named = {clean_name(name): encode_number(value) for name, value in values.items()}
        with self._lock:
            fresh = self._history.new_metrics(named, step)
            if fresh:
                self._append("metrics", step=step, values=fresh)

    def params(self, flat: Mapping[str, Any]) -> None:
        """Settings by name; one whose value has changed since is recorded beside the old one."""
        named = {clean_name(name): str(value) for name, value in flat.items()}
        if any(len(value) > LONGEST_PARAM for value in named.values()):
            write_json(self._folder / WHOLE, named)
            self.artifact(self._folder / WHOLE)
        with self._lock:
            short = {name: _shorten(value, LONGEST_PARAM) for name, value in named.items()}
            fresh = self._history.new_params(short)
            if fresh:
                self._append("params", values=fresh)

    def tag(self, key: str, value: str) -> None:
        with self._lock:
            self._append("tags", values=_short_tags({key: value}))

    def artifact(self, path: Path, folder: str = "") -> None:
        """A file to be kept with the tracked run; what it holds when it is sent."""
        path, home = path.absolute(), self._folder.absolute().parent
        inside = path.is_relative_to(home)  # so that an output folder can be moved
        with self._lock:
            where = path.relative_to(home) if inside else path
            self._append("artifact", path=where.as_posix(), folder=folder)

    def close(self, status: str, wait_s: float = 10) -> None:
        """End the run as FINISHED, FAILED or KILLED; wait for the sender, but not for long."""
        with self._lock:
            self._append("end", status=status)
            self._spool.close()
        self._closing.set()
        self._thread.join(wait_s)
        if self._thread.is_alive() and has_unsent(self._folder, self._place):
            say("not everything is sent yet; the next command delivers the rest.")

    def _append(self, kind: str, **content: Any) -> None:
        self._spool.append(kind, **content)

    # the thread -------------------------------------------------------------
    def _send(self) -> None:
        while True:
            with locked(self._folder / SENDING) as holder:
                if holder is None:
                    self._send_until_closed()
                    return
            if self._closing.wait(self.interval_s):
                return  # whoever holds the spool delivers it

    def _send_until_closed(self) -> None:
        sender: Sender | None = None
        pause, told = self.interval_s, False
        while True:
            last = self._closing.is_set()
            try:
                if sender is None:
                    sender = Sender(self._folder, Store(self._uri), self._place)
                sender.send_new()
                pause, told = self.interval_s, False
                if last:
                    deliver(self._out, self._uri)  # what earlier runs could not
            except Busy:
                time.sleep(0.2)
                continue
            except Exception as error:  # whatever MLflow meets, the run goes on
                sender = None
                pause = min(2 * pause, self.longest_pause_s)
                if not told:
                    say_kept(self._place, error)
                told = True
            if last:
                return
            self._closing.wait(pause)


def _short_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {clean_name(key): _shorten(str(value), LONGEST_TAG) for key, value in tags.items()}


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


class NoTracker:
    """Stands where nothing is tracked: `tracking.enabled=false`, or a second process."""

    def metrics(self, values: Mapping[str, float], step: int) -> None: ...
    def params(self, flat: Mapping[str, Any]) -> None: ...
    def tag(self, key: str, value: str) -> None: ...
    def artifact(self, path: Path, folder: str = "") -> None: ...
    def close(self, status: str, wait_s: float = 10) -> None: ...


def open_tracker(
    settings: Mapping[str, Any], out: Path, folder: Path, tags: Mapping[str, str], enabled: bool
) -> Tracker | NoTracker:
    """The tracker of a run folder; `settings` are the command's `tracking` group."""
    if not enabled:
        return NoTracker()
    uri = settings["uri"] or default_uri(out)
    return Tracker(uri, settings["experiment"], folder / SPOOL, folder.name, tags)
