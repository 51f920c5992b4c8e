"""BiomedJourney's pairs: consecutive PA studies of a subject in order of time; their filters."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from datamodules.columns import text
from datamodules.labels import CANONICAL
from datamodules.mimic_tables import Images

NOT_FINDINGS = ("No Finding", "Support Devices")


@dataclass(frozen=True)
class Pairs:
    """Rows of `images` that belong together: the earlier and the later one."""

    images: Images
    prior: np.ndarray  # (n,) rows
    later: np.ndarray

    def __len__(self) -> int:
        return len(self.prior)

    def take(self, rows: np.ndarray) -> "Pairs":
        """Some pairs, by index or by truth."""
        return Pairs(self.images, self.prior[rows], self.later[rows])

    def key(self, row: int) -> str:
        """Both image ids: the sample's id, and the key of what is prepared for it."""
        ids = self.images.dicom
        return f"{text(ids[self.prior[row]])}__{text(ids[self.later[row]])}"

    def paths(self, row: int) -> tuple[str, str]:
        """Of both images, below the release."""
        return self.images.path(self.prior[row]), self.images.path(self.later[row])

    def days(self, row: int) -> float:
        """Between the two studies."""
        gap = self.images.moment(self.later[row]) - self.images.moment(self.prior[row])
        return gap.total_seconds() / 86_400


def one_a_study(images: Images) -> Images:
    """Of each study the image with the smallest id."""
    order = np.lexsort((images.dicom, images.study))
    _, first = np.unique(images.study[order], return_index=True)
    return images.take(order[first])


def consecutive(images: Images, duplicates: str) -> tuple[Pairs, int]:
    """Neighbours in time of each subject, and how many were dropped for having one time.

    By date and parsed time, never by study id, which is random. duplicates: `first` takes one image
    a study, `all` every combination of two studies' images."""
    lead = one_a_study(images)
    lead = lead.take(in_time(lead))
    same = lead.subject[1:] == lead.subject[:-1]
    moments = _numbers(lead)
    at_once = same & (moments[1:] == moments[:-1]).all(axis=1)
    rows = np.flatnonzero(same & ~at_once)
    pairs = Pairs(lead, rows, rows + 1)
    if duplicates == "all":
        pairs = _every_image(images, pairs)
    return pairs, int(at_once.sum())


def in_time(images: Images) -> np.ndarray:
    """The order by subject, then date and time."""
    moments = _numbers(images)
    return np.lexsort((images.dicom, moments[:, 1], moments[:, 0], images.subject))


def _numbers(images: Images) -> np.ndarray:
    """(n, 2) date and time of day as numbers: HHMMSS.fff sorts like the time that it stands for."""
    times = np.where(images.time == b"", b"0", images.time)
    return np.stack([images.date.astype(np.float64), times.astype(np.float64)], axis=1)


def _every_image(images: Images, pairs: Pairs) -> Pairs:
    rows_of: dict[bytes, list[int]] = {}
    for row, study in enumerate(images.study.tolist()):
        rows_of.setdefault(study, []).append(row)
    studies = pairs.images.study
    found = [
        both
        for prior, later in zip(pairs.prior, pairs.later, strict=True)
        for both in product(rows_of[studies[prior]], rows_of[studies[later]])
    ]
    both = np.array(found, int).reshape(-1, 2)
    return Pairs(images, both[:, 0], both[:, 1])


def findings(images: Images, count_devices: bool) -> np.ndarray:
    """(n,) how many findings the labels of each image's study name as present."""
    left_out = NOT_FINDINGS[:1] if count_devices else NOT_FINDINGS
    kept = [i for i, name in enumerate(CANONICAL) if name not in left_out]
    return (images.labels[:, kept] == 1).sum(axis=1)


def with_findings(pairs: Pairs, least: int, where: str, count_devices: bool) -> np.ndarray:
    """Whether each pair has enough findings: in the reference (the later), either or both."""
    enough = findings(pairs.images, count_devices) >= least
    prior, later = enough[pairs.prior], enough[pairs.later]
    return {"reference": later, "either": prior | later, "both": prior & later}[where]
