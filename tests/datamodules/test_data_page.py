"""The commands of docs/data.md, typed as they stand."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def test_the_commands_of_the_page_work(tmp_path: Path) -> None:
    [block] = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    said = []
    for line in block.splitlines():
        command = [sys.executable, *line.split()[1:]]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
        said.append(ended.stdout)
    assert "drawn by a phantom" in said[1] and "This dataset can be used" in said[1]
    assert "use it: data.prepared=" in said[2] and said[3].rstrip().endswith("was decoded.")
