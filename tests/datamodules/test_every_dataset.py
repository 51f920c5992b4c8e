"""What every dataset owes: found in the folders, so that a new one joins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.base import DataModule
from datamodules.folder import Folder
from datamodules.phantom.writing import LAYOUTS as WRITERS
from datamodules.phantom.writing import write_layout
from medbench.core.batch import KEYS, Sample
from medbench.core.classes import load_class, read_class
from medbench.core.fingerprint import canonical
from medbench.core.sample_set import write_image
from medbench.library import Library

LIBRARY = Library([Path(__file__).parents[1] / "outside"])
FEW = 12
# dataset: its layout, images in it, and settings; one that is not here has the layout of its name
LAYOUTS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "ct_rate": ("ct_rate", 6, {"size": 16}),
    "ct_report": ("ct_report", 6, {"size": 16}),
    "radchest": ("radchest", 6, {"size": 16}),
    "eye_gaze_cxr": ("eye_gaze_cxr", FEW, {"size": 32}),
    "gaze_combined": ("gaze_combined", FEW, {"size": 32}),
    "reflacx": ("reflacx", FEW, {"size": 32}),
    "hyper_kvasir": ("hyper_kvasir", 46, {"image_size": 32}),
    "kvasir_instrument": ("kvasir_instrument", 20, {"image_size": 32}),
    "medvqa_gi_2024": ("medvqa_gi_2024", 40, {"image_size": 32}),
    "chexpert": ("chexpert", 30, {"image_size": 32}),
    "mimic_cxr_jpg": ("mimic_cxr_jpg", 60, {"image_size": 32}),
    "mimic_cxr_lt": ("mimic_cxr_lt", 30, {"image_size": 32}),
    "mimic_journeys": ("mimic_cxr_jpg", 60, {"image_size": 32, "registration": "none"}),
}
DRAWN: dict[str, dict[str, Any]] = {"phantom_ct": {"size": 16, "of": 32, "text_only": 3}}


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """Each layout, written once when it is first asked for."""
    found: dict[tuple[str, int], Path] = {}

    def root_of(layout: str, n: int) -> Path:
        if (layout, n) not in found:
            dest = tmp_path_factory.mktemp(layout) / "root"
            found[layout, n] = write_layout(layout, dest, n, size=48)
        return found[layout, n]

    return root_of


def make(name: str, tmp_path: Path, roots: Callable[[str, int], Path]) -> DataModule:
    """The dataset with a few samples: drawn, from its layout, or from a folder of images."""
    block = LIBRARY.read("data", name)
    parameters = read_class(block["class"]).parameters
    settings = {key: value for key, value in block.items() if key not in ("class", "scales")}
    layout, n, own = LAYOUTS.get(name, (name, FEW, {}))
    if layout not in WRITERS and read_class(block["class"]).attributes.get("restricted"):
        pytest.fail(f"{name} is restricted and has no layout: it is tested through its writer")
    if layout in WRITERS:
        settings |= {"root": str(roots(layout, n))} | own
    else:
        settings |= {key: FEW for key in parameters if key.startswith("n_") or key == "n"}
        settings |= DRAWN.get(name, {})
    if "root" in parameters and layout not in WRITERS:
        draw = np.random.default_rng(0)
        for i in range(FEW):
            image = draw.uniform(-1, 1, (3, 16, 16)).astype(np.float32)
            write_image(tmp_path / f"{i:02d}.png", image, 8)
        settings["root"] = str(tmp_path)
    return load_class(block["class"])(**settings)


@pytest.fixture(scope="session", params=LIBRARY.names("data"))
def data(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    roots: Callable[[str, int], Path],
) -> DataModule:
    return make(request.param, tmp_path_factory.mktemp("folder"), roots)


def said(split: Any, index: int) -> Sample:
    """A sample, without its arrays where the split can tell it so."""
    return split.describe(index) if hasattr(split, "describe") else split[index]


def test_samples_keep_the_contract(data: DataModule) -> None:
    assert data.check() == []
    yields = {key.split(".")[0] for key in data.yields}
    assert yields <= set(KEYS)
    for name in data.splits:
        split = data.split(name)
        for index in range(min(3, len(split))):
            sample = split[index]
            assert set(sample) <= yields
            assert {"sample_id", "subject_id"} <= set(sample)
            assert ("image" in sample) == (name not in data.text_only)
            image = sample.get("image", np.zeros((1, 1, 1), np.float32))
            assert image.dtype == np.float32 and image.ndim in (3, 4)
            assert np.abs(image).max() <= 1
            for mask in sample.get("masks", {}).values():
                assert mask.dtype == np.uint8 and mask.shape[1:] == image.shape[1:]
            if "labels" in sample:
                assert sample["labels"].shape == (len(sample["label_names"]),)


def test_samples_are_the_same_each_time_and_nobody_can_spoil_them(data: DataModule) -> None:
    split = data.split(data.splits[0])
    assert len(split), "the first split is empty"
    first = split[0]["image"].copy()
    split[0]["image"][:] = 7
    assert np.array_equal(split[0]["image"], first)


def test_no_subject_stands_in_two_splits(data: DataModule) -> None:
    subjects = []
    for name in ("train", "validation", "test"):
        split = data.split(name)
        subjects.append({said(split, i)["subject_id"] for i in range(len(split))})
    assert not subjects[0] & subjects[1]
    assert not subjects[0] & subjects[2]
    assert not subjects[1] & subjects[2]


def test_ids_are_unique_in_a_split(data: DataModule) -> None:
    split = data.split(data.splits[0])
    ids = [said(split, i)["sample_id"] for i in range(len(split))]
    assert len(set(ids)) == len(ids)


def test_a_description_is_the_sample_without_what_costs(data: DataModule) -> None:
    for name in data.splits:
        split = data.split(name)
        if not hasattr(split, "describe") or not len(split):
            continue
        row, sample = split.describe(0), split[0]
        assert "image" not in row and set(row) <= set(sample)
        assert row["sample_id"] == sample["sample_id"]
        assert row["subject_id"] == sample["subject_id"]


def test_a_dataset_says_what_a_user_must_know(data: DataModule) -> None:
    kind = type(data)
    if kind.__module__.startswith("datamodules."):
        assert kind.licence and kind.split_source and (kind.citation or kind is Folder)
        known = read_class(f"{kind.__module__}.{kind.__name__}").parameters
        assert set(kind.location) <= set(known)
    assert set(data.text_only) <= set(data.splits)
    canonical(data.content(data.splits[0]))  # a fingerprint can be made of it
