"""ImageCLEFmed MEDVQA-GI 2024, image synthesis: frames of the bowel with about ten prompts each."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from datamodules.base import DataModule, Level, Split, check_root, expand, read_marker
from datamodules.geometry import Fit, Mode
from datamodules.inspection import (
    Expect,
    Funnel,
    check_counts,
    describe_bad_files,
    inspect_files,
    read_bad_files,
    split_missing,
)
from datamodules.medvqa_prompts import (
    BLOCKS,
    Prompt,
    check_blocks,
    clean,
    read_prompts,
    read_test_prompts,
    template_of,
)
from datamodules.phantom.paraphrases import paraphrase, read_paraphrases
from datamodules.preparing import Preparation, open_prepared
from datamodules.resizing import PictureReader, resized
from datamodules.splits import smallest
from medbench.core.batch import Sample
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import hash_file, hash_files
from medbench.core.images import SUFFIXES
from medbench.core.seeds import mix

KEY = "medvqa_gi_2024"
RELEASE = {"images": 2000, "rows": 20241}
ALL = "all"
TREE = """\
  Dev-Dataset/images/<25 characters>.jpg   2,000 frames
  Dev-Dataset/prompt-gt.csv                Prompt;Filename
  test-prompts.txt                         one a line (name it with data.test_prompts)"""


class MedvqaGi2024(DataModule):
    """Colonoscopy and gastroscopy frames with the prompts of MEDVQA-GI 2024; split by image.

    root: the folder that holds Dev-Dataset/. The split `test` is prompts without images; `all` is
    every image, which the papers compare with. per=image: one row of each image, chosen by hash."""

    version = 1
    modality = "colonoscopy"
    yields = (
        "image",
        "text",
        "texts",
        "texts.prompt",
        "texts.paraphrases",
        "sample_id",
        "subject_id",
        "meta",
    )
    splits = ("train", "validation", "test", ALL)
    text_only = ("test",)
    restricted = True
    licence = "CC BY-NC 4.0 for the images (Kvasir-VQA); the task's data by request"
    citation = (
        "Hicks et al., ImageCLEFmed MEDVQA-GI 2024; Gautam et al., Kvasir-VQA; "
        "Borgli et al., HyperKvasir; Jha et al., Kvasir-Instrument"
    )
    split_source = "by hash of the file name within each block of 500; patients are not known"
    location = ("root", "prepared")

    def __init__(
        self,
        root: str,
        image_size: int = 256,
        fit: Mode = "crop",
        per: Literal["row", "image"] = "row",
        join: bool = False,  # all prompts of an image as one text
        prompts: Literal["raw", "clean"] = "raw",  # clean: without the slips of the release
        paraphrases: str = "none",  # none, column, rules, or a file with Prompt and Paraphrase
        val_fraction: float = 0.1,  # of each block: 50 of 500
        table: str = "Dev-Dataset/prompt-gt.csv",  # relative to root
        test_prompts: str = "test-prompts.txt",  # relative to root
        expect: Expect = "full",
        bad_files: str | None = None,  # a list of files to leave out, one path a line
        prepared: str | None = None,
    ) -> None:
        super().__init__()
        self.root, self.fit = expand(root), Fit(image_size, fit)
        self.per, self.join, self.style, self.source = per, join, prompts, paraphrases
        self.val_fraction, self.expect, self.bad_files = val_fraction, expect, bad_files
        self.table, self.test_table = self.root / table, self.root / test_prompts
        self.images = self.root / "Dev-Dataset" / "images"
        self.prepared = prepared
        self.phantom = read_marker(self.root) is not None
        self._funnel: list[str] = []

    # what is there ---------------------------------------------------------------
    def check(self, level: Level = "fast") -> list[str]:
        mistakes = check_root(self.root, TREE)
        if mistakes:
            return mistakes
        try:
            rows, files = self._table_rows, self.files
            found = {"images": len({row.stem for row in rows}), "rows": len(rows)}
            mistakes += check_counts(found, RELEASE, self.expect, self.phantom)
            _, missing = split_missing(list(files.values()), self.root, self.expect)
            mistakes += missing or self._inspect(level)
            if self.test_table.is_file():
                read_test_prompts(self.test_table)
            if self.prepared:
                open_prepared(self.prepared, self.preparations()["resized"])
        except UserError as error:
            mistakes += error.mistakes
        return mistakes

    def _inspect(self, level: Level) -> list[str]:
        files = [self.files[stem] for stem in self.stems]
        found = inspect_files(files, level, work=self.work, label=f"check {KEY}")
        return found.sentences(self.root)

    @cached_property
    def _table_rows(self) -> list[Prompt]:
        if not self.images.is_dir():
            raise UserError(f"{self.images} is missing. Expected under {self.root}:\n{TREE}")
        rows = read_prompts(self.table)
        check_blocks(self.table, [row.stem for row in rows])
        return rows

    @cached_property
    def files(self) -> dict[str, Path]:
        """The file of each image that the table names; one that is not there as .jpg."""
        found: dict[str, Path] = {}
        for path in sorted(self.images.iterdir()):
            if path.suffix.lower() in SUFFIXES:
                other = found.setdefault(path.stem, path)
                if other != path:
                    raise UserError(f"{other} and {path.name} are one image twice; delete one.")
        named = dict.fromkeys(row.stem for row in self._table_rows)
        return {stem: found.get(stem, self.images / f"{stem}.jpg") for stem in named}

    @cached_property
    def stems(self) -> list[str]:
        """Images in use: named by the table, not left out, and there."""
        files = self.files
        funnel = Funnel(len(files))
        names = {path.relative_to(self.root).as_posix(): stem for stem, path in files.items()}
        left_out = {names[name] for name in read_bad_files(self.bad_files, names)}
        kept = [stem for stem in files if stem not in left_out]
        self._funnel = describe_bad_files({n for n, stem in names.items() if stem in left_out})
        missing, mistakes = split_missing([files[s] for s in kept], self.root, self.expect)
        if mistakes:
            raise UserError(*mistakes)
        if missing:
            kept = [stem for stem in kept if files[stem] not in missing]
            funnel.keep("those whose file is missing (expect=subset)", len(kept))
        if left_out:
            funnel.keep("those of data.bad_files", len(kept))
        self._funnel += funnel.lines()
        return kept

    def funnel(self) -> list[str]:
        return self._funnel if self.stems is not None else []

    # splits ------------------------------------------------------------------------
    def split(self, name: str) -> Split:
        if name not in self.splits:
            close = nearest(name, self.splits)
            raise UserError(f"split {name} does not exist{close} Known: {', '.join(self.splits)}.")
        return TestPrompts(self) if name == "test" else Frames(self, self.images_of(name))

    def images_of(self, split: str) -> list[str]:
        """The images of a split, in the order of the table."""
        held: set[str] = set()
        for prefix in BLOCKS:
            block = [stem for stem in self.stems if stem.startswith(prefix)]
            held.update(smallest(block, round(self.val_fraction * len(block)), KEY))
        if split == ALL:
            return self.stems
        return [stem for stem in self.stems if (stem in held) == (split == "validation")]

    def content(self, split: str) -> Any:
        """The tables' content, and each image's name and size."""
        if split == "test":
            return [hash_file(self._test_file())]
        files = [self.files[stem] for stem in self.images_of(split)]
        given = [self.source] if self.source not in ("none", "column", "rules") else []
        tables = [hash_file(path) for path in (self.table, *map(expand, given))]
        return [tables, hash_files(self.root, files, content=False), read_marker(self.root)]

    def _test_file(self) -> Path:
        if not self.test_table.is_file():
            raise UserError(
                f"{self.test_table} is missing: the test prompts are a download of their own. Put "
                "them into the root and name them with data.test_prompts=FILE."
            )
        return self.test_table

    def test_rows(self) -> list[str]:
        """The prompts of the test."""
        rows = read_test_prompts(self._test_file())
        return [clean(row) for row in rows] if self.style == "clean" else rows

    def rows_of(self, stem: str) -> list[Prompt]:
        """The rows of one image, as they stand in the table."""
        return self._by_image[stem]

    @cached_property
    def _by_image(self) -> Mapping[str, list[Prompt]]:
        found: dict[str, list[Prompt]] = {}
        for row in self._table_rows:
            text = clean(row.text) if self.style == "clean" else row.text
            found.setdefault(row.stem, []).append(Prompt(text, row.stem, row.paraphrase))
        return found

    # pictures ------------------------------------------------------------------------
    def preparations(self) -> dict[str, Preparation]:
        names = [self.files[stem].relative_to(self.root).as_posix() for stem in self.stems]
        return {"resized": resized(self.root, names, self.fit)}

    @cached_property
    def reader(self) -> PictureReader:
        found = None
        if self.prepared:
            found = open_prepared(self.prepared, self.preparations()["resized"])
        return PictureReader(self.root, self.fit, prepared=found)

    @cached_property
    def known_paraphrases(self) -> dict[str, list[str]]:
        """Of a user's file; it must know every training prompt."""
        if self.source in ("none", "column", "rules"):
            return {}
        found = read_paraphrases(expand(self.source))
        rows = (row for stem in self.images_of("train") for row in self.rows_of(stem))
        missing = [row.text for row in rows if row.text not in found]
        if missing:
            raise UserError(
                f"paraphrases={self.source} has none for {len(set(missing))} training prompts, "
                f"such as {missing[0]!r}. Add them, or use paraphrases=rules."
            )
        return found

    def paraphrases_of(self, row: Prompt, place: int) -> list[str]:
        """Other words for a row; the prompt itself where there are none."""
        if self.source == "column":
            return [row.paraphrase or row.text]
        if self.source == "rules":
            try:
                return [paraphrase(row.text, mix("paraphrase", row.stem, place))]
            except ValueError:  # a few rows of the release follow no template
                return [row.text]
        return self.known_paraphrases.get(row.text, [row.text])


class Frames:
    """Rows (or images) of one split."""

    def __init__(self, module: MedvqaGi2024, stems: list[str]) -> None:
        self.module = module
        whole = module.per == "image" or module.join
        self._places: list[tuple[str, int]] = []
        for stem in stems:
            count = len(module.rows_of(stem))
            chosen = [mix("row", stem) % count] if whole else range(count)
            self._places += [(stem, place) for place in chosen]
        if not self._places:
            raise UserError(f"{module.root}: no images fall into this split.")

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        stem, _ = self._places[index]
        module, sample = self.module, self.describe(index)
        name = module.files[stem].relative_to(module.root).as_posix()
        image, (height, width) = module.reader.read(name)
        return {"image": image} | sample | {"meta": sample["meta"] | {"size": f"{width}x{height}"}}

    def describe(self, index: int) -> Sample:
        """A sample without its image."""
        stem, place = self._places[index]
        module = self.module
        rows = module.rows_of(stem)
        row = rows[place]
        text = " ".join(r.text for r in rows) if module.join else row.text
        others = [text] if module.join else module.paraphrases_of(row, place)
        return {
            "text": text,
            "texts": {"prompt": text, "paraphrases": others},
            "sample_id": f"{stem}#{place}",
            "subject_id": stem,
            "meta": {
                "block": BLOCKS[stem[:6]],
                "name": stem,
                "template": "joined" if module.join else template_of(row.text),
                "source": "phantom" if module.phantom else KEY,
            },
        }


class TestPrompts:
    """The prompts of the test, which have no images."""

    def __init__(self, module: MedvqaGi2024) -> None:
        self._rows = module.test_rows()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        return self.describe(index)

    def describe(self, index: int) -> Sample:
        text = self._rows[index]
        return {
            "text": text,
            "texts": {"prompt": text, "paraphrases": [text]},
            "sample_id": f"test#{index}",
            "subject_id": f"test#{index}",
            "meta": {"template": template_of(text), "source": KEY},
        }
