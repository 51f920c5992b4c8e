"""MIMIC-CXR-LT: nineteen classes from 53,260 to 12 training images, one label an image."""

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.base import DataModule, Level, check_root, expand, read_marker
from datamodules.columns import (
    Columns,
    label_matrix,
    length,
    match,
    read_columns,
    require_unique,
    take,
)
from datamodules.columns import text as decoded
from datamodules.geometry import Fit, Mode
from datamodules.inspection import (
    Expect,
    check_counts,
    describe_bad_files,
    inspect_files,
    read_bad_files,
)
from datamodules.mimic_reports import Reports
from datamodules.mimic_source import SECTIONS, TextChoice, file_size
from datamodules.mimic_tables import STEM, TOP, release_folder, view_names
from datamodules.mimic_tables import TREE as IMAGES_TREE
from datamodules.preparing import Preparation, open_prepared
from datamodules.reports import Section
from datamodules.resizing import PictureReader, resized
from datamodules.splits import check_leak, hash_share
from datamodules.tables import find_table
from medbench.core.batch import Sample
from medbench.core.errors import UserError
from medbench.core.fingerprint import fingerprint, hash_file

KEY, FOLDER = "mimic_cxr_lt", "mimic-cxr-lt"
GROUPS = {  # classes in the order of the release's class index, most frequent first
    "head": (
        "No Finding",
        "Lung Opacity",
        "Cardiomegaly",
        "Atelectasis",
        "Pleural Effusion",
        "Support Devices",
        "Edema",
        "Pneumonia",
        "Pneumothorax",
        "Lung Lesion",
    ),
    "medium": (
        "Fracture",
        "Enlarged Cardiomediastinum",
        "Consolidation",
        "Pleural Other",
        "Calcification of the Aorta",
        "Tortuous Aorta",
    ),
    "tail": ("Pneumoperitoneum", "Subcutaneous Emphysema", "Pneumomediastinum"),
}
CLASSES = tuple(name for names in GROUPS.values() for name in names)
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
FILES = {
    "train": "train",
    "validation": "balanced-val",
    "balanced": "balanced-test",
    "full": "test",
}
PATH = re.compile(rb"files/p1[0-9]/p1[0-9]{7}/s5[0-9]{7}/[0-9a-f-]{44}\.jpg")
RELEASE = {"train": 87_493, "validation": 285, "balanced": 570, "full": 23_550}
TREE = f"""{FOLDER}/
  mimic-cxr-lt_single-label_train.csv, ..._balanced-val.csv, ..._balanced-test.csv, ..._test.csv
{IMAGES_TREE}"""


class MimicCxrLt(DataModule):
    """The long-tailed single-label classification of MIMIC-CXR-JPG's images.

    root: the folder that holds mimic-cxr-lt/ and mimic-cxr-jpg/, and mimic-cxr/ for reports unless
    `reports` names another place."""

    version = 1
    modality = "radiograph"
    yields = (
        "image",
        "text",
        "texts",
        "texts.report",
        "texts.findings",
        "texts.impression",
        "labels",
        "label_names",
        "sample_id",
        "subject_id",
        "meta",
    )
    restricted = True
    licence = "PhysioNet Credentialed Health Data License 1.5.0 (images); labels open"
    citation = "Holste et al., Long-Tailed Classification of Thorax Diseases (DALI 2022)"
    split_source = "the release's tables"
    location = ("root", "reports", "bad_files", "prepared")

    def __init__(
        self,
        root: str,
        image_size: int = 256,
        fit: Mode = "crop",
        test: Literal["balanced", "full"] = "balanced",  # 30 of each class, or as they come
        section: Section | Literal["none"] = "none",  # of the report, as text
        n_train: int | None = None,  # at most, by hash
        n_validation: int | None = None,
        n_test: int | None = None,
        reports: str | None = None,
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of files to leave out, one path a line
        prepared: str | None = None,  # a finished copy by prepare=resized
    ) -> None:
        super().__init__()
        self.root, self.fit, self.expect = expand(root), Fit(image_size, fit), expect
        self.prepared = prepared
        self.files = {name: FILES.get(name, FILES[test]) for name in self.splits}
        self.release = {name: RELEASE.get(name, RELEASE[test]) for name in self.splits}
        self.choice = TextChoice(section)
        self.n = {"train": n_train, "validation": n_validation, "test": n_test}
        self.reports_root = expand(reports) if reports else self.root
        self.bad_list = bad_files
        self.marker = read_marker(self.root) if self.root.is_dir() else None
        self.phantom = self.marker is not None
        self._splits: dict[str, Cases] = {}

    # what is there ----------------------------------------------------------------
    @cached_property
    def folder(self) -> Path:
        """The release of the images; stops with the expected tree when it is not there."""
        problems = check_root(self.root, TREE)
        if problems:
            raise UserError(*problems)
        return release_folder(self.root, TOP, "files", TREE)

    @cached_property
    def reports(self) -> Reports | None:
        return None if self.choice.section == "none" else Reports(self.reports_root)

    def table_path(self, split: str) -> Path:
        """The table of a split, under either name that the release uses."""
        folder = self.root / FOLDER
        stems = [f"{name}_single-label_{self.files[split]}" for name in (FOLDER, "mimic-lt")]
        found = []
        for stem in stems:
            if any((folder / f"{stem}{suffix}").is_file() for suffix in (".csv", ".csv.gz")):
                found.append(find_table(folder, stem))
        if not found:
            raise UserError(
                f"{folder} has no {stems[0]}.csv (or {stems[1]}.csv). Expected below "
                f"root={self.root}:\n{TREE}"
            )
        if len(found) == 2 and hash_file(found[0]) != hash_file(found[1]):
            raise UserError(f"{found[0]} and {found[1].name} differ; keep the release's own one.")
        return found[0]

    @cached_property
    def tables(self) -> dict[str, Columns]:
        """Ids and labels of each split as the release has them, every row with its one class."""
        found = {name: self._read(name) for name in self.splits}
        leaks = check_leak({n: map(decoded, set(t["subject_id"])) for n, t in found.items()})
        if leaks:
            raise UserError(*leaks)
        return found

    def _read(self, split: str) -> Columns:
        path = self.table_path(split)
        ids = ("subject_id", "study_id", "dicom_id", "path")
        table = read_columns(path, (*ids, *CLASSES))
        require_unique(path, table, "dicom_id")
        labels = label_matrix(path, table, CLASSES, "keep", "zero")
        ones = (labels == 1).sum(axis=1)
        odd = np.flatnonzero((ones != 1) | (labels.min(axis=1, initial=0) < 0)).tolist()
        if len(odd):
            raise UserError(
                f"{path}, row {odd[0] + 2}: {ones[odd[0]]} classes are 1, where each row has just "
                "one. Fetch the table again."
            )
        odd = [row for row, name in enumerate(table["path"].tolist()) if not PATH.fullmatch(name)]
        if odd:
            raise UserError(
                f"{path}, row {odd[0] + 2}: path is {decoded(table['path'][odd[0]])!r}; it must be "
                "files/p1x/p1xxxxxxx/s5xxxxxxx/DICOM_ID.jpg. Fetch the table again."
            )
        return {name: table[name] for name in ids} | {"class": labels.argmax(axis=1)}

    @cached_property
    def _views(self) -> Columns | None:
        """Views by image, where the release's metadata are there."""
        if not any(self.folder.glob(f"{STEM}-metadata.csv*")):
            return None
        path = find_table(self.folder, f"{STEM}-metadata")
        return read_columns(path, ("dicom_id", "ViewPosition"))

    @cached_property
    def _bad(self) -> set[str]:
        used = {self._relative(n) for t in self.tables.values() for n in t["path"].tolist()}
        return read_bad_files(self.bad_list, used)

    def _relative(self, name: bytes) -> str:
        """A path of the tables as one below the root."""
        return f"{self.folder.relative_to(self.root).as_posix()}/{decoded(name)}"

    # what users ask -----------------------------------------------------------------
    def split(self, name: str) -> "Cases":
        if name not in self.splits:
            raise UserError(f"{KEY} has no split {name}; it has {', '.join(self.splits)}.")
        if name not in self._splits:
            self._splits[name] = self._choose(name)
        return self._splits[name]

    def _choose(self, name: str) -> "Cases":
        table = self.tables[name]
        funnel = [f"{length(table):,} images in the table"]
        bad = np.array([self._relative(path) in self._bad for path in table["path"].tolist()], bool)
        there = np.ones(length(table), bool)
        if self.expect == "subset":
            names = table["path"].tolist()
            there = np.array([(self.folder / decoded(path)).is_file() for path in names], bool)
            funnel.append(f"{int((~there).sum()):,} dropped: not there (expect=subset)")
        table = take(table, there & ~bad)
        order = np.argsort([hash_share(KEY, decoded(d)) for d in table["dicom_id"].tolist()])
        table = take(table, order[: self.n[name]])
        counts = np.bincount(table["class"], minlength=len(CLASSES))
        funnel.append(f"{length(table):,} left: {self._groups(counts)}")
        if not length(table):
            raise UserError(f"{self.root}: no images are left in {name}: {'; '.join(funnel)}.")
        views = np.full(length(table), "unknown")
        if self._views is not None:
            rows = match(self._views["dicom_id"], table["dicom_id"])
            known = view_names(self._views["ViewPosition"])
            views = np.where(rows >= 0, known[rows], "unknown")
        funnel.append(", ".join(f"{int((views == v).sum()):,} {v}" for v in np.unique(views)))
        return Cases(self, table, views, name, funnel)

    def _groups(self, counts: np.ndarray) -> str:
        sums = dict.fromkeys(GROUPS, 0)
        for name, count in zip(CLASSES, counts.tolist(), strict=True):
            sums[GROUP_OF[name]] += count
        return ", ".join(f"{count:,} {group}" for group, count in sums.items())

    def funnel(self) -> list[str]:
        lines = [f"{name}: {line}" for name in self.splits for line in self.split(name).funnel]
        return describe_bad_files(self._bad) + lines

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = check_root(self.root, TREE)
        if mistakes:
            return mistakes
        try:
            found = {name: length(table) for name, table in self.tables.items()}
            mistakes += check_counts(found, self.release, self.expect, self.phantom)
            cases = [self.split(name) for name in self.splits]
            paths = [case.path(row) for case in cases for row in range(len(case))]
            mistakes += inspect_files(paths, level, work=self.work).sentences(self.root)
        except UserError as error:
            mistakes += error.mistakes
        return mistakes

    def content(self, split: str) -> Any:
        table = self.split(split).table
        names = [decoded(path) for path in table["path"].tolist()]
        sizes = [file_size(self.folder / name) for name in names]
        found: list[Any] = [hash_file(self.table_path(split)), fingerprint([names, sizes])]
        if self.reports:
            pairs = zip(table["subject_id"].tolist(), table["study_id"].tolist(), strict=True)
            studies = sorted({(decoded(subject), decoded(study)) for subject, study in pairs})
            found.append(fingerprint(self.reports.content(studies)))
        return [*found, self.marker]

    # reading ----------------------------------------------------------------------
    def preparations(self) -> dict[str, Preparation]:
        films = [self.split(split) for split in self.splits]
        names = sorted({film.name_of(row) for film in films for row in range(len(film))})
        return {"resized": resized(self.folder, names, self.fit, grey=True)}

    @cached_property
    def reader(self) -> PictureReader:
        """Images of the release by path, or of their prepared copy."""
        copy = None
        if self.prepared:
            copy = open_prepared(self.prepared, self.preparations()["resized"])
        return PictureReader(self.folder, self.fit, grey=True, prepared=copy)


class Cases:
    """The samples of one split, read when they are asked for."""

    def __init__(
        self, data: MimicCxrLt, table: Columns, views: np.ndarray, name: str, funnel: list[str]
    ) -> None:
        self.data, self.table, self.views = data, table, views
        self.name, self.funnel = name, funnel

    def __len__(self) -> int:
        return length(self.table)

    def __getitem__(self, index: int) -> Sample:
        return {"image": self.data.reader.read(self.name_of(index))[0]} | self.describe(index)

    def describe(self, index: int) -> Sample:
        """A sample without its image."""
        row = {n: decoded(v[index]) for n, v in self.table.items() if n != "class"}
        name = CLASSES[self.table["class"][index]]
        sample: Sample = {
            "labels": np.array([float(other == name) for other in CLASSES], np.float32),
            "label_names": list(CLASSES),
            "sample_id": row["dicom_id"],
            "subject_id": row["subject_id"],
            "meta": {
                "study_id": row["study_id"],
                "view": str(self.views[index]),
                "class": name,
                "group": GROUP_OF[name],
                "split": self.name,
                "path": row["path"],
            },
        }
        if self.data.reports:
            sections = self.data.reports.sections(row["subject_id"], row["study_id"])
            sample["text"] = self.data.choice.of(sections)
            sample["texts"] = {key: sections.get(key, "") for key in SECTIONS}
        return sample

    def path(self, index: int) -> Path:
        return self.data.folder / self.name_of(index)

    def name_of(self, index: int) -> str:
        """Of the file, below the folder that is read."""
        return decoded(self.table["path"][index])
