"""Texts and images of restricted data stay on this machine, unless the user says otherwise."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from medbench.execution import Run, _record
from medbench.tracking import is_here

AWAY = "http://store.example:5000"
ALL = ["result.json", "report.html", "manifest.jsonl"]


@pytest.mark.parametrize(
    ("uri", "here"),
    [
        (None, True),
        ("sqlite:////data/mlflow.db", True),
        ("http://127.0.0.1:5000", True),
        ("http://[::1]:5000", True),
        ("http://localhost:5000", True),
        ("http://localhost.example:5000", False),
        (AWAY, False),
        ("postgresql://me:word@10.0.0.5/name", False),
        ("databricks", False),
    ],
)
def test_which_store_is_on_this_machine(uri: str | None, here: bool) -> None:
    assert is_here(uri) == here


@pytest.mark.parametrize(
    ("names", "uri", "agreed", "sent"),
    [
        (["mimic_cxr_jpg"], AWAY, False, ["result.json"]),
        (["mimic_cxr_jpg"], AWAY, True, ALL),
        (["mimic_cxr_jpg"], None, False, ALL),
        ([], AWAY, False, ALL),
    ],
)
def test_what_a_run_sends_to_its_store(
    names: list[str],
    uri: str | None,
    agreed: bool,
    sent: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result, kept = tmp_path / "result.json", []
    result.write_text(json.dumps({"values": []}))
    tracking: dict[str, Any] = {"uri": uri, "enabled": True, "restricted": agreed}
    plan = SimpleNamespace(restricted=names, config={"tracking": tracking})
    tracker = SimpleNamespace(metrics=lambda *_: None, artifact=lambda path: kept.append(path.name))
    run = cast(Run, SimpleNamespace(plan=plan, result=result, samples=tmp_path / "samples"))
    _record(run, tracker, tmp_path / "report.html")
    assert kept == sent
    assert ("tracking.restricted=true" in capsys.readouterr().out) == (sent != ALL)
