"""One run: plan, fit, generate, measure, report, record."""

import contextlib
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import OmegaConf

from medbench.config import identity
from medbench.core.errors import Interrupted, UserError
from medbench.core.files import (
    MARKER,
    check_writable,
    is_complete,
    locked,
    mark_complete,
    read_json,
    write_json,
    write_text,
)
from medbench.core.fingerprint import fingerprint
from medbench.plan import Plan, references
from medbench.settings import TrainerSettings
from medbench.tracking import check_uri, deliver


@dataclass
class Run:
    """A planned command and the folder that its content names."""

    plan: Plan

    def __post_init__(self) -> None:
        plan, config = self.plan, self.plan.config
        arms = config["protocol"]["arms"].values()
        data = [plan.data(arm.get("data")).fingerprint(arm["requests"]["split"]) for arm in arms]
        self.fingerprint = fingerprint(
            {
                "config": identity(config),
                "stages": [stage.fingerprint for stage in plan.stages],
                "data": data,
            }
        )
        self.folder = plan.out / "runs" / f"{config['method']}-{self.fingerprint}"

    @property
    def result(self) -> Path:
        return self.folder / "result.json"

    @property
    def samples(self) -> Path:
        return self.folder / "samples"

    @property
    def is_finished(self) -> bool:
        return is_complete(self.folder)

    def attempt(self) -> int:
        """How often this run was begun anew; the tracked run carries it."""
        path = self.folder / "run.json"
        return int(read_json(path)["attempt"]) if path.exists() else 1

    def forget(self) -> None:
        """`fresh=true`: drop samples and result; a run begun anew is another tracked run."""
        attempt = self.attempt() + (1 if self.result.exists() else 0)
        (self.folder / MARKER).unlink(missing_ok=True)
        for name in ("samples", "real"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.result.unlink(missing_ok=True)
        write_json(self.folder / "run.json", {"attempt": attempt})


def execute(config: dict[str, Any], arguments: Any) -> int:
    """The command `run`, after its words were found to be right."""
    if config["tracking"]["uri"]:
        check_uri(config["tracking"]["uri"])
    run = Run(Plan(config))
    run.plan.check_data()
    if arguments.dry_run:
        from medbench.plan_view import show_plan

        return show_plan(run, as_json=arguments.json)
    settings = TrainerSettings(**{k: v for k, v in config["trainer"].items() if k != "name"})
    from medbench.processes import relaunch

    status = relaunch(settings)
    if status is not None:
        return status
    check_writable(run.plan.out)
    if run.is_finished and not config["fresh"]:
        status = _show(run, arguments.json, finished_before=True)
        _deliver(run)
        return status
    with _signals(), _alone(run):
        _work(run, settings, arguments)
    return _show(run, arguments.json, finished_before=False)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGINT and SIGTERM end the command where it stands; what is on disk is whole."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Interrupted(signum)

    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def _alone(run: Run) -> Iterator[None]:
    """One process works on a run; a second one is told which."""
    from medbench.processes import rank

    if rank() > 0:
        yield
        return
    with locked(run.folder / "lock") as holder:
        if holder is not None:
            raise UserError(
                f"This run is held by {holder}. Wait for it, stop it, or change a setting; "
                f"its folder is {run.folder}."
            )
        yield


def _work(run: Run, settings: TrainerSettings, arguments: Any) -> None:
    """Everything that needs torch."""
    print("loading torch and lightning ...", file=sys.stderr, flush=True)
    from medbench import processes
    from medbench.ahead import helped
    from medbench.fitting import fit_all
    from medbench.generation import generate
    from medbench.machine import choose_machine
    from medbench.measuring import measure_run
    from medbench.provenance import describe_machine, quiet_libraries
    from medbench.report.build import build_report

    quiet_libraries()
    machine = choose_machine(settings)
    processes.join(machine)
    config, began = run.plan.config, time.time()
    if machine.is_first:
        if config["fresh"]:
            run.forget()
        elif not (run.folder / "run.json").exists():
            write_json(run.folder / "run.json", {"attempt": 1})
        write_text(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
        print(machine.say(), flush=True)
    provenance = describe_machine(machine)
    with _tracked(run, machine.is_first, provenance) as tracker:
        with helped(run.plan, machine, arguments.again(), run.folder):
            stages = fit_all(run.plan, machine, tracker.metrics)
        seconds = generate(run.plan, machine, run.samples, provenance | {"run": run.fingerprint})
        if machine.is_first:
            values = measure_run(run, machine)
            provenance |= {"seconds": round(time.time() - began, 1), "generation_s": seconds}
            write_json(run.result, _result(run, stages, values, provenance))
            report = build_report(run.folder)
            mark_complete(run.folder)
            _record(run, tracker, report)
    processes.wait()
    processes.leave()


@contextlib.contextmanager
def _tracked(run: Run, is_first: bool, provenance: dict[str, Any]) -> Iterator[Any]:
    """The tracked run, closed with the status that the work ends with."""
    from medbench.tracking import open_tracker

    config = run.plan.config
    tags = {
        "medbench.run": run.fingerprint,
        "medbench.attempt": str(run.attempt()) if is_first else "0",
        "medbench.method": config["method"],
        "medbench.data": config["data"]["name"],
        "medbench.data_fingerprint": run.plan.data(None).fingerprint("train"),
        "medbench.protocol": config["protocol"]["name"],
        "medbench.config": fingerprint(identity(config)),
        "medbench.git": str(provenance["git"]),
    }
    enabled = config["tracking"]["enabled"] and is_first
    tracker = open_tracker(config["tracking"], run.plan.out, run.folder, tags, enabled)
    status = "FAILED"
    try:
        tracker.params(_flat(config))
        tracker.artifact(run.folder / "config.yaml")
        yield tracker
        status = "FINISHED"
    except Interrupted:
        status = "KILLED"
        raise
    finally:
        tracker.close(status)


def _deliver(run: Run) -> None:
    """Send what earlier runs could not; a run that works does so when it ends."""
    from medbench.processes import rank

    tracking = run.plan.config["tracking"]
    if tracking["enabled"] and rank() == 0:
        deliver(run.plan.out, tracking["uri"])


def _record(run: Run, tracker: Any, report: Path) -> None:
    """The result's values and files in the tracked run."""
    result = read_json(run.result)
    values = {f"bench/{v['name']}": v["value"] for v in result["values"] if v["value"] is not None}
    tracker.metrics(values, 0)
    tracker.artifact(run.result)
    shown = (report, run.samples / "manifest.jsonl")  # these hold reports and images
    if not _may_leave(run):
        return
    for path in shown:
        tracker.artifact(path)


def _may_leave(run: Run) -> bool:
    """Whether the store may have texts and images: not those of restricted data, elsewhere."""
    from medbench.tracking import is_here

    tracking, restricted = run.plan.config["tracking"], run.plan.restricted
    if not restricted or tracking["restricted"] or is_here(tracking["uri"]):
        return True
    if tracking["enabled"]:
        print(
            f"report.html and manifest.jsonl stay on this machine: {', '.join(restricted)} is "
            "restricted, and they hold its texts and images. If your agreement allows it, "
            "tracking.restricted=true sends them to the store.",
            flush=True,
        )
    return False


def _result(
    run: Run, stages: list[dict[str, Any]], values: list[dict[str, Any]], provenance: dict[str, Any]
) -> dict[str, Any]:
    config = run.plan.config
    own = set(references(run.plan.pipeline))
    for stage in run.plan.stages:  # what the pipeline needs, as against what only measures
        if f"stage:{stage.name}" in own:
            own |= set(stage.upstream)
    untrained = [s["name"] for s in stages if s["untrained"] and f"stage:{s['name']}" in own]
    return {
        "version": 1,
        "row": config["method"] + (f" ({config['variant']})" if config["variant"] else ""),
        "method": config["method"],
        "variant": config["variant"],
        "run": run.fingerprint,
        "attempt": run.attempt(),
        "settings": fingerprint(identity(config) | {"seed": None}),
        "seed": config["seed"],
        "scale": config["scale"],
        "data": {"name": config["data"]["name"], "train": run.plan.data(None).fingerprint("train")},
        "protocol": config["protocol"]["name"],
        "phantom": run.plan.data(None).module.phantom,
        "untrained": untrained,
        "sampling": config["sampling"],
        "stages": stages,
        "provenance": provenance,
        "values": values,
    }


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            flat |= _flat(inner, f"{prefix}{name}.")
        else:
            flat[prefix + name] = inner
    return flat


def _show(run: Run, as_json: bool, finished_before: bool) -> int:
    """What a finished run found: the leaderboard's table, and where the page is."""
    from medbench.processes import rank

    if rank() > 0:
        return 0
    result = read_json(run.result)
    if as_json:
        print(json.dumps(result, indent=1))
        return 0
    from medbench.leaderboard import print_run

    if finished_before:
        print(
            f"This run is finished ({run.folder.name}); its result is shown again. "
            "fresh=true generates and measures anew."
        )
    print_run(result, run.plan.out)
    print(f"\nreport: {run.folder / 'report.html'}")
    return 0
