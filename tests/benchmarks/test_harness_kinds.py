"""Every kind of input reaches its metric: labels, pairs, texts, controls, masks, arms, groups."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.features import cached, extract
from benchmarks.harness import measure
from benchmarks.images import resized
from benchmarks.ranking import compare
from benchmarks.sources import Source, paired
from medbench.core.errors import UserError

NAMES = ["Edema", "Fracture"]
SIDE = 16


class Lungs:
    """Grey images whose two corners say which findings they show; sexes alternate."""

    def __init__(self, seed: int, n: int, noise: float = 0.1, side: int = SIDE) -> None:
        rng = np.random.default_rng(seed)
        self.labels = np.random.default_rng(7).integers(0, 2, (n, 2)).astype(np.float32)
        self.noise = rng.normal(0, noise, (n, 1, side, side)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.labels)

    def describe(self, index: int) -> dict[str, Any]:
        labels = self.labels[index].copy()
        if index == 3:
            labels[1] = np.nan
        name = f"s{index}"
        about = {"sample_id": name, "subject_id": f"p{index // 2}", "text": "a lung"}
        about |= {"meta": {"sex": "FM"[index % 2]}, "age": 70.0 if index < 5 else 50.0}
        return about | {"labels": labels, "label_names": NAMES}

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = self.noise[index].copy()
        image[0, :4, :4] += self.labels[index, 0] - 0.5
        image[0, -4:, -4:] += self.labels[index, 1] - 0.5
        return self.describe(index) | {"image": np.clip(image, -1, 1)}


class Eye:
    """Reads the corners."""

    channels, size, label_names = 1, SIDE, NAMES

    def __init__(self, fingerprint: str = "eye") -> None:
        self.fingerprint, self.seen, self.kind = fingerprint, 0, "an eye"

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return resized(image, self.size)

    def extract(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.seen += len(images)
        corners = [images[:, 0, :4, :4].mean((1, 2)), images[:, 0, -4:, -4:].mean((1, 2))]
        features = images[:, 0, 6:10, 6:10].reshape(len(images), -1)
        return features, np.clip(np.stack(corners, 1) + 0.5, 0, 1)

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 16), np.float32)


def sources(n: int = 60, noise: float = 0.1) -> tuple[dict[str, Source], dict[str, Source]]:
    real = Source(Lungs(1, n), "real")
    fake = paired(Source(Lungs(2, n, noise), f"fake {noise}", "requests"), real)
    return {"reports": fake, "again": fake}, {"reference": real}


def measured(
    folder: Path, *entries: Any, eye: Any = None, noise: float = 0.1
) -> dict[str, dict[str, Any]]:
    protocol = {"resolution": SIDE, "extractors": {"eye": {}}, "metrics": list(entries)}
    fakes, reals = sources(noise=noise)
    found = measure(protocol, fakes, reals, {"eye": eye or Eye()}, folder, 0, quiet=True)
    return {value["name"]: value for value in found}


def test_auroc_has_a_value_for_each_class_by_name_with_interval_and_ceiling(
    tmp_path: Path,
) -> None:
    entry = {"metric": "auroc", "settings": {"findings": NAMES}, "by": ["sex", "age_band"]}
    eye = Eye()
    values = measured(tmp_path, entry, eye=eye)
    assert eye.seen == 60 + 60  # generated and real images of the requests, once each
    edema = values["auroc/Edema"]
    assert edema["low"] <= edema["value"] <= edema["high"] and edema["ceiling"] > 0.9
    assert {"auroc", "auroc/Fracture", "auroc [sex=F]", "auroc [sex=M]"} <= set(values)
    assert values["auroc [sex=F]"]["n"] == 30 and values["auroc [sex=F]"]["group"] == {"sex": "F"}
    small = values["auroc [age_band=60-79]"]
    assert small["n"] == 5 and small["value"] is None and "not measured" in small["note"]
    ids = [value["fingerprint"]["id"] for value in values.values()]
    assert len(set(ids)) == len(ids) and len(values["auroc"]["draws"]) == 100


def test_pairs_texts_and_structure_reach_their_metrics(tmp_path: Path) -> None:
    values = measured(
        tmp_path,
        "kl_bernoulli",
        "psnr",
        "clip_similarity",
        {"metric": "ms_ssim_k", "settings": {"pairs": 20}, "pairing": "sex"},
        {"metric": "control_consistency", "name": "follows", "controls": ["canny", "sobel"]},
        {"metric": "memorisation", "train": "reference", "heldout": "reference"},
    )
    assert values["kl_bernoulli"]["value"] > 0 and values["psnr"]["n"] == 60
    assert "20 pairs" in values["ms_ssim_k"]["note"]
    assert {"follows/canny", "follows/sobel", "clip_similarity"} <= set(values)
    assert all(v["value"] is None or np.isfinite(v["value"]) for v in values.values())


def test_what_a_metric_lacks_is_said(tmp_path: Path) -> None:
    fakes, reals = sources()
    alone = {"reports": Source(fakes["reports"].samples, "f", None)}
    protocol = {"resolution": SIDE, "extractors": {"eye": {}}, "metrics": ["psnr"]}
    with pytest.raises(UserError, match="psnr compares each generated image with the real one"):
        measure(protocol, alone, reals, {"eye": Eye()}, tmp_path, 0, quiet=True)
    entry = {"metric": "auroc", "labels": ["Edemma"]}
    with pytest.raises(UserError, match="no label Edemma; did you mean Edema"):
        measure(protocol | {"metrics": [entry]}, fakes, reals, {"eye": Eye()}, tmp_path, 0, True)
    with pytest.raises(UserError, match="metrics.memorisation.train is missing"):
        measure(protocol | {"metrics": ["memorisation"]}, fakes, reals, {"eye": Eye()}, tmp_path, 0)


def test_images_that_are_no_images_are_named(tmp_path: Path) -> None:
    class Broken(Lungs):
        def __getitem__(self, index: int) -> dict[str, Any]:
            sample = super().__getitem__(index)
            sample["image"][0, 0, 0] = np.nan if index == 5 else 0
            return sample

    protocol = {"resolution": SIDE, "extractors": {"eye": {}}, "metrics": ["fid"]}
    fakes = {"reports": Source(Broken(2, 60), "broken", None)}
    with pytest.raises(UserError, match="image s5 holds 1 values that are not finite"):
        measure(protocol, fakes, sources()[1], {"eye": Eye()}, tmp_path, 0, quiet=True)


def test_a_cache_entry_of_another_version_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    real = sources()[1]["reference"]
    eye = Eye()
    cached(real, {"eye": eye}, SIDE, tmp_path, "real", quiet=True)
    (entry,) = tmp_path.glob("*.json")
    entry.write_text(entry.read_text().replace('"version": 2', '"version": 1'))
    cached(real, {"eye": eye}, SIDE, tmp_path, "real", quiet=True)
    assert eye.seen == 120 and "version 1, now 2" in caplog.text
    cached(real, {"eye": eye}, SIDE, tmp_path, "real", quiet=True)
    assert eye.seen == 120


def test_two_extractors_share_one_decoding(tmp_path: Path) -> None:
    opened = []

    class Counted(Lungs):
        def __getitem__(self, index: int) -> dict[str, Any]:
            opened.append(index)
            return super().__getitem__(index)

    source = Source(Counted(1, 30), "counted")
    eyes = {"one": Eye("one"), "two": Eye("two")}
    extract(source, eyes, SIDE, tmp_path, "real", quiet=True)
    assert sorted(opened) == list(range(30)) and [eye.seen for eye in eyes.values()] == [30, 30]


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """Peak of Python's own allocations over a pass, for 256 and for 1,536 images."""

    class Many:
        def __init__(self, n: int) -> None:
            self.n = n

        def __len__(self) -> int:
            return self.n

        def __getitem__(self, index: int) -> dict[str, Any]:
            image = np.full((1, 64, 64), 0.1, np.float32)
            image[0, 0, 0] = 0.5
            return {"image": image, "sample_id": str(index), "subject_id": str(index)}

    peaks = []
    for n in (256, 1536):
        tracemalloc.start()
        extract(Source(Many(n), f"many {n}"), {"eye": Eye()}, 64, tmp_path, "x", quiet=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2 * 2**20  # images alone would add 20 MiB


def test_rows_are_compared_in_pairs_and_weights_alone_are_told_apart(tmp_path: Path) -> None:
    def result(row: str, **changes: Any) -> dict[str, Any]:
        values = list(measured(tmp_path, "fid", **changes).values())
        return {"row": row, "seed": 0, "settings": row, "stages": [], "values": values}

    results = [result("good"), result("bad", noise=0.6), result("same")]
    results.append(result("other", eye=Eye("another")))
    rows = {row.name: row.cells["fid"] for row in compare(results, ["fid"]).rows()}
    assert rows["bad"].p is not None and rows["bad"].p < 0.001
    assert rows["same"].p == 1.0 or rows["good"].p == 1.0
    assert rows["other"].apart == "differs in nothing but the weights of the extractor"
