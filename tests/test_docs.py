"""The examples of the documentation, typed as they stand, in a folder outside the repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
FILE = re.compile(r"File `([\w./]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```bash\n(.*?)```", re.DOTALL)
# The same commands in seconds: few steps of every stage, few samples.
TOY: tuple[str, ...] = ()


def write_files(page: str, folder: Path) -> None:
    for name, text in FILE.findall((DOCS / page).read_text(encoding="utf-8")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def commands(page: str) -> list[str]:
    blocks = COMMANDS.findall((DOCS / page).read_text(encoding="utf-8"))
    return [line for block in blocks for line in block.splitlines() if line]


def type_in(folder: Path, command: str, *more: str) -> str:
    """Run one line of a page with this Python; what it printed."""
    python, *words = command.split()
    assert python == "python"
    ended = subprocess.run(
        [sys.executable, *words, *more],
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout + ended.stderr


def test_a_method_of_ones_own(tmp_path: Path) -> None:
    write_files("add-a-method.md", tmp_path)
    plan, run = commands("add-a-method.md")
    assert "tiny_vae.vae" in type_in(tmp_path, plan, *TOY)
    assert "report.html" in type_in(tmp_path, run, *TOY)
    assert list((tmp_path / "outputs/runs").glob("tiny_vae-*/result.json"))


def test_a_dataset_of_ones_own(tmp_path: Path) -> None:
    write_files("add-a-dataset.md", tmp_path)
    write_files("add-a-method.md", tmp_path)
    make, listing, plan = commands("add-a-dataset.md")
    type_in(tmp_path, make)
    assert "captioned" in type_in(tmp_path, listing)
    assert "captioned" in type_in(tmp_path, plan)
