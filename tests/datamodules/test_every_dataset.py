"""What every dataset owes: found in the folders, so that a new one joins."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.base import DataModule
from medbench.core.batch import KEYS
from medbench.core.classes import load_class, read_class
from medbench.core.sample_set import write_image
from medbench.library import Library

LIBRARY = Library([Path(__file__).parents[1] / "outside"])
FEW = 12


def make(name: str, tmp_path: Path) -> DataModule:
    """The dataset with a few samples; one that reads a folder finds images there."""
    block = LIBRARY.read("data", name)
    parameters = read_class(block["class"]).parameters
    settings = {key: value for key, value in block.items() if key not in ("class", "scales")}
    settings |= {key: FEW for key in parameters if key.startswith("n_") or key == "n"}
    if "root" in parameters:
        draw = np.random.default_rng(0)
        for i in range(FEW):
            image = draw.uniform(-1, 1, (3, 16, 16)).astype(np.float32)
            write_image(tmp_path / f"{i:02d}.png", image, 8)
        settings["root"] = str(tmp_path)
    return load_class(block["class"])(**settings)


@pytest.fixture(params=LIBRARY.names("data"))
def data(request: pytest.FixtureRequest, tmp_path: Path) -> DataModule:
    return make(request.param, tmp_path)


def test_samples_keep_the_contract(data: DataModule) -> None:
    assert data.check() == []
    yields = {key.split(".")[0] for key in data.yields}
    assert yields <= set(KEYS)
    for name in data.splits:
        split = data.split(name)
        for index in range(min(3, len(split))):
            sample = split[index]
            assert set(sample) <= yields
            assert {"image", "sample_id", "subject_id"} <= set(sample)
            image = sample["image"]
            assert image.dtype == np.float32 and image.ndim in (3, 4)
            assert np.abs(image).max() <= 1
            for mask in sample.get("masks", {}).values():
                assert mask.dtype == np.uint8 and mask.shape[1:] == image.shape[1:]
            if "labels" in sample:
                assert sample["labels"].shape == (len(sample["label_names"]),)


def test_samples_are_the_same_each_time_and_nobody_can_spoil_them(data: DataModule) -> None:
    split = data.split(data.splits[0])
    first = split[0]["image"].copy()
    split[0]["image"][:] = 7
    assert np.array_equal(split[0]["image"], first)


def test_no_subject_stands_in_two_splits(data: DataModule) -> None:
    subjects = []
    for name in ("train", "validation", "test"):
        split = data.split(name)
        subjects.append({split[i]["subject_id"] for i in range(len(split))})
    assert not subjects[0] & subjects[1]
    assert not subjects[0] & subjects[2]
    assert not subjects[1] & subjects[2]


def test_ids_are_unique_in_a_split(data: DataModule) -> None:
    split = data.split(data.splits[0])
    ids = [split[i]["sample_id"] for i in range(len(split))]
    assert len(set(ids)) == len(ids)
