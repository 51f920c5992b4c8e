"""Methods and data outside the packages, as a user's own would stand in `--config-dir`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "outside"))
