"""Values arrive once, whatever dies in between, and no run waits for them."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from medbench.core.errors import UserError
from medbench.core.files import locked
from medbench.tracking import (
    Tracker,
    check_uri,
    default_uri,
    deliver,
    open_tracker,
    sender,
    tracker,
)
from medbench.tracking.spool import History, Spool, clean_name, read_lines
from medbench.tracking.store import Store
from tests.medbench.example_run import write_database

TAGS = {"medbench.run": "abc"}
DEAD = "http://127.0.0.1:9"


@pytest.fixture
def run(out: Path) -> Path:
    """A run folder beside a local database."""
    write_database(out)
    return out / "runs" / "msdm-abc"


def start(run: Path, uri: str | None = None, attempt: int = 1) -> Tracker:
    uri = uri or default_uri(run.parent.parent)
    tags = TAGS | {"medbench.attempt": str(attempt)}
    return Tracker(uri, "medbench", run / "spool", "msdm", tags)


def tracked(out: Path) -> list[Any]:
    return list(Store(default_uri(out)).runs())


def history(out: Path, run_id: str, name: str) -> list[tuple[int, float]]:
    found = Store(default_uri(out)).client.get_metric_history(run_id, name)
    return sorted((metric.step, metric.value) for metric in found)


def test_values_params_tags_and_artifacts_arrive(run: Path, out: Path) -> None:
    tracker = start(run)
    tracker.params({"lr": 1e-4, "text": "x" * 7000, "odd=name": None})
    for step in range(5):
        tracker.metrics({"train/loss": 1 / (step + 1), "bench/class=polyp": step}, step)
    tracker.metrics({"odd": float("nan"), "large": float("-inf")}, 0)
    tracker.tag("medbench.config", "f" * 9000)
    (run / "result.json").write_text("{}")
    tracker.artifact(run / "result.json", "measured")
    tracker.close("FINISHED", wait_s=60)
    (found,) = tracked(out)
    assert found.info.status == "FINISHED"
    assert found.data.params["lr"] == "0.0001"
    assert found.data.params["odd_name"] == "None"
    assert found.data.params["text"] == "x" * 5999 + "…"
    assert len(found.data.tags["medbench.config"]) == 8000
    assert found.data.metrics["bench/class_polyp"] == 4
    assert str(found.data.metrics["odd"]) == "nan"
    assert found.data.metrics["large"] < -1e308
    assert len(history(out, found.info.run_id, "train/loss")) == 5
    kept = out / "tracking" / "artifacts" / found.info.run_id / "artifacts"
    assert (kept / "measured" / "result.json").read_text() == "{}"
    assert json.loads((kept / "params.json").read_text())["text"] == "x" * 7000


def test_a_resumed_run_goes_on_in_the_same_tracked_run(run: Path, out: Path) -> None:
    first = start(run)
    first.params({"threads": 1, "lr": 0.1})
    for step in range(10):
        first.metrics({"loss": step}, step)
    first.close("KILLED", wait_s=60)
    second = start(run)
    second.params({"threads": 2, "lr": 0.1})
    for step in range(6, 15):  # from its checkpoint on
        second.metrics({"loss": step}, step)
    second.close("FINISHED", wait_s=60)
    (found,) = tracked(out)
    assert history(out, found.info.run_id, "loss") == [(step, step) for step in range(15)]
    assert found.data.params == {"threads": "1", "threads:2": "2", "lr": "0.1"}
    assert found.info.status == "FINISHED"


def test_a_new_attempt_is_a_new_tracked_run(run: Path, out: Path) -> None:
    for attempt in (1, 2):
        tracker = start(run, attempt=attempt)
        tracker.metrics({"fid": attempt}, 0)
        tracker.close("FINISHED", wait_s=60)
    values = {r.data.tags["medbench.attempt"]: r.data.metrics["fid"] for r in tracked(out)}
    assert values == {"1": 1, "2": 2}


def test_what_is_known_of_the_delivery_may_be_lost(run: Path, out: Path) -> None:
    """So falls a kill between creating the tracked run and writing its id down."""
    first = start(run)
    first.metrics({"loss": 1.0}, 0)
    first.close("FINISHED", wait_s=60)
    (run / "spool" / "delivered.json").unlink()
    assert deliver(out) == 1
    (found,) = tracked(out)
    assert history(out, found.info.run_id, "loss") == [(0, 1.0)]


def test_a_deleted_tracked_run_is_made_again(run: Path, out: Path) -> None:
    first = start(run)
    first.metrics({"loss": 1.0}, 0)
    first.close("KILLED", wait_s=60)
    Store(default_uri(out)).client.delete_run(tracked(out)[0].info.run_id)
    second = start(run)
    second.metrics({"loss": 2.0}, 1)
    second.close("FINISHED", wait_s=60)
    (found,) = tracked(out)
    assert history(out, found.info.run_id, "loss") == [(0, 1.0), (1, 2.0)]


def test_a_dead_server_costs_a_run_nothing(
    run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = start(run, uri=DEAD)
    began = time.monotonic()
    for step in range(1000):
        tracker.metrics({"loss": step}, step)
    assert time.monotonic() - began < 1
    began = time.monotonic()
    tracker.close("FINISHED", wait_s=30)
    assert time.monotonic() - began < 20
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tracking: {DEAD} cannot be reached")
    assert "delivered by the next command" in line
    assert deliver(out) == 0  # still dead


def test_a_run_that_reaches_the_store_delivers_for_earlier_ones(run: Path, out: Path) -> None:
    earlier = start(run.with_name("msdm-earlier"), uri=DEAD)
    earlier.metrics({"loss": 1.0}, 0)
    earlier.close("FINISHED", wait_s=20)
    (run.with_name("msdm-earlier") / "spool" / "target.json").write_text('{"place": "local"}')
    start(run, attempt=2).close("FINISHED", wait_s=60)
    assert len(tracked(out)) == 2


class Mortal(Store):
    """A database that dies while it answers, like a server between two calls."""

    alive = True
    calls_left = 0

    def send(self, *arguments: Any, **named: Any) -> list[str]:
        refused = super().send(*arguments, **named)
        Mortal.calls_left -= 1
        if Mortal.calls_left < 0:
            raise ConnectionError("gone")  # after it has stored the values, unknown to us
        return refused


def test_a_server_that_dies_and_returns_gets_everything_once(
    run: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracker, "Store", Mortal)
    monkeypatch.setattr(Mortal, "calls_left", 1)
    running = start(run)
    for step in range(3000):
        running.metrics({"loss": step}, step)
    running.close("FINISHED", wait_s=60)
    assert "kept in the run's folder" in capsys.readouterr().err
    assert len(history(out, tracked(out)[0].info.run_id, "loss")) < 3000
    assert deliver(out) == 1
    assert deliver(out) == 0
    (found,) = tracked(out)
    assert history(out, found.info.run_id, "loss") == [(step, step) for step in range(3000)]
    assert found.info.status == "FINISHED"


def test_one_value_that_is_refused_does_not_hold_the_others_back(
    run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start(run)
    first.params({"lr": 1})
    first.close("KILLED", wait_s=60)
    run_id = tracked(out)[0].info.run_id
    Store(default_uri(out)).client.log_param(run_id, "by_hand", 1)
    second = start(run)
    second.params({"by_hand": 2, "after": 3})
    second.close("FINISHED", wait_s=60)
    assert tracked(out)[0].data.params == {"lr": "1", "by_hand": "1", "after": "3"}
    assert "MLflow refused 1 values, such as by_hand" in capsys.readouterr().err


def test_a_spool_that_a_living_process_sends_is_left_to_it(run: Path, out: Path) -> None:
    first = start(run, uri=DEAD)
    first.close("FINISHED", wait_s=20)
    (run / "spool" / "target.json").write_text('{"place": "local"}')
    with locked(run / "spool" / "sending.lock") as holder:
        assert holder is None
        assert deliver(out) == 0
    assert deliver(out) == 1


def test_nothing_to_deliver_imports_no_mlflow(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from medbench.tracking import deliver; "
        f"print(deliver(Path({str(tmp_path)!r})), 'mlflow' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert ended.stdout.split() == ["0", "False"], ended.stderr


def test_half_a_line_of_a_killed_process_is_cut(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append("start", attempt="1")
    spool.append("metrics", step=3, values={"loss": "nan"})
    with spool.path.open("ab") as file:
        file.write(b'{"kind": "metrics", "step": 4, "val')
    assert History(spool.path, "1").highest == {"loss": 3}
    Spool(tmp_path).append("metrics", step=4, values={"loss": 1.0})
    assert [line.get("step") for _, line in read_lines(spool.path, 0)] == [None, 3, 4]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("train/loss", "train/loss"),
        ("class=polyp (%)", "class_polyp ___"),
        ("../x//y", "x/y"),
        ("größe", "gr__e"),
        ("", "_"),
    ],
)
def test_names_that_mlflow_would_refuse_are_mended(given: str, kept: str) -> None:
    assert clean_name(given) == kept


def test_passwords_are_not_written_down(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def fail(uri: str) -> Store:
        asked.append(uri)
        raise ConnectionError(f"no answer from {uri}")

    monkeypatch.setattr(tracker, "Store", fail)
    monkeypatch.setattr(sender, "Store", fail)
    uri = "postgresql://medbench:secret@db.example/mlflow"
    start(run, uri=uri).close("FINISHED", wait_s=5)
    deliver(run.parent.parent, uri)
    assert set(asked) == {uri}  # the password comes with the command
    shown = capsys.readouterr().err + "".join(p.read_text() for p in (run / "spool").iterdir())
    assert "medbench:***@db.example" in shown
    assert "secret" not in shown


def test_settings_open_a_tracker_or_none(run: Path, out: Path) -> None:
    settings = {"uri": None, "experiment": "colonoscopy"}
    silent = open_tracker(settings, out, run, TAGS, enabled=False)
    silent.metrics({"loss": 1}, 0)
    silent.close("FINISHED")
    assert not run.exists()
    loud = open_tracker(settings, out, run, TAGS, enabled=True)
    loud.close("FINISHED", wait_s=60)
    (found,) = tracked(out)
    assert (found.info.run_name, found.info.status) == ("msdm-abc", "FINISHED")


def test_a_wrong_address_is_one_sentence() -> None:
    for uri in ("localhost", "ftp://host", "mlruns"):
        with pytest.raises(UserError, match="tracking.uri=.* is not the address"):
            check_uri(uri)
    check_uri("postgresql+psycopg://u@h/db")


@pytest.mark.slow
def test_a_real_server_that_starts_late_gets_the_values(run: Path, out: Path) -> None:
    """The server that mlflow ships, over HTTP, artifacts included."""
    uri = "http://127.0.0.1:5957"
    running = start(run, uri=uri)
    running.metrics({"loss": 0.5}, 0)
    (run / "result.json").write_text("{}")
    running.artifact(run / "result.json")
    running.close("FINISHED", wait_s=10)
    backend = default_uri(out)
    command = [sys.executable, "-m", "mlflow", "server", "--port", "5957", "--workers", "1"]
    command += ["--backend-store-uri", backend, "--artifacts-destination", str(out / "objects")]
    server = subprocess.Popen(command)
    try:
        until = time.monotonic() + 90
        while not deliver(out) and time.monotonic() < until:
            time.sleep(1)
        (found,) = tracked(out)
        assert found.data.metrics == {"loss": 0.5}
        assert list((out / "objects").rglob("result.json"))
    finally:
        server.terminate()
        server.wait()
