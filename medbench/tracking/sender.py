"""Sending spools to MLflow, once each, however often a sender or a server dies in between."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from medbench.core.files import locked, write_json
from medbench.tracking.places import LOCAL, uri_of, without_password
from medbench.tracking.spool import (
    DELIVERED,
    SENDING,
    SPOOL,
    TARGET,
    VALUES,
    Line,
    read_lines,
)
from medbench.tracking.store import METRICS_A_CALL, Store


@dataclass
class Delivered:
    """How far a spool has been sent, and to which tracked run."""

    place: str
    run_id: str | None = None
    start: Line | None = None  # the latest start line that was sent
    attempt_offset: int = 0  # where its attempt begins
    offset: int = 0

    @classmethod
    def read(cls, folder: Path, place: str) -> "Delivered":
        """What is known for this place. Nothing known: all is sent again, and adds nothing."""
        try:
            state = cls(**json.loads((folder / DELIVERED).read_text(encoding="utf-8")))
        except (FileNotFoundError, json.JSONDecodeError, TypeError):
            return cls(place)
        return state if state.place == place else cls(place)


class Sender:
    """Sends what one spool holds and has not sent. Its caller holds the spool's sending lock."""

    def __init__(self, folder: Path, store: Store, place: str) -> None:
        self.folder, self.store = folder, store
        self.state = Delivered.read(folder, place)
        self._forget()
        if self.state.start:
            run_id = store.run_id(self.state.start, self.state.run_id)
            if run_id != self.state.run_id:  # somebody deleted it, or the database is another
                self.state = Delivered(place, offset=self.state.attempt_offset)

    def _forget(self) -> None:
        self._metrics: list[tuple[str, float, int, int]] = []
        self._params: list[tuple[str, str]] = []
        self._tags: list[tuple[str, str]] = []
        self._read = self.state.offset

    def send_new(self) -> None:
        """Send every whole line not yet sent; raises what MLflow raises if it cannot."""
        self._forget()
        for end, line in read_lines(self.folder / VALUES, self.state.offset):
            if line["kind"] == "start":
                self._flush()
                self._begin(line)
            else:
                self._take(line)
            self._read = end
            if len(self._metrics) >= METRICS_A_CALL:
                self._flush()
        self._flush()

    def _begin(self, line: Line) -> None:
        """Open the tracked run of an attempt, or go on with it."""
        before = self.state.start
        same = before is not None and before["attempt"] == line["attempt"]
        run_id = self.store.run_id(line, self.state.run_id if same else None)
        if not same:
            self.state.attempt_offset = self._read
        self.state.run_id, self.state.start = run_id, line
        self.store.continue_run(run_id)
        self._tags += line["tags"].items()

    def _take(self, line: Line) -> None:
        run_id, kind = self.state.run_id, line["kind"]
        if run_id is None:
            return  # values without a start line belong to no run
        if kind == "metrics":
            step, milliseconds = line["step"], line["time"]
            self._metrics += [(k, float(v), milliseconds, step) for k, v in line["values"].items()]
        elif kind == "params":
            self._params += line["values"].items()
        elif kind == "tags":
            self._tags += line["values"].items()
        elif kind == "artifact":
            self._send_artifact(run_id, line)
        elif kind == "end":
            self._flush()
            self.store.end_run(run_id, line["status"], line["time"])

    def _send_artifact(self, run_id: str, line: Line) -> None:
        path = self.folder.parent / line["path"]  # an absolute path stays what it is
        if path.exists():
            self.store.send_artifact(run_id, path, line["folder"])
        else:
            say(f"{path} was to be kept with the tracked run, but is gone.")

    def _flush(self) -> None:
        if self.state.run_id and (self._metrics or self._params or self._tags):
            refused = self.store.send(self.state.run_id, self._metrics, self._params, self._tags)
            if refused:
                names = ", ".join(sorted(set(refused))[:5])
                say(
                    f"MLflow refused {len(refused)} values, such as {names}; they stay in "
                    f"{self.folder / VALUES}."
                )
        if self._read != self.state.offset:
            self.state.offset = self._read
            write_json(self.folder / DELIVERED, asdict(self.state))
        self._forget()


def deliver(out: Path, uri: str | None = None) -> int:
    """Send what earlier runs under an output folder still hold; the number of runs delivered.

    MLflow is imported only if there is anything to send. Spools that a living process sends are
    left to it. `uri` is this command's setting, and gives the password that no file holds."""
    stores: dict[str, Store] = {}
    dead: dict[str, int] = {}
    delivered = 0
    for folder in sorted(out.glob(f"runs/*/{SPOOL}")):
        place = read_place(folder)
        if not has_unsent(folder, place):
            continue
        address = uri_of(place, out, uri)
        if address in dead:
            dead[address] += 1
            continue
        with locked(folder / SENDING) as holder:
            if holder:
                continue
            try:
                if address not in stores:
                    stores[address] = Store(address)
                Sender(folder, stores[address], place).send_new()
                delivered += 1
            except Exception as error:  # MLflow raises its own, requests' and SQLAlchemy's kinds
                say_kept(place, error)
                dead[address] = 1
    return delivered


def read_place(folder: Path) -> str:
    """The store that a spool is for."""
    try:
        return json.loads((folder / TARGET).read_text(encoding="utf-8"))["place"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return LOCAL


def has_unsent(folder: Path, place: str) -> bool:
    values = folder / VALUES
    return values.exists() and values.stat().st_size > Delivered.read(folder, place).offset


def say_kept(place: str, error: Exception) -> None:
    """One line for a store that does not answer."""
    name = "the local tracking database" if place == LOCAL else place
    reason = without_password((str(error).splitlines() or [type(error).__name__])[0])[:160]
    say(
        f"{name} cannot be reached ({reason}). All values are kept in the run's folder and "
        "delivered by the next command that reaches it."
    )


def say(text: str) -> None:
    print(f"tracking: {text}", file=sys.stderr, flush=True)
