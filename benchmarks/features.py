"""One pass over a source with one extractor; of real sets, kept by content."""

import json
import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.extractors import Extractor, resized
from benchmarks.sources import Source
from medbench.core.errors import UserError
from medbench.core.files import atomic_path, write_text
from medbench.core.fingerprint import fingerprint, hash_file
from medbench.core.progress import Progress

VERSION = 1  # of the cache's layout
BATCH, THREADS, AHEAD = 64, 4, 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extracted:
    """What a pass leaves: everything that any metric asks of a source."""

    features: np.ndarray  # (n, d) float32, perhaps memory-mapped
    scores: np.ndarray  # (n, K) float32 in [0, 1]
    subjects: list[str]
    texts: list[str] | None  # None where the samples have none


def extract(
    source: Source, extractor: Extractor, resolution: int, label: str, quiet: bool = False
) -> Extracted:
    """Decode in threads, in order; every image goes through the network exactly once."""
    features, scores, subjects = [], [], []
    texts: list[str | None] = []
    with Progress(label, len(source.samples), unit="image", quiet=quiet) as progress:
        for samples in _batches(source, extractor, resolution):
            found = extractor.extract(np.stack([image for image, _ in samples]))
            features.append(found[0])
            scores.append(found[1])
            subjects += [str(about["subject_id"]) for _, about in samples]
            texts += [about.get("text") for _, about in samples]
            progress.update(len(samples))
    whole = Extracted(
        np.concatenate(features),
        np.concatenate(scores),
        subjects,
        None if any(text is None for text in texts) else [str(text) for text in texts],
    )
    if not np.isfinite(whole.features).all():
        bad = int(np.flatnonzero(~np.isfinite(whole.features).all(1))[0])
        name = source.samples[bad]["sample_id"]
        raise UserError(f"{label}: the features of {name} are not finite numbers.")
    return whole


def cached(
    source: Source,
    extractor: Extractor,
    resolution: int,
    cache: Path,
    label: str,
    quiet: bool = False,
) -> Extracted:
    """The same, read from `cache` where it is known for this content and this extractor."""
    key = fingerprint([VERSION, source.fingerprint, extractor.fingerprint, resolution])
    known = _read(cache, key, len(source.samples))
    if known is not None:
        return known
    found = extract(source, extractor, resolution, label, quiet)
    _write(cache, key, found)
    return found


def _batches(
    source: Source, extractor: Extractor, resolution: int
) -> Iterator[list[tuple[np.ndarray, dict[str, Any]]]]:
    load = partial(_load, source, extractor, resolution)
    waiting: deque[list[Future[tuple[np.ndarray, dict[str, Any]]]]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for start in range(0, len(source.samples), BATCH):
                rows = range(start, min(start + BATCH, len(source.samples)))
                waiting.append([pool.submit(load, row) for row in rows])
                if len(waiting) > AHEAD:
                    yield [future.result() for future in waiting.popleft()]
            while waiting:
                yield [future.result() for future in waiting.popleft()]
        finally:
            pool.shutdown(cancel_futures=True)


def _load(
    source: Source, extractor: Extractor, resolution: int, row: int
) -> tuple[np.ndarray, dict[str, Any]]:
    sample = source.samples[row]
    image = sample["image"]
    if image.ndim != 3 or image.shape[0] != extractor.channels:
        raise UserError(
            f"The image {sample['sample_id']} has the shape {image.shape}; the extractor takes "
            f"({extractor.channels}, height, width). Is it of another modality?"
        )
    if not np.isfinite(image).all():
        raise UserError(f"The image {sample['sample_id']} holds values that are not finite.")
    about = {name: value for name, value in sample.items() if name in ("subject_id", "text")}
    return extractor.prepare(resized(image, resolution)), about


def _read(cache: Path, key: str, n: int) -> Extracted | None:
    """A cache entry, or None if there is none or it is damaged."""
    about, array = cache / f"{key}.json", cache / f"{key}.npy"
    if not about.exists():
        return None
    try:
        entry = json.loads(about.read_text(encoding="utf-8"))
        if hash_file(array) != entry["hash"]:
            raise ValueError("the content is not what was written")
        both = np.load(array, mmap_mode="r", allow_pickle=False)
        if len(both) != n or len(entry["subjects"]) != n:
            raise ValueError(f"it holds {len(both)} of {n} images")
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("The cached features %s are damaged (%s); they are made again.", array, error)
        return None
    width = entry["features"]
    return Extracted(both[:, :width], both[:, width:], entry["subjects"], entry["texts"])


def _write(cache: Path, key: str, found: Extracted) -> None:
    """Features and scores side by side in one array; the description, last, makes it count."""
    both = np.concatenate([found.features, found.scores], axis=1).astype(np.float32)
    with atomic_path(cache / f"{key}.npy") as temporary, temporary.open("wb") as file:
        np.save(file, both)
    entry = {
        "hash": hash_file(cache / f"{key}.npy"),
        "features": found.features.shape[1],
        "subjects": found.subjects,
        "texts": found.texts,
    }
    write_text(cache / f"{key}.json", json.dumps(entry, ensure_ascii=False))
