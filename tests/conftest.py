"""The same world for every test: no network, no GPU, one thread, nothing left in the repository."""

import os
import sys
from pathlib import Path

import pytest

GUARD = Path(__file__).parent / "guard"

# Set before anything imports torch, and inherited by every process that a test starts.
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "PYTHONPATH": os.pathsep.join(filter(None, [str(GUARD), os.environ.get("PYTHONPATH")])),
}
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
for name in [name for name in os.environ if name.startswith(("MLFLOW_TRACKING", "MEDBENCH_"))]:
    del os.environ[name]  # a user's own server must not receive what tests record

sys.path.insert(0, str(GUARD))
import guard  # noqa: E402

guard.install()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A fresh folder for `out=`."""
    return tmp_path / "out"
