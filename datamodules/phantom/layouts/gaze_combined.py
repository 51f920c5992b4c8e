"""REFLACX and Eye Gaze Data in one root, with images and subjects in common."""

from pathlib import Path

from datamodules.phantom.layouts import egd_cxr, reflacx
from datamodules.phantom.layouts.gaze_films import write_film
from datamodules.phantom.writing import steps, write_truth

QUIRKS = {
    "same image": "Images are in both releases.",
    "test image": "One of them is a test image of REFLACX.",
    "same subject": "A training image is of a subject that is also in test.",
}


def write(
    dest: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 128,
    traps: str = "forced",
    samples: bool = False,
) -> None:
    """n images: two thirds in REFLACX, the others in Eye Gaze Data, which repeats two of the first.

    samples: also write the tracker's own samples of both."""
    first = max(1, n * 2 // 3)
    films = reflacx.choose_films(first, seed, size, traps)
    own = [egd_cxr.choose_film(i, first + i, seed, size, traps) for i in range(n - first)]
    shared = [films[0], films[-1]] if traps != "off" else []
    reflacx.write_readings(dest, films, seed, traps, samples)
    egd_cxr.write_readings(dest, [*own, *shared], traps, samples)
    for film in steps([*films, *own]):
        write_film(dest, film)
    write_truth(dest, [film.truth() for film in (*films, *own)])
