"""The command line: options, help and lists without torch, and how commands end."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medbench.cli import COMMANDS, dispatch, finish, help_text, list_text, parse
from medbench.core.errors import Interrupted, UserError
from medbench.library import LISTED, Library
from medbench.run import main

TOYS = str(Path(__file__).parent / "toy_configs")
HEAVY = ("torch", "numpy", "lightning", "mlflow", "scipy")


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a --config-dir adds to sys.path is gone after the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_options_and_words_stand_in_any_order() -> None:
    found = parse(["--json", "method=a", "--config-dir", "x", "--dry-run", "b=1", "--config-dir=y"])
    assert found.words == ["method=a", "b=1"] and found.config_dirs == ["x", "y"]
    assert found.json and found.dry_run and not found.help and found.list is None
    assert parse(["--list"]).list == "all" and parse(["--list", "data"]).list == "data"
    assert parse(["--list", "method=a"]).words == ["method=a"]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--dryrun"], "--dryrun is not known; did you mean --dry-run?"),
        (["--list", "method"], "--list method is not known; did you mean methods?"),
        (["--config-dir"], "--config-dir needs a folder"),
        (["--verbosely"], "options are --help"),
    ],
)
def test_wrong_options_are_named(argv: list[str], text: str) -> None:
    with pytest.raises(UserError) as error:
        parse(argv)
    assert text in str(error.value)


def test_lists_hold_every_file_with_what_it_says() -> None:
    library = Library([TOYS])
    text = list_text("all", library)
    assert all(f"{group}:" in text for group in LISTED)
    assert "toy_masked" in text and "A toy that stands on another" in text
    assert json.loads(list_text("data", library, as_json=True))["data"]["toy_files"] == (
        "Files with masks."
    )


def test_metrics_are_listed_with_what_they_say() -> None:
    text = list_text(parse(["--list", "metrics"]).list or "", Library())
    assert "fid " in text and "how far apart two sets of features are" in text


def test_help_holds_settings_and_the_keys_of_a_method() -> None:
    text = help_text(["method=toy"], Library([TOYS]))
    for part in ('scale    one of tiny, paper = "tiny"', "trainer.threads", "examples:", "no_text"):
        assert part in text, part
    keys = [line.split() for line in text.splitlines()]
    assert ["stages.denoiser.kind", '"round"'] in keys
    assert ["stages.denoiser.width", "8", "#", "channels"] in keys


def test_print_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config-dir", TOYS, "method=toy", "--print-config"]) == 0
    assert "widths:\n    - 8\n    - 16" in capsys.readouterr().out
    assert main(["--config-dir", TOYS, "method=toy", "--print-config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"]["denoiser"]["width"] == 8


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("one thing.", "another."), 2),
        (Interrupted(signal.SIGINT), 130),
        (Interrupted(signal.SIGTERM), 143),
        (KeyboardInterrupt(), 130),
    ],
)
def test_how_commands_end(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(argv: list[str]) -> int:
        raise error

    assert finish(command, []) == status
    said = capsys.readouterr().err
    assert "Traceback" not in said and len(said.strip().splitlines()) == (2 if status == 2 else 1)


def test_a_bug_keeps_its_traceback() -> None:
    def command(argv: list[str]) -> int:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        finish(command, [])


def test_medbench_knows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch([]) == 0
    assert "usage: medbench COMMAND" in capsys.readouterr().out
    with pytest.raises(UserError, match="did you mean leaderboard"):
        dispatch(["leaderbord"])
    assert dispatch(["run", "--list", "trainers"]) == 0
    assert "slurm" in capsys.readouterr().out
    assert set(COMMANDS) >= {"run", "evaluate", "leaderboard", "doctor"}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("--help method=toy", 0),
        ("--list", 0),
        ("method=toy --print-config", 0),
        ("method=toy stages.denoiser.widht=3", 2),
        ("method=tyo", 2),
    ],
)
def test_what_needs_no_torch_imports_none(words: str, status: int) -> None:
    code = (
        "import sys; from medbench.cli import finish; from medbench.run import main; "
        f"status = finish(main, ['--config-dir', {TOYS!r}, *{words.split()!r}]); "
        f"print([m for m in {HEAVY!r} if m in sys.modules], status)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(f"{words}: {time.monotonic() - began:.2f} s")
    assert done.stdout.splitlines()[-1] == f"[] {status}"
    assert bool(done.stderr) == (status == 2)
