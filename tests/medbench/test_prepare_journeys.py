"""BiomedJourney's pairs as a user prepares them: registered, then described by a text model."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import mimic_journeys
from datamodules.mimic_journeys import MimicJourneys
from datamodules.phantom.writing import write_layout
from medbench.cli import finish
from medbench.doctor import main as doctor
from medbench.prepare import main as prepare

ANSWER = "The effusion is larger."


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("journeys") / "root"
    return write_layout("mimic_cxr_jpg", dest, 90, size=32)


@pytest.fixture
def fits_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a registration, which takes a second a pair, one that finds no move."""

    def maker(read: Callable, settings: dict[str, Any]) -> Callable[[str], dict[str, np.ndarray]]:
        found = {"matrix": np.eye(2, 3), "score": 0.9, "outside": 0.0, "tries": 1}
        return lambda key: {name: np.asarray(value) for name, value in found.items()}

    monkeypatch.setattr(mimic_journeys, "pair_maker", maker)


@pytest.fixture
def model() -> Iterator[tuple[str, list[str]]]:
    """A text model on loopback, and what it was asked."""
    asked: list[str] = []
    reply = json.dumps({"choices": [{"message": {"content": ANSWER}}]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    service = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{service.server_port}/v1/chat/completions", asked
    service.shutdown()
    service.server_close()


def words(root: Path, out: Path, *more: str) -> list[str]:
    settings = ("data=mimic_journeys", f"data.root={root}", "data.image_size=32", f"out={out}")
    return [*settings, *more]


def test_pairs_are_registered_then_described(
    root: Path,
    out: Path,
    fits_at_once: None,
    model: tuple[str, list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, asked = model
    assert doctor(words(root, out)) == 1
    said = capsys.readouterr().out
    assert "must be registered once" in said and "data.prepared=outputs/prepared" in said
    assert prepare(words(root, out, "workers=1")) == 0
    said = capsys.readouterr().out
    assert "pairs to be registered" in said and f"use it: data.prepared={out}/prepared" in said
    given = [f"data.prepared={out}/prepared"]
    assert doctor(words(root, out, *given)) == 0
    assert "with a score of 0.600 or more (0 failed)" in capsys.readouterr().out

    given += ["data.progression=model", f"data.model_url={url}"]
    assert doctor(words(root, out, *given)) == 1
    said = capsys.readouterr().out
    assert "holds no progression-" in said and "prepare=progression" in said
    assert not asked
    assert prepare(words(root, out, *given, "prepare=progression", "workers=1")) == 0
    assert doctor(words(root, out, *given)) == 0
    module = MimicJourneys(
        str(root), 32, prepared=f"{out}/prepared", progression="model", model_url=url
    )
    texts = [split[i]["text"] for split in map(module._journeys, module.splits)
             for i in range(len(split))]  # fmt: skip
    assert texts and set(texts) == {ANSWER} and len(asked) == len(texts)


def test_no_report_is_sent_to_another_machine(
    root: Path,
    out: Path,
    fits_at_once: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []

    def send(self: object, request: urllib.request.Request, timeout: float) -> None:
        sent.append(request.full_url)
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", send)
    away = ["data.progression=model", "data.model_url=http://model.example/v1/chat/completions"]
    assert prepare(words(root, out, "workers=1")) == 0
    given = words(root, out, *away, f"data.prepared={out}/prepared", "prepare=progression")
    assert finish(prepare, given) == 2
    said = capsys.readouterr().err
    assert "is not on this machine" in said and "allow_remote=true" in said
    assert not sent
    assert finish(prepare, [*given, "data.allow_remote=true", "workers=1"]) == 2
    assert "does not answer (no network)" in capsys.readouterr().err
    assert set(sent) == {"http://model.example/v1/chat/completions"}
