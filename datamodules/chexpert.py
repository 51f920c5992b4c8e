"""CheXpert: radiographs with labels of their reports, and 500 test studies with radiologists'."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.base import DataModule, Level, check_root, expand, read_marker
from datamodules.chexpert_tables import (
    FOLDER,
    TREE,
    Rows,
    count_mistakes,
    find_release,
    first_frontal,
    read_captions,
    read_rows,
    read_studies,
    sentence,
)
from datamodules.geometry import Fit, Mode
from datamodules.inspection import Expect, describe_bad_files, inspect_files, read_bad_files
from datamodules.labels import CANONICAL, Blank, Uncertain
from datamodules.mimic_source import file_size
from datamodules.preparing import Preparation, open_prepared
from datamodules.radiographs import check_polarity
from datamodules.resizing import PictureReader, resized
from datamodules.splits import check_leak, hash_share
from medbench.core.batch import Sample
from medbench.core.errors import UserError
from medbench.core.fingerprint import fingerprint, hash_file

KEY = "chexpert"


class Chexpert(DataModule):
    """CheXpert v1.0 or v1.0-small with its validation and test studies.

    root: the folder that holds CheXpert-v1.0-small/ (or CheXpert-v1.0/, or another name given by
    `release`), CheXpert/ with the test images, and groundtruth.csv. Training on the test images is
    not allowed by their terms."""

    version = 1
    modality = "radiograph"
    yields = (
        "image",
        "text",
        "labels",
        "label_names",
        "age",
        "sample_id",
        "subject_id",
        "meta",
    )
    restricted = True
    licence = "Stanford AIMI research use agreement; no redistribution"
    citation = "Irvin et al., CheXpert (AAAI 2019); test labels: rajpurkarlab (2022)"
    split_source = "the release's tables"
    location = ("root", "release", "captions", "bad_files", "prepared")

    def __init__(
        self,
        root: str,
        image_size: int = 256,
        fit: Mode = "crop",
        release: str | None = None,  # the folder of train.csv, where root holds several
        views: Literal["frontal", "all"] = "frontal",
        test_labels: Literal["study", "image"] = "study",  # groundtruth.csv or test_labels.csv
        captions: str | None = None,  # CSV: study, caption; else a sentence out of the labels
        uncertain: Uncertain = "nan",
        blank: Blank = "nan",
        n_train: int | None = None,  # at most, by hash
        n_validation: int | None = None,
        n_test: int | None = None,
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of files to leave out, one path a line
        prepared: str | None = None,  # a finished copy by prepare=resized
    ) -> None:
        super().__init__()
        self.root, self.fit, self.expect = expand(root), Fit(image_size, fit), expect
        self.prepared = prepared
        self.release, self.views, self.test_labels = release, views, test_labels
        self.captions_path = expand(captions) if captions else None
        self.coding = (uncertain, blank)
        self.n = {"train": n_train, "validation": n_validation, "test": n_test}
        self.bad_list = bad_files
        self.marker = read_marker(self.root) if self.root.is_dir() else None
        self.phantom = self.marker is not None
        self._splits: dict[str, Films] = {}

    # what is there ----------------------------------------------------------------
    @cached_property
    def folder(self) -> Path:
        """The release that holds train.csv; stops with the expected tree without one."""
        problems = check_root(self.root, TREE)
        if problems:
            raise UserError(*problems)
        return find_release(self.root, self.release)

    @cached_property
    def rows(self) -> dict[str, Rows]:
        """Every row of the tables, one an image; the test's one a study if those labels are asked.

        Stops when a patient stands in two splits."""
        later = self.root / FOLDER
        valid = self.folder / "valid.csv"
        found = {
            "train": read_rows(self.folder / "train.csv", self.folder, "train", self.coding),
            "validation": (
                read_rows(valid, self.folder, "valid", self.coding)
                if valid.is_file()
                else read_rows(later / "val_labels.csv", later, "val", self.coding)
            ),
            "test": self._test_rows(),
        }
        leaks = check_leak({name: set(rows.patients()) for name, rows in found.items()})
        if leaks:
            raise UserError(*leaks)
        return found

    def _test_rows(self) -> Rows:
        places = (self.root / FOLDER, self.folder)
        holds = next((place for place in places if (place / "test").is_dir()), places[0])
        if self.test_labels == "image":
            return read_rows(places[0] / "test_labels.csv", holds, "test", self.coding)
        return read_studies(self.root / "groundtruth.csv", holds, self.coding)

    @cached_property
    def captions(self) -> dict[str, str]:
        return read_captions(self.captions_path) if self.captions_path else {}

    @cached_property
    def bad_files(self) -> set[str]:
        """Image files, relative to the root, that the user leaves out."""
        used = {
            path.relative_to(self.root).as_posix()
            for rows in self.rows.values()
            for path in map(rows.path, range(len(rows)))
        }
        return read_bad_files(self.bad_list, used) if self.bad_list else set()

    # what users ask -----------------------------------------------------------------
    def split(self, name: str) -> "Films":
        if name not in self.splits:
            raise UserError(f"{KEY} has no split {name}; it has {', '.join(self.splits)}.")
        if name not in self._splits:
            self._splits[name] = self._choose(name)
        return self._splits[name]

    def _choose(self, name: str) -> "Films":
        rows = self.rows[name]
        funnel = [f"{len(rows):,} {'studies' if rows.per_study else 'images'} in the table"]
        if rows.per_study:
            rows = first_frontal(rows, self.expect)
            funnel.append(f"{len(rows):,} with a frontal image, the first by file name")
        elif self.views == "frontal":
            rows = rows.take(np.flatnonzero(rows.frontal))
            funnel.append(f"{len(rows):,} are frontal")
        if self.expect == "subset":
            rows = rows.take([i for i in range(len(rows)) if rows.path(i).is_file()])
            funnel.append(f"{len(rows):,} are there (expect=subset)")
        if self.bad_files:
            rows = rows.take([i for i in range(len(rows)) if not self._is_bad(rows.path(i))])
            funnel.append(f"{len(rows):,} without those of bad_files")
        order = np.argsort([hash_share(KEY, rows.sample_id(i)) for i in range(len(rows))])
        rows = rows.take(order[: self.n[name]])
        funnel.append(f"{len(rows):,} left")
        if not len(rows):
            raise UserError(f"{self.root}: no images are left in {name}: {'; '.join(funnel)}.")
        films = Films(self, rows, name, funnel)
        if self.captions:
            known = sum(rows.study(i) in self.captions for i in range(len(rows)))
            funnel.append(f"{known:,} with a caption of the file, the others by rule")
        return films

    def _is_bad(self, path: Path) -> bool:
        return path.relative_to(self.root).as_posix() in self.bad_files

    def funnel(self) -> list[str]:
        lines = [f"{name}: {line}" for name in self.splits for line in self.split(name).funnel]
        return describe_bad_files(self.bad_files) + lines

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = check_root(self.root, TREE)
        if mistakes:
            return mistakes
        try:
            mistakes += count_mistakes(self.rows, self.expect, self.phantom)
            films = [self.split(name) for name in self.splits]
            paths = [film.path(i) for film in films for i in range(len(film))]
            mistakes += inspect_files(paths, level, work=self.work).sentences(self.root)
            if not mistakes:
                mistakes += check_polarity([path for film in films for path in film.frontal()])
        except UserError as error:
            mistakes += error.mistakes
        return mistakes

    def content(self, split: str) -> Any:
        films = self.split(split)
        paths = [films.path(i) for i in range(len(films))]
        names = [path.relative_to(self.root).as_posix() for path in paths]
        tables = [films.rows.table, *filter(None, [self.captions_path])]
        sizes = [file_size(path) for path in paths]
        # a release folder that was renamed is the same data
        names = [name.partition("/")[2] for name in names]
        return [[hash_file(t) for t in tables], fingerprint([names, sizes]), self.marker]

    # reading ----------------------------------------------------------------------
    def preparations(self) -> dict[str, Preparation]:
        films = [self.split(split) for split in self.splits]
        names = sorted({film.name_of(row) for film in films for row in range(len(film))})
        return {"resized": resized(self.root, names, self.fit, grey=True)}

    @cached_property
    def reader(self) -> PictureReader:
        """Images of the release by path, or of their prepared copy."""
        copy = None
        if self.prepared:
            copy = open_prepared(self.prepared, self.preparations()["resized"])
        return PictureReader(self.root, self.fit, grey=True, prepared=copy)


class Films:
    """The samples of one split, read when they are asked for."""

    def __init__(self, data: Chexpert, rows: Rows, name: str, funnel: list[str]) -> None:
        self.data, self.rows, self.name, self.funnel = data, rows, name, funnel

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return {"image": self.data.reader.read(self.name_of(index))[0]} | self.describe(index)

    def describe(self, index: int) -> Sample:
        """A sample without its image."""
        rows = self.rows
        study, labels = rows.study(index), rows.labels[index].copy()
        caption = self.data.captions.get(study)
        return {
            "text": caption if caption is not None else sentence(labels),
            "labels": labels,
            "label_names": list(CANONICAL),
            "age": rows.age(index),
            "sample_id": rows.sample_id(index),
            "subject_id": rows.subject_id(index),
            "meta": {
                "study": study,
                "view": rows.view(index),
                "sex": rows.sex(index),
                "split": self.name,
                "caption_source": "labels" if caption is None else "file",
            },
        }

    def path(self, index: int) -> Path:
        return self.rows.path(index)

    def name_of(self, index: int) -> str:
        """Of the file, below the folder that is read."""
        return self.rows.path(index).relative_to(self.data.root).as_posix()

    def frontal(self) -> list[Path]:
        """Files of the frontal films."""
        return [self.path(i) for i in range(len(self)) if self.rows.frontal[i]]
