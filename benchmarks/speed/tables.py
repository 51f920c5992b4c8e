"""Time and memory of MIMIC-CXR-JPG's tables at full size: python -m benchmarks.speed.tables

Invented tables with as many images, studies and subjects as the release has, without an image file:
another process writes them, this one reads and joins them and makes all three splits."""

import csv
import gzip
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from datamodules.labels import CANONICAL
from datamodules.mimic_cxr_jpg import MimicCxrJpg
from datamodules.mimic_tables import RELEASE, STEM, TOP

VIEWS = {"AP": 0.4, "PA": 0.25, "LATERAL": 0.2, "LL": 0.1, "": 0.05}
CELLS = {"": 0.7, "1.0": 0.15, "0.0": 0.1, "-1.0": 0.05}


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        writer = multiprocessing.get_context("spawn").Process(target=write_tables, args=(root,))
        writer.start()
        writer.join()
        size = sum(path.stat().st_size for path in root.rglob("*.gz")) / 1e6
        print(f"{RELEASE['images']:,} images; {size:.0f} MB of packed tables")
        before = _most_memory()
        module = MimicCxrJpg(str(root), section="none")
        began, own = time.perf_counter(), time.process_time()
        images = module.source.images
        loaded = time.process_time() - own
        lines = module.funnel()
        print("\n".join(lines))
        print(f"tables read and joined: {loaded:.1f} s of one core; {len(images):,} rows")
        print(f"with the three splits: {time.process_time() - own:.1f} s")
        print(f"on the clock: {time.perf_counter() - began:.1f} s")
        print(f"memory: at most {_most_memory() - before:.0f} MB above {before:.0f} MB")


def _most_memory() -> float:
    """MB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def write_tables(root: Path) -> None:
    """metadata, split and chexpert with invented ids, in the release's places."""
    draw = np.random.default_rng(0)
    folder = root / TOP / "2.0.0"
    folder.mkdir(parents=True)
    subjects = 10_000_000 + draw.permutation(10_000_000)[: RELEASE["subjects"]]
    studies = 50_000_000 + draw.permutation(10_000_000)[: RELEASE["studies"]]
    of_study = subjects[np.arange(len(studies)) % len(subjects)]
    rows = np.arange(RELEASE["images"]) % len(studies)
    words = draw.integers(0, 2**32, (len(rows), 5))
    dicoms = ["-".join(f"{word:08x}" for word in row) for row in words.tolist()]
    ids = list(zip(dicoms, of_study[rows].tolist(), studies[rows].tolist(), strict=True))
    views = draw.choice(list(VIEWS), len(ids), p=list(VIEWS.values())).tolist()
    dates = (21_000_101 + draw.integers(0, 90, len(ids)) * 10_000).tolist()
    times = (draw.integers(0, 24, len(ids)) * 10_000 + 0.875).tolist()
    columns = ["dicom_id", "subject_id", "study_id", "ViewPosition", "Rows", "Columns"]
    described = (
        [*one, view, 3056, 2544, date, moment]
        for one, view, date, moment in zip(ids, views, dates, times, strict=True)
    )
    _write(folder, "metadata", [*columns, "StudyDate", "StudyTime"], described)
    side = dict(zip(subjects.tolist(), ("validate", "test", *["train"] * 98) * 999, strict=False))
    sides = ([dicom, study, subject, side[subject]] for dicom, subject, study in ids)
    _write(folder, "split", ["dicom_id", "study_id", "subject_id", "split"], sides)
    cells = draw.choice(list(CELLS), (RELEASE["labelled studies"], 14), p=list(CELLS.values()))
    labels = zip(of_study.tolist(), studies.tolist(), cells.tolist(), strict=False)
    names = ["subject_id", "study_id", *sorted(CANONICAL)]
    _write(folder, "chexpert", names, ([subject, study, *row] for subject, study, row in labels))


def _write(folder: Path, name: str, columns: list[str], rows: Iterable[list]) -> None:
    path = folder / f"{STEM}-{name}.csv.gz"
    with gzip.open(path, "wt", newline="", encoding="utf-8", compresslevel=3) as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
