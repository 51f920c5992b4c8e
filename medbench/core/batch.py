"""The batch contract: every key that a sample may have, with its shape, type and range."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medbench.core.errors import UserError

Sample = dict[str, Any]
Batch = dict[str, Any]


@dataclass(frozen=True)
class Key:
    shape: str
    dtype: str
    meaning: str


KEYS = {
    "image": Key("(C, H, W) or (C, D, H, W)", "float32", "in [-1, 1]"),
    "text": Key("one string", "str", "the text that the data or the arm selects out of texts"),
    "texts": Key(
        "dict of strings, or of lists of strings",
        "str",
        "report, findings, impression, progression, prompt, paraphrases, question, answer",
    ),
    "labels": Key("(K,)", "float32", "NaN = unlabelled; named by label_names"),
    "label_names": Key("K strings", "str", "`name`, or `group=value` where one value holds"),
    "prior_image": Key("as image", "float32", "in [-1, 1]"),
    "prior_valid": Key("one value", "bool", "false where prior_image is a placeholder"),
    "controls": Key("dict of (1, H, W)", "float32", "maps in [0, 1]"),
    "gaze": Key("(F, 4)", "float32", "x, y in [0, 1], start and duration in seconds"),
    "masks": Key("dict of (1, *spatial)", "uint8", "one structure each"),
    "spacing_mm": Key("(2,) or (3,)", "float32", "of the yielded array"),
    "age": Key("one value", "float32", "years, NaN = unknown"),
    "race": Key("one value", "int64", "-1 = unknown"),
    "sample_id": Key("one string", "str", "unique in its dataset"),
    "subject_id": Key("one string", "str", "splits and bootstraps go by it"),
    "meta": Key("flat dict", "str or number", "for manifests and reports; no method may read it"),
}


def missing_keys(needs: Sequence[str], yields: Sequence[str]) -> list[str]:
    """The needed keys that are not there. `texts.paraphrases` asks for one entry of a dict key."""
    return [key for key in needs if key not in yields]


def collate(samples: Sequence[Sample]) -> Batch:
    """Arrays and numbers stacked into tensors, dicts key by key, everything else as lists."""
    if not samples:
        raise ValueError("an empty batch")
    keys = samples[0].keys()
    if any(sample.keys() != keys for sample in samples):
        odd = set().union(*samples) - set(keys).intersection(*samples)
        raise UserError(f"Samples of one batch differ in their keys: {sorted(odd)}.")
    _refuse_mixed_shapes(samples)
    return {key: _collate_key(key, [sample[key] for sample in samples]) for key in keys}


def _refuse_mixed_shapes(samples: Sequence[Sample]) -> None:
    """Say which images cannot stand in one batch, and how to make them agree."""
    for key in ("image", "prior_image"):
        shapes = [tuple(getattr(sample.get(key), "shape", ())) for sample in samples]
        for sample, shape in zip(samples, shapes, strict=True):
            if shape != shapes[0]:
                raise UserError(
                    f"{key} of {samples[0].get('sample_id')} has the shape {shapes[0]} and "
                    f"that of {sample.get('sample_id')} {shape}: one batch needs one shape. "
                    "Set data.image_size, or keep colour and grey images apart."
                )


def _collate_key(key: str, values: list[Any]) -> Any:
    import numpy as np
    import torch

    if key in ("controls", "masks"):
        return {name: _collate_key(name, [v[name] for v in values]) for name in values[0]}
    if key == "label_names":
        return list(values[0])
    first = values[0]
    if key == "gaze" or isinstance(first, str | dict | list | tuple):
        return list(values)
    if isinstance(first, torch.Tensor):
        return torch.stack(values)
    return torch.from_numpy(np.stack([np.asarray(value) for value in values]))


def to_device(batch: Batch, device: Any) -> Batch:
    """The same batch with its tensors moved."""
    import torch

    def move(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.to(device, non_blocking=True)
        return {k: move(v) for k, v in value.items()} if isinstance(value, dict) else value

    return {key: move(value) for key, value in batch.items()}
