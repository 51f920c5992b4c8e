"""How the layouts of MIMIC write a table."""

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from pathlib import Path


def save(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as CSV, or CSV.GZ by its name."""
    buffer = io.StringIO(newline="")
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    data = buffer.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
