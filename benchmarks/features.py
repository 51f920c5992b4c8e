"""One pass over a source for all extractors that need it; of real sets, kept by content."""

import json
import logging
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.extractors import Extractor
from benchmarks.images import resized, resized_volume
from benchmarks.sources import Source
from medbench.core.errors import UserError
from medbench.core.files import atomic_path, write_text
from medbench.core.fingerprint import fingerprint, hash_file
from medbench.core.progress import Progress

VERSION = 2  # of the cache's layout
BATCH, CPU_BATCH, THREADS, AHEAD = 64, 8, 4, 2  # a CPU is as fast with 8 as with 16, in less memory
DARK = 0.2  # width of the grey values of a whole set that is suspiciously small
ABOUT = ("sample_id", "subject_id", "text", "labels", "label_names", "age", "race", "meta")
Loaded = tuple[list[np.ndarray], dict[str, Any]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extracted:
    """What a pass leaves: everything that any metric asks of a source."""

    features: np.ndarray  # (n, d) float32, perhaps memory-mapped
    scores: np.ndarray  # (n, K) float32 in [0, 1]
    rows: list[dict[str, Any]]  # each sample without its arrays

    @property
    def subjects(self) -> list[str]:
        return [str(row["subject_id"]) for row in self.rows]

    @property
    def texts(self) -> list[str] | None:
        """None where the samples have none."""
        texts = [row.get("text") for row in self.rows]
        return None if any(text is None for text in texts) else [str(text) for text in texts]


def extract(
    source: Source,
    extractors: Mapping[str, Extractor],
    resolution: int,
    folder: Path,
    label: str,
    quiet: bool = False,
) -> dict[str, Extracted]:
    """Decode in threads, in order; every image goes through each network exactly once.

    Features are written to files under `folder` as they come, so that memory stays flat."""
    n = len(source.samples)
    written: dict[str, Any] = {}
    widths: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    with Progress(label, n, unit="image", quiet=quiet) as progress:
        for images, about in _batches(source, extractors, resolution):
            for (name, extractor), batch in zip(extractors.items(), images, strict=True):
                features, scores = extractor.extract(batch)
                both = np.concatenate([features, scores], axis=1).astype(np.float32)
                if name not in written:
                    file = folder / f"{fingerprint([label, name, source.fingerprint])}.npy"
                    shape = (n, both.shape[1])
                    written[name] = np.lib.format.open_memmap(file, "w+", np.float32, shape)
                    widths[name] = features.shape[1]
                if not np.isfinite(both).all():
                    bad = about[int(np.flatnonzero(~np.isfinite(both).all(1))[0])]
                    raise UserError(
                        f"{label}: the features of {bad['sample_id']} are not finite numbers."
                    )
                written[name][len(rows) : len(rows) + len(both)] = both
            rows += about
            progress.update(len(about))
    return {
        name: Extracted(both[:, : widths[name]], both[:, widths[name] :], rows)
        for name, both in written.items()
    }


def cached(
    source: Source,
    extractors: Mapping[str, Extractor],
    resolution: int,
    cache: Path,
    label: str,
    quiet: bool = False,
) -> dict[str, Extracted]:
    """The same, read from `cache` where it is known for this content and these extractors."""
    keys = {
        name: fingerprint([source.fingerprint, extractor.fingerprint, resolution])
        for name, extractor in extractors.items()
    }
    found = {name: _read(cache, key, len(source.samples)) for name, key in keys.items()}
    unknown = {name: extractors[name] for name, known in found.items() if known is None}
    if unknown:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".pass-") as folder:
            made = extract(source, unknown, resolution, Path(folder), label, quiet)
            for name, one in made.items():
                _write(cache, keys[name], one)
    for name in unknown:
        found[name] = _read(cache, keys[name], len(source.samples))
    return {name: one for name, one in found.items() if one is not None}


def _batches(
    source: Source, extractors: Mapping[str, Extractor], resolution: int
) -> Iterator[tuple[list[np.ndarray], list[dict[str, Any]]]]:
    """For each batch, one array for each extractor, and what is known of the samples."""
    load = partial(_load, source, extractors, resolution)
    waiting: deque[list[Future[Loaded]]] = deque()

    def ready() -> tuple[list[np.ndarray], list[dict[str, Any]]]:
        loaded = [future.result() for future in waiting.popleft()]
        images = [np.stack(parts) for parts in zip(*(images for images, _ in loaded), strict=True)]
        return images, [about for _, about in loaded]

    on_cpu = all(getattr(e, "device", "cpu") == "cpu" for e in extractors.values())
    volumes = any(getattr(e, "dimensions", 2) == 3 for e in extractors.values())
    size = 1 if volumes else CPU_BATCH if on_cpu else BATCH
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for start in range(0, len(source.samples), size):
                rows = range(start, min(start + size, len(source.samples)))
                waiting.append([pool.submit(load, row) for row in rows])
                if len(waiting) > AHEAD:
                    yield ready()
            while waiting:
                yield ready()
        finally:
            pool.shutdown(cancel_futures=True)


def _load(source: Source, extractors: Mapping[str, Extractor], resolution: int, row: int) -> Loaded:
    sample = source.samples[row]
    image = check_image(sample)
    prepared = []
    for name, extractor in extractors.items():
        accepts = getattr(extractor, "accepts", (extractor.channels,))
        dimensions = getattr(extractor, "dimensions", 2)
        takes = getattr(extractor, "takes", lambda given, own=dimensions: given == own)
        if not takes(image.ndim - 1) or image.shape[0] not in accepts:
            sides = "height, width" if dimensions == 2 else "depth, height, width"
            raise UserError(
                f"The image {sample['sample_id']} has the shape {image.shape}; the extractor "
                f"{name} takes ({' or '.join(map(str, accepts))}, {sides}). Is it of another "
                "modality?"
            )
        prepared.append(extractor.prepare(fit(image, resolution)))
    seen = {"shape": list(image.shape), "low": float(image.min()), "high": float(image.max())}
    return prepared, about(sample) | seen


def oddities(rows: list[dict[str, Any]], resolution: int) -> list[str]:
    """What a reader should know of a set of images before its numbers, a sentence each."""
    found = []
    shapes = sorted({tuple(row["shape"]) for row in rows})
    if len(shapes) > 1:
        sides = f"{'x'.join(map(str, shapes[0][1:]))} to {'x'.join(map(str, shapes[-1][1:]))}"
        found.append(
            f"images of {len(shapes)} shapes, {sides}: all are resized to {resolution}, whatever "
            "their aspect"
        )
    channels = sorted({shape[0] for shape in shapes})
    if len(channels) > 1:
        found.append("grey and colour images in one set: grey ones are repeated over the channels")
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    if high - low < DARK:
        found.append(
            f"all values lie in [{low:.3f}, {high:.3f}] of [-1, 1]: perhaps 12-bit values in "
            "16-bit files, or the wrong window"
        )
    flat = [row["sample_id"] for row in rows if row["low"] == row["high"]]
    if flat:
        found.append(f"{len(flat)} images are of one grey value, such as {flat[0]}")
    return found


def check_image(sample: Mapping[str, Any]) -> np.ndarray:
    """A sample's image, or a sentence where it is not one of finite numbers in [-1, 1]."""
    image: np.ndarray = sample["image"]
    if not np.isfinite(image).all():
        raise UserError(
            f"The image {sample['sample_id']} holds {int((~np.isfinite(image)).sum())} values that "
            "are not finite numbers. Mend it, or take it out of the folder."
        )
    if image.size and (image.min() < -1.001 or image.max() > 1.001):
        raise UserError(
            f"The image {sample['sample_id']} has values from {image.min():.4g} to "
            f"{image.max():.4g}; images are measured in [-1, 1]."
        )
    return image


def fit(image: np.ndarray, resolution: int) -> np.ndarray:
    """The protocol's resolution, before any extractor's own."""
    return resized_volume(image, resolution) if image.ndim == 4 else resized(image, resolution)


def about(sample: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a sample beside its features: no arrays but its labels."""
    kept = {name: sample[name] for name in ABOUT if name in sample}
    if "labels" in kept:
        kept["labels"] = [None if np.isnan(x) else float(x) for x in np.asarray(kept["labels"])]
        kept["label_names"] = list(kept["label_names"])
    for name in ("age", "race"):
        if name in kept:
            kept[name] = float(kept[name])
    meta = kept.get("meta", {})
    kept["meta"] = {k: _plain(v) for k, v in meta.items() if not str(k).startswith("truth.")}
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _read(cache: Path, key: str, n: int) -> Extracted | None:
    """A cache entry; None if there is none, or if it is damaged or old, which is said."""
    where, array = cache / f"{key}.json", cache / f"{key}.npy"
    if not where.exists():
        return None
    try:
        entry = json.loads(where.read_text(encoding="utf-8"))
        if entry.get("version") != VERSION:
            raise ValueError(f"version {entry.get('version', 1)}, now {VERSION}")
        if hash_file(array) != entry["hash"]:
            raise ValueError("the content is not what was written")
        both = np.load(array, mmap_mode="r", allow_pickle=False)
        if len(both) != n or len(entry["rows"]) != n:
            raise ValueError(f"it holds {len(both)} of {n} images")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning(
            "The cached features %s are damaged or old (%s); they are made again.", array, error
        )
        return None
    width = entry["features"]
    return Extracted(both[:, :width], both[:, width:], entry["rows"])


def _write(cache: Path, key: str, found: Extracted) -> None:
    """Features and scores side by side in one array; the description, last, makes it count."""
    n, width = found.features.shape
    with atomic_path(cache / f"{key}.npy") as temporary:
        shape = (n, width + found.scores.shape[1])
        both = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
        for start in range(0, n, 1024):
            rows = slice(start, start + 1024)
            both[rows, :width], both[rows, width:] = found.features[rows], found.scores[rows]
        both.flush()
        del both
    entry = {
        "version": VERSION,
        "hash": hash_file(cache / f"{key}.npy"),
        "features": width,
        "rows": found.rows,
    }
    write_text(cache / f"{key}.json", json.dumps(entry, ensure_ascii=False))
