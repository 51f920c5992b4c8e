"""The examples of the documentation, typed as they stand, in a folder outside the repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
FILE = re.compile(r"File `([\w./]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```bash\n(.*?)```", re.DOTALL)
# What makes the same commands end within seconds: fewer steps, fewer samples.
TOY = ("tracking.enabled=false", "trainer=cpu", "trainer.workers=0")
TOY += tuple(
    f"{stage}.{setting}=4"
    for stage in ("stages.vae", "backbones.colonoscopy_judge")
    for setting in ("steps", "batch_size", "val_samples")
)
PROTOCOL = """
modality: colonoscopy
resolution: 64
arms:
  prompts: {keys: [text], requests: {split: test, n: 26, balance: template}}
reals:
  reference: {split: test, n: 26, balance: template}
extractors:
  judge: {stage: stage:colonoscopy_judge, size: 64}
metrics:
  - {metric: fid, arm: prompts, real: reference, extractor: judge}
"""


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both examples in one folder, since the second uses the method of the first."""
    folder = tmp_path_factory.mktemp("mine")
    for page in ("add-a-method.md", "add-a-dataset.md"):
        write_files(page, folder)
    (folder / "protocols/toy.yaml").write_text(PROTOCOL)
    return folder


def test_a_method_of_ones_own(folder: Path) -> None:
    (run,) = commands("add-a-method.md")
    assert "report.html" in type_in(folder, run, *TOY, "protocol=toy")
    assert list(folder.glob("outputs/runs/tiny_vae-*/result.json"))


def test_a_dataset_of_ones_own(folder: Path) -> None:
    make, listing, run = commands("add-a-dataset.md")
    type_in(folder, make)
    assert "findings" in type_in(folder, listing)
    assert "report.html" in type_in(folder, run, *TOY)
