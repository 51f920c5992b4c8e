"""Progression texts: rules, a file, and a text model that only this machine may be."""

import json
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from datamodules.progression import INSTRUCTION, Pair, check_address, make_writer
from datamodules.progression_rules import UNCHANGED, describe_change
from medbench.core.errors import UserError

PAIR = Pair("50000002", "50000001", "1. Small left effusion.", "Discussed with ___. No effusion.")


@pytest.mark.parametrize(
    ("prior", "later", "said"),
    [
        ("Small left effusion.", "No effusion.", "Left pleural effusion has resolved."),
        ("No effusion.", "Small left effusion.", "New small left pleural effusion."),
        ("Small left effusion.", "Small left effusion.", UNCHANGED),
        ("Edema.", "Clear lungs.", UNCHANGED),  # nothing is said of it
        ("", "", UNCHANGED),
        ("Mild edema.", "Severe edema.", "Severe pulmonary edema has increased."),
        ("Severe edema.", "Edema improved, now mild.", "Mild pulmonary edema has decreased."),
        ("Clear.", "Tortuous aorta. Stable left effusion.", UNCHANGED),
        (
            "Left effusion.",
            "Bilateral effusions. New right apical pneumothorax. Possible pneumonia.",
            "New possible pneumonia. New right pneumothorax at the apex. "
            "Bilateral pleural effusion has increased.",
        ),
        (
            "Left pneumothorax. Right effusion and mild edema.",
            "The left pneumothorax has resolved. Right effusion has increased. Mild edema.",
            "Right pleural effusion has increased. Left pneumothorax has resolved. "
            "Mild pulmonary edema persists.",
        ),
        (
            "History of pneumonia.",
            "Moderate pneumonia in the right lower lobe.",
            "New moderate right pneumonia in the lower lobe.",
        ),
    ],
)
def test_rules(prior: str, later: str, said: str) -> None:
    assert describe_change(prior, later) == said


def test_impression_and_rules_clean_the_text() -> None:
    assert make_writer("impression")(PAIR) == "No effusion."
    assert make_writer("rules")(PAIR) == "Left pleural effusion has resolved."


def test_file_of_answers(tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    table.write_text("study_id_prior,study_id,progression\n50000002,50000001,The fluid is gone.\n")
    writer = make_writer("file", file=str(table))
    assert pickle.loads(pickle.dumps(writer))(PAIR) == "The fluid is gone."
    with pytest.raises(UserError, match="no progression from study 50000001 to 50000002"):
        writer(Pair("50000001", "50000002", "", ""))
    table.write_text(table.read_text() + "50000002,50000001,It stays.\n")
    with pytest.raises(UserError, match="row 3: 50000002 to 50000001 stands twice"):
        make_writer("file", file=str(table))
    table.write_text("study_id_prior,study_id,progression\n50000002,50000001,\n")
    with pytest.raises(UserError, match="row 2: the progression is empty"):
        make_writer("file", file=str(table))
    with pytest.raises(UserError, match="needs the file"):
        make_writer("file")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/v1/chat/completions",
        "http://10.0.0.1:8000/v1",
        "http://127.0.0.1.example.org/v1",
        "http://127.0.0.1@example.org/v1",
        "http://localhost.example.org/v1",
        "http://0.0.0.0:8000/v1",
    ],
)
def test_address_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="may not leave it without an agreement"):
        make_writer("model", url=url)
    assert check_address(url, allow_remote=True) == url


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]:8000", "localhost:8000", "127.1.2.3"])
def test_loopback_is_allowed(host: str) -> None:
    assert check_address(f"http://{host}/v1").endswith("/v1")


@pytest.mark.parametrize("url", [None, "", "file:///etc/hosts", "127.0.0.1:8000"])
def test_address_must_be_one(url: str | None) -> None:
    with pytest.raises(UserError, match="url"):
        make_writer("model", url=url)


@contextmanager
def server(status: int, answer: bytes, location: str = "") -> Iterator[tuple[str, list[dict]]]:
    """A service on loopback that answers everything alike, and what it was asked."""
    asked: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    service = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{service.server_port}/v1/chat/completions", asked
    finally:
        service.shutdown()
        service.server_close()


def test_model_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy would refuse the connection
    reply = json.dumps({"choices": [{"message": {"content": " The effusion\nis gone. "}}]})
    with server(200, reply.encode()) as (url, asked):
        assert make_writer("model", url=url, model="tiny")(PAIR) == "The effusion is gone."
    content = asked[0]["messages"][0]["content"]
    assert asked[0]["model"] == "tiny" and asked[0]["temperature"] == 0
    assert content.startswith(INSTRUCTION)
    assert content.endswith("First study: Small left effusion.\n\nSecond study: No effusion.")


@pytest.mark.parametrize(
    ("status", "answer", "location", "message"),
    [
        (200, b"no json", "", "not JSON"),
        (200, b"{}", "", "not with choices"),
        (200, b'{"choices": [{"message": {"content": ""}}]}', "", "empty text"),
        (500, b"", "", "does not answer"),
        (302, b"", "http://example.org/", "not sent after it"),
    ],
)
def test_model_that_fails(status: int, answer: bytes, location: str, message: str) -> None:
    with server(status, answer, location) as (url, _):
        writer = make_writer("model", url=url)
        with pytest.raises(UserError, match=message):
            writer(PAIR)


def test_model_that_is_not_there() -> None:
    with server(200, b"") as (url, _):
        pass
    with pytest.raises(UserError, match=r"does not answer \(.*Connection refused"):
        make_writer("model", url=url)(PAIR)
