"""The examples of the documentation, typed as they stand, in a folder outside the repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
FILE = re.compile(r"File `([\w./]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```bash\n(.*?)```", re.DOTALL)
# What makes the same commands end within seconds: fewer steps, fewer samples.
FEW_STEPS = ("stages.vae.steps=4", "stages.vae.batch_size=4", "backbones.colonoscopy_judge.steps=4")
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


def test_a_method_of_ones_own(tmp_path: Path) -> None:
    write_files("add-a-method.md", tmp_path)
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols/toy.yaml").write_text(PROTOCOL)
    plan, run = commands("add-a-method.md")
    assert "tiny_vae.vae" in type_in(tmp_path, plan)
    assert "report.html" in type_in(tmp_path, run, *FEW_STEPS, "protocol=toy")
    assert list((tmp_path / "outputs/runs").glob("tiny_vae-*/result.json"))


def test_a_dataset_of_ones_own(tmp_path: Path) -> None:
    write_files("add-a-dataset.md", tmp_path)
    write_files("add-a-method.md", tmp_path)
    make, listing, run = commands("add-a-dataset.md")
    type_in(tmp_path, make)
    assert "findings" in type_in(tmp_path, listing)
    assert "report.html" in type_in(tmp_path, run, *FEW_STEPS)
