"""Error and time of registration on phantom pairs: python -m benchmarks.speed.registration

The pairs are consecutive visits of phantom patients with at least one changed finding, at 256
pixels. The error of a pair is the mean distance in pixels, over the prior's frame, between where
the found and the true transform put a point."""

import argparse
import itertools
import os
import time
from collections.abc import Iterator

import numpy as np

from datamodules.phantom import cxr
from datamodules.phantom.cxr_study import Study
from datamodules.registration import register

STILL = ("stable", "absent")


def changed_pairs(seed: int, size: int) -> Iterator[tuple[Study, Study]]:
    """(prior, later) of visits between which a finding has changed."""
    for subject in itertools.count():
        place = cxr.address(seed, "test", subject)
        visits = cxr.journey(place, min_feature=cxr.least_feature(size))
        for prior, later in itertools.pairwise(visits):
            if any(change not in STILL for change in later.changes.values()):
                yield prior, later


def displacement(found: np.ndarray, true: np.ndarray, size: int) -> float:
    """Mean distance in pixels between two (2, 3) transforms over a grid of the frame."""
    steps = (np.arange(16) + 0.5) / 8 - 1
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    points = np.stack([x, y, np.ones_like(x)])
    return float(np.linalg.norm((found - true) @ points, axis=0).mean() * size / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--size", type=int, default=256, help="pixels of the images")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    size = options.size
    rows = []
    for prior, later in itertools.islice(changed_pairs(options.seed, size), options.pairs):
        images = [cxr.render(study, size)[0] for study in (prior, later)]
        start = time.perf_counter(), time.process_time()
        found = register(*images, long_side=max(size, 256))
        spent = time.perf_counter() - start[0]
        busy = time.process_time() - start[1]
        error = displacement(found.matrix, cxr.later_to_prior(later, prior), size)
        rows.append((error, spent, busy, found.score, found.tries, found.failed))
    report(np.array(rows, dtype=float), size)


def report(rows: np.ndarray, size: int) -> None:
    """Print the distribution: columns error, seconds, seconds of a core, score, tries, failed."""
    error, seconds, busy, score, tries, failed = rows.T
    print(f"{len(rows)} changed pairs at {size}, {os.cpu_count()} cores, one thread each")
    quantiles = ", ".join(f"{q} % {np.percentile(error, q):.3f}" for q in (50, 75, 90, 97, 100))
    print(f"error in pixels: {quantiles}; under one pixel {100 * np.mean(error < 1):.0f} %")
    for name, times in (("seconds of a core", busy), ("seconds on the clock", seconds)):
        middle = np.median(times)
        print(
            f"{name} a pair: mean {times.mean():.2f}, median {middle:.2f}, most {times.max():.2f}"
        )
    print(
        f"score: median {np.median(score):.3f}, least {score.min():.3f}; "
        f"tries 1, 2, 3: {', '.join(str(int((tries == n).sum())) for n in (1, 2, 3))}; "
        f"failed {int(failed.sum())}"
    )


if __name__ == "__main__":
    main()
