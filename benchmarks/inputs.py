"""What a metric asks for, by the names of its declaration: taken from passes, samples and pairs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.extractors import Extractor
from benchmarks.features import Extracted, fit
from benchmarks.groups import group_of, place_of
from benchmarks.jobs import Job
from benchmarks.pictures import Made, Pictures, part
from benchmarks.sources import Source
from datamodules.controls import as_control, extract, grey_levels
from medbench.core.classes import load_class
from medbench.core.errors import UserError, nearest

# Inputs that do not belong to generated rows, so that a part of those leaves them whole.
WHOLE = {
    *("real_features", "real_outputs", "score_names", "label_names", "race_names"),
    *("train_features", "heldout_features", "train_subjects", "heldout_subjects"),
    "second_values",
}
HOUNSFIELD = (-1024.0, 600.0)


class Inputs:
    """The inputs of one job, each made once."""

    def __init__(
        self,
        job: Job,
        fakes: Mapping[str, Source],
        reals: Mapping[str, Source],
        extractors: Mapping[str, Extractor],
        passes: Callable[[str, str, str], Extracted],
        resolution: int,
    ) -> None:
        self.job, self.fakes, self.reals = job, fakes, reals
        self.extractors, self._passes, self.resolution = extractors, passes, resolution
        self.source = fakes[job.arm]
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            maker = getattr(self, f"_{name}", None)
            if maker is None:
                raise UserError(f"{self.job.name}: the input {name} cannot be made here.")
            self._made[name] = maker()
        return self._made[name]

    def __contains__(self, name: str) -> bool:
        try:
            self[name]
        except UserError:
            return False
        return True

    def whole(self) -> tuple[Any, ...]:
        return tuple(self[name] for name in self.job.metric.needs)

    def rows(self, rows: np.ndarray) -> tuple[Any, ...]:
        """The inputs of some generated rows."""
        needs = self.job.metric.needs
        return tuple(self[name] if name in WHOLE else part(self[name], rows) for name in needs)

    def more(self, rows: np.ndarray | None = None) -> dict[str, Any]:
        """Those that the metric may need and that are at hand, by keyword."""
        found = {}
        for name in self.job.metric.may_need:
            if name in self:
                whole = self[name]
                found[name] = whole if rows is None or name in WHOLE else part(whole, rows)
        return found

    @property
    def n(self) -> int:
        return len(self.kept)

    @cached_property
    def kept(self) -> np.ndarray:
        """Which of the generated rows these are: all, or those of a group."""
        return np.arange(len(self.source))

    @cached_property
    def about(self) -> list[dict[str, Any]]:
        """Each generated sample without its arrays."""
        if self.job.extractor:
            return self.fake().rows
        return [self.source.row(index) for index in range(self.n)]

    @property
    def subjects(self) -> list[str]:
        """Whose images these are: of the real sample behind each, where it is known."""
        return [str(row["subject_id"]) for row in self.about]

    # passes ------------------------------------------------------------------------
    def _extractor(self, option: str = "") -> Extractor:
        return self.extractors[self.job.options[option] if option else str(self.job.extractor)]

    def fake(self, option: str = "") -> Extracted:
        name = self.job.options[option] if option else str(self.job.extractor)
        return self._passes("fake", self.job.arm, name)

    def real(self, name: str | None) -> Extracted:
        return self._passes("real", str(name), str(self.job.extractor))

    def _real_features(self) -> np.ndarray:
        return self.real(self.job.real).features

    def _fake_features(self) -> np.ndarray:
        return self.fake().features

    _real_outputs, _fake_outputs = _real_features, _fake_features

    def _train_features(self) -> np.ndarray:
        return self.real(self.job.options["train"]).features

    def _heldout_features(self) -> np.ndarray:
        return self.real(self.job.options["heldout"]).features

    def _train_subjects(self) -> list[str]:
        return self.real(self.job.options["train"]).subjects

    def _heldout_subjects(self) -> list[str]:
        return self.real(self.job.options["heldout"]).subjects

    def _scores(self) -> np.ndarray:
        return np.asarray(self.fake().scores)

    def _score_names(self) -> list[str]:
        names = list(self._extractor().label_names)
        if not names:
            raise UserError(
                f"{self.job.name}: the extractor {self.job.extractor} judges nothing; name one "
                "that gives scores."
            )
        return names

    def _real_scores(self) -> np.ndarray:
        return np.asarray(self._passes("pairs", self.job.arm, str(self.job.extractor)).scores)

    def _probabilities(self) -> np.ndarray:
        names = self._score_names()
        groups = list(dict.fromkeys(n.partition("=")[0] for n in names if "=" in n))
        group = self.job.options.get("group") or (groups[0] if len(groups) == 1 else None)
        columns = [k for k, n in enumerate(names) if n.partition("=")[0] == group and "=" in n]
        if not columns:
            close = nearest(str(group), groups) or f"; there are {', '.join(groups) or 'none'}."
            raise UserError(
                f"{self.job.name}: group={group} names no classes of {self.job.extractor}{close}"
            )
        return np.asarray(self.fake().scores)[:, columns]

    def _image_embeddings(self) -> np.ndarray:
        return self.fake().features

    def _text_embeddings(self) -> np.ndarray:
        extractor: Any = self._extractor()
        if not hasattr(extractor, "embed_texts"):
            raise UserError(
                f"{self.job.name}: the extractor {self.job.extractor} reads no texts; name a CLIP."
            )
        return np.asarray(extractor.embed_texts(self.texts()))

    def _posture(self) -> np.ndarray:
        found = self.fake().features
        if found.shape[1] != 5:
            raise UserError(
                f"{self.job.name}: the extractor {self.job.extractor} gives {found.shape[1]} "
                "numbers an image; a posture network gives 5."
            )
        return np.asarray(found)

    def _race_scores(self) -> np.ndarray:
        return np.asarray(self.fake("race").scores)

    def _race_names(self) -> list[str]:
        return [name.rpartition("=")[2] for name in self._extractor("race").label_names]

    def _races(self) -> list[str]:
        names, found = self["race_names"], []
        for row in self.facts("race"):
            value = row["race"]
            found.append(str(value) if isinstance(value, str) else names[int(value)])
        return found

    def _predicted_ages(self) -> np.ndarray:
        found = self.fake("age")
        values = found.scores if found.scores.shape[1] == 1 else found.features
        return np.asarray(values[:, 0], np.float64)

    def _ages(self) -> np.ndarray:
        return np.array([float(row["age"]) for row in self.facts("age")])

    def facts(self, key: str) -> list[dict[str, Any]]:
        """The rows that say something of each sample: the request's own, or the real sample's."""
        for rows in (self.about, self.pair_rows() if self.source.pairs else []):
            found = [place_of(row, key) for row in rows]
            if found and all(place is not None for place in found):
                return [dict(place) for place in found if place is not None]
        column = "a column for each label (1, 0 or empty)" if key == "labels" else f"a column {key}"
        raise UserError(
            f"{self.job.name} needs the {key} of every generated image: {column} of the table, or "
            "data=NAME, whose samples have it."
        )

    def pair_rows(self) -> list[dict[str, Any]]:
        pairs = self.real_rows()
        return [pairs.row(index) for index in range(len(pairs))]

    # texts and labels ------------------------------------------------------------------
    def texts(self) -> list[str]:
        return [str(row["text"]) for row in self.facts("text")]

    def _labels(self) -> np.ndarray:
        rows = self.facts("labels")
        names = self._label_names()
        table = np.full((len(rows), len(names)), np.nan)
        for place, row in enumerate(rows):
            given = dict(zip(self._names_of(row), row["labels"], strict=True))
            for column, name in enumerate(names):
                value = given.get(name)
                table[place, column] = np.nan if value is None else float(value)
        return table

    def _names_of(self, row: Mapping[str, Any]) -> list[str]:
        called = self.job.options.get("called") or {}
        return [called.get(name, name) for name in row["label_names"]]

    def _label_names(self) -> list[str]:
        """All, or those that the entry lists; under the names that the scores have."""
        found = self._names_of(self.facts("labels")[0])
        wanted = self.job.options.get("labels")
        if wanted is None:
            return [n for n in found if n in self["score_names"]] if self.job.extractor else found
        called = self.job.options.get("called") or {}
        names = [called.get(name, name) for name in wanted]
        for name in names:
            if name not in found:
                raise UserError(
                    f"{self.job.name}: the images have no label {name}{nearest(name, found)}. "
                    f"They have {', '.join(found)}."
                )
        return names

    def _groups(self) -> list[str]:
        key = self.job.options.get("pairing")
        if key is None:
            return ["all"] * self.n
        return [str(group_of(row, key)) for row in self.about]

    # images ------------------------------------------------------------------------
    def real_rows(self) -> Source:
        if self.source.pairs is None:
            raise UserError(
                f"{self.job.name} compares each generated image with the real one of its request, "
                "which is not known: name data=NAME, or a folder of real images whose file names "
                "or sample_ids are the generated ones'."
            )
        return self.source.pairs

    def _fake_images(self) -> Pictures:
        return Pictures(self.source, self.resolution)

    def _real_images(self) -> Pictures:
        key = "prior_image" if self.job.options.get("against") == "prior" else "image"
        return Pictures(self.real_rows(), self.resolution, key)

    def _controls(self) -> dict[str, np.ndarray]:
        """The maps of the requests; one that the data do not yield is taken from the real image."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.job.options["controls"]}
        pairs = self.real_rows()
        for index in range(len(pairs)):
            sample = pairs.samples[index]
            given = sample.get("controls") or {}
            for name, maps in found.items():
                control = given.get(name)
                maps.append(self._map(name, sample["image"]) if control is None else control)
        return {name: self._stacked(maps) for name, maps in found.items()}

    def _fake_controls(self) -> dict[str, np.ndarray]:
        """The same maps, taken from the generated images at their own size."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.job.options["controls"]}
        for index in range(self.n):
            image = self.source.samples[index]["image"]
            for name, maps in found.items():
                maps.append(self._map(name, image))
        return {name: self._stacked(maps) for name, maps in found.items()}

    def _map(self, name: str, image: np.ndarray) -> np.ndarray:
        return as_control(extract(name, grey_levels(image)))

    def _stacked(self, maps: list[np.ndarray]) -> np.ndarray:
        return np.stack([fit(control, self.resolution)[0] for control in maps])

    def _fake_masks(self) -> dict[str, Sequence[np.ndarray]]:
        return self._segmented(self["fake_images"])

    def _real_masks(self) -> dict[str, Sequence[np.ndarray]]:
        return self._segmented(self["real_images"])

    def _segmented(self, pictures: Sequence[np.ndarray]) -> dict[str, Sequence[np.ndarray]]:
        function = load_class(self.job.options["segment"])
        found: dict[str, list[np.ndarray]] = {}
        for image in pictures:
            for name, mask in function(image).items():
                found.setdefault(name, []).append(np.squeeze(np.asarray(mask)) > 0)
        return dict(found)

    # volumes -----------------------------------------------------------------------
    def _volumes_hu(self) -> Made:
        low, high = self.job.options.get("window") or HOUNSFIELD

        def hounsfield(image: np.ndarray) -> np.ndarray:
            return (image[0].astype(np.float64) + 1) / 2 * (high - low) + low

        return Made(self["fake_images"], hounsfield)

    def _volume_masks(self) -> Sequence[Mapping[str, np.ndarray]]:
        dotted = self.job.options.get("segment")
        if dotted is None:
            return Made(range(self.n), self._own_masks)
        function, volumes, spacing = load_class(dotted), self["volumes_hu"], self["spacing_mm"]
        return Made(range(self.n), lambda index: function(volumes[index], spacing[index]))

    def _own_masks(self, index: int) -> dict[str, np.ndarray]:
        sample = self.source.samples[index]
        if "masks" not in sample:
            raise UserError(
                f"{self.job.name} needs masks, which {sample['sample_id']} lacks; name what "
                "segments a volume with segment=DOTTED.PATH."
            )
        return {name: np.squeeze(mask) for name, mask in sample["masks"].items()}

    def _spacing_mm(self) -> np.ndarray:
        """Of the generated volumes, or of the real ones of their requests."""
        pairs = self.source.pairs or self.source
        found = []
        for index in range(self.n):
            sample = self.source.samples[index]
            sample = sample if "spacing_mm" in sample else pairs.samples[index]
            if "spacing_mm" not in sample:
                raise UserError(
                    f"{self.job.name} needs the edges of a voxel, which {sample['sample_id']} does "
                    "not tell: give NIfTI files, or data=NAME."
                )
            found.append(np.asarray(sample["spacing_mm"], np.float64))
        return np.stack(found)


def lacking(job: Job, fakes: Mapping[str, Source], reals: Mapping[str, Source]) -> str | None:
    """Why a metric cannot be measured on these images, found without opening one; or None."""
    arms = [job.arm, *([job.options["second"]] if "second" in job.options else [])]
    if job.asks and any("text" not in fakes[arm].row(0) for arm in arms):
        return (
            "the generated images have no prompts. Give them with captions=FILE (columns file and "
            "text)."
        )
    alone = replace(job, extractor=None)
    probe = Inputs(alone, fakes, reals, {}, _no_pass, 0)
    facts = {"labels": "labels", "races": "race", "ages": "age", "text_embeddings": "text"}
    paired = {"real_images", "real_scores", "controls", "real_masks"}
    try:
        for need in job.metric.needs:
            if need in facts:
                probe.facts(facts[need])
            elif need in paired:
                probe.real_rows()
    except UserError as error:
        return str(error).replace(f"{job.name} ", "it ", 1)
    sets = [
        reals[job.options[key]].fingerprint for key in ("train", "heldout") if key in job.options
    ]
    if len(sets) == 2 and sets[0] == sets[1]:
        return "the images that were trained on and those held out are the same; name another."
    return None


def labels_of(job: Job, fakes: Mapping[str, Source], reals: Mapping[str, Source]) -> list[str]:
    """Names of the labels that a metric of labels goes by."""
    probe = Inputs(replace(job, extractor=None), fakes, reals, {}, _no_pass, 0)
    return list(probe["label_names"])


def _no_pass(side: str, name: str, extractor: str) -> Extracted:
    raise UserError(f"{name} was not shown to {extractor}.")
