"""Names by content: equal values have equal fingerprints, on every machine."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LENGTH = 16


def canonical(value: Any) -> str:
    """JSON with sorted keys; refuses what has no single spelling (NaN, sets, objects)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:LENGTH]


def hash_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:LENGTH]


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:LENGTH]


def hash_files(root: Path, paths: Iterable[Path], content: bool) -> str:
    """Relative path and size of each file, and its content where asked."""
    return fingerprint(
        [
            [p.relative_to(root).as_posix(), p.stat().st_size, hash_file(p) if content else None]
            for p in sorted(paths)
        ]
    )
