"""The guard itself: what it stops, in this process and in one that a test starts."""

import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 80))",
        "open('litter.txt', 'w')",
        "import os; os.mkdir('litter')",
        "import sqlite3; sqlite3.connect('litter.db')",
    ],
)
def test_a_process_of_a_test_is_guarded(code: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert "Forbidden: A test" in ended.stderr
    assert ended.returncode == 1


def test_this_process_is_guarded() -> None:
    with pytest.raises(RuntimeError, match="tests have no network"):
        socket.create_connection(("192.0.2.1", 80), 1)
    with pytest.raises(RuntimeError, match="tests write to tmp_path"):
        (REPOSITORY / "litter.txt").write_text("")


def test_loopback_and_unix_sockets_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), 1).close()
        socket.create_connection(("localhost", server.getsockname()[1]), 1).close()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a Unix socket's path has at most 107 characters
        server.bind("s")
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("s")
    sqlite3.connect(":memory:").close()
