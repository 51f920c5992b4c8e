"""Samples per second of the phantoms on one core: python -m benchmarks.speed.phantom"""

import argparse
import time
from collections.abc import Callable

from datamodules.phantom import colonoscopy, ct, cxr
from datamodules.phantom.ct_grid import cube
from datamodules.phantom.ct_scene import draw_scene
from datamodules.phantom.ct_words import image_labels
from datamodules.phantom.ct_words import write_report as write_ct_report
from datamodules.phantom.cxr_report import write_report
from datamodules.phantom.cxr_study import PURPOSES
from datamodules.phantom.gaze import draw_reading

Draw = Callable[[int, int], object]  # running number, size


def draw_colonoscopy(index: int, size: int) -> object:
    """A frame with its masks, facts and parameters."""
    return colonoscopy.draw(0, "train", index, size=size)


def draw_cxr(index: int, size: int) -> tuple:
    """A radiograph with its masks, every parameter, labels and the report."""
    study = cxr.draw_study(cxr.address(0, "train", index), min_feature=cxr.least_feature(size))
    report = write_report(study, study.place.stream(PURPOSES.index("report")))
    return study, cxr.render(study, size), cxr.truth_of(study), report


def read_cxr(index: int, size: int) -> object:
    """The same with a reader's gaze and dictation."""
    study, (image, masks), truth, report = draw_cxr(index, size)
    reading = draw_reading(study, masks=masks if size == 64 else None)
    return image, truth, report, reading


def draw_ct(index: int, size: int) -> object:
    """A volume with its masks, every parameter, labels and the report."""
    place = ct.address(0, "train", index)
    scene = draw_scene(place, ct.least_feature(size))
    labels, report = image_labels(scene), write_ct_report(scene, place)
    return ct.render(scene, cube(size, size)), labels, report


CASES: dict[str, tuple[Draw, tuple[int, ...]]] = {
    "colonoscopy": (draw_colonoscopy, (64, 256)),
    "cxr": (draw_cxr, (64, 128, 256, 512)),
    "cxr, gaze": (read_cxr, (64, 256)),
    "ct": (draw_ct, (64, 128, 256)),
}


def samples_per_second(draw: Draw, size: int, seconds: float) -> float:
    """Over as many draws as fit into the time, after some that fill the tables.

    Seconds of the processor, so that other work on the machine is not counted."""
    start = time.process_time()
    for index in range(40):
        draw(index, size)
        if time.process_time() - start > seconds:
            break
    count, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        draw(40 + count, size)
        count += 1
    return count / spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each line")
    seconds = parser.parse_args().seconds
    print(f"{'phantom':<14}{'size':>6}{'samples/s':>12}{'ms':>9}")
    for name, (draw, sizes) in CASES.items():
        for size in sizes:
            rate = samples_per_second(draw, size, seconds)
            print(f"{name:<14}{size:>6}{rate:>12.1f}{1000 / rate:>9.2f}")


if __name__ == "__main__":
    main()
