"""Samples to batches."""

import numpy as np
import pytest
import torch

from medbench.core.batch import collate, to_device
from medbench.core.errors import UserError


def sample(i: int) -> dict:
    return {
        "image": np.full((1, 2, 2), i, np.float32),
        "text": f"t{i}",
        "masks": {"polyp": np.zeros((1, 2, 2), np.uint8)},
        "gaze": np.zeros((i, 4), np.float32),
        "label_names": ["a", "b"],
        "age": np.float32(i),
        "meta": {"k": i},
    }


def test_arrays_are_stacked_and_the_rest_are_lists() -> None:
    batch = collate([sample(1), sample(2)])
    assert batch["image"].shape == (2, 1, 2, 2) and batch["image"].dtype == torch.float32
    assert batch["text"] == ["t1", "t2"] and batch["meta"] == [{"k": 1}, {"k": 2}]
    assert batch["masks"]["polyp"].shape == (2, 1, 2, 2)
    assert [len(g) for g in batch["gaze"]] == [1, 2]
    assert batch["label_names"] == ["a", "b"]
    assert batch["age"].tolist() == [1, 2]


def test_moving_keeps_what_is_no_tensor() -> None:
    batch = to_device(collate([sample(1)]), "cpu")
    assert batch["text"] == ["t1"] and batch["masks"]["polyp"].device.type == "cpu"


def test_samples_of_one_batch_have_the_same_keys() -> None:
    odd = sample(2)
    del odd["age"]
    with pytest.raises(UserError, match=r"differ in their keys: \['age'\]"):
        collate([sample(1), odd])
