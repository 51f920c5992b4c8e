"""The harness: one pass an image, a cache by content, fingerprints, and values that make sense."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.extractors import resized
from benchmarks.harness import measure
from benchmarks.sources import Source, split_source
from medbench.core.errors import UserError

NAMES = ["polyp", "tube", "count=0", "count=1", "count=2"]


def asked(prompt: str) -> tuple[str, dict[str, float]]:
    """`polyp 1` or `count 2`; anything else is not of the grammar."""
    template, _, value = prompt.partition(" ")
    if template == "polyp":
        return template, {"polyp": float(value)}
    if template != "count":
        raise ValueError(prompt)
    return template, {f"count={n}": float(n == int(value)) for n in range(3)}


class Pictures:
    """Images that carry their own truth: brightness of two corners says polyp and count."""

    def __init__(self, seed: int, n: int, right: float = 1.0, size: int = 16) -> None:
        rng = np.random.default_rng(seed)
        self.polyp, self.count = rng.integers(0, 2, n), rng.integers(0, 3, n)
        self.noise = rng.normal(0, 0.1, (n, 3, size, size)).astype(np.float32)
        follows = rng.uniform(size=n) < right
        self.shown = np.where(follows, self.polyp, rng.integers(0, 2, n))
        self.opened = 0

    def __len__(self) -> int:
        return len(self.polyp)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.opened += 1
        image = np.clip(self.noise[index], -1, 1)
        image[0, :4, :4] = self.shown[index] - 0.5
        image[1, -4:, -4:] = self.count[index] / 2 - 0.5
        if index % 2:
            text = f"polyp {self.polyp[index]}"
        else:
            text = f"count {self.count[index]}" if index else "something else"
        name = f"s{index}"
        meta = {"side": "first" if index < 40 else "other"}
        return {"image": image, "text": text, "sample_id": name, "subject_id": name, "meta": meta}


class Reader:
    """An extractor that reads the two corners, and counts the images that it was given."""

    channels, size = 3, 16

    def __init__(self, fingerprint: str = "reader") -> None:
        self.fingerprint, self.seen = fingerprint, 0
        self.label_names = NAMES

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return resized(image, self.size)

    def extract(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.seen += len(images)
        polyp = images[:, 0, :4, :4].mean((1, 2)) + 0.5
        count = np.rint((images[:, 1, -4:, -4:].mean((1, 2)) + 0.5) * 2).astype(int)
        scores = np.zeros((len(images), len(NAMES)), np.float32)
        scores[:, 0] = polyp
        scores[np.arange(len(images)), 2 + count] = 1
        return images[:, :, 4:12, 4:12].mean(3).reshape(len(images), -1), scores


PROTOCOL: dict[str, Any] = {
    "resolution": 16,
    "extractors": {"judge": {}},
    "metrics": [
        "fid",
        {"metric": "kid", "settings": {"subset_size": 60, "subsets": 10}},
        {"metric": "prc"},
        {"metric": "adherence", "real": "prompted", "asks": f"{__name__}.asked"},
    ],
}


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("benchmarks.adherence.load_class", lambda dotted: asked)
    return PROTOCOL


def sources(right: float = 1.0) -> tuple[dict[str, Source], dict[str, Source]]:
    fakes = {"prompts": Source(Pictures(2, 120, right), f"fake {right}", "requests")}
    reals = {
        "reference": Source(Pictures(1, 140), "real"),
        "prompted": Source(Pictures(2, 120), "p"),
    }
    return fakes, reals


def run(
    protocol: dict[str, Any], folder: Path, reader: Reader, right: float = 1.0, seed: int = 0
) -> dict[str, dict[str, Any]]:
    values = measure(protocol, *sources(right), {"judge": reader}, folder, seed, quiet=True)
    return {value["name"]: value for value in values}


def test_every_image_is_seen_once_and_a_cached_real_set_never(
    protocol: dict[str, Any], tmp_path: Path
) -> None:
    fakes, reals = sources()
    reader = Reader()
    first = measure(protocol, fakes, reals, {"judge": reader}, tmp_path, 0, quiet=True)
    assert reader.seen == 120 + 140 + 120
    again = measure(protocol, fakes, reals, {"judge": reader}, tmp_path, 0, quiet=True)
    assert reader.seen == 2 * 120 + 140 + 120 and first == again
    assert reals["reference"].samples.opened == 140  # type: ignore[attr-defined]
    measure(protocol, fakes, reals, {"judge": Reader("other")}, tmp_path, 0, quiet=True)
    assert reals["reference"].samples.opened == 280  # type: ignore[attr-defined]


def test_a_damaged_cache_entry_is_made_again(
    protocol: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(protocol, tmp_path, Reader())
    for path in tmp_path.glob("*.npy"):
        data = bytearray(path.read_bytes())
        data[-9] ^= 1
        path.write_bytes(bytes(data))
    reader = Reader()
    assert run(protocol, tmp_path, reader) == first
    assert reader.seen == 120 + 140 + 120 and caplog.text.count("are damaged or old") == 2


def test_values_carry_what_the_result_promises(protocol: dict[str, Any], tmp_path: Path) -> None:
    values = run(protocol, tmp_path, Reader())
    assert list(values) == [
        *("fid", "kid", "precision", "recall", "f1"),
        *("adherence/count", "adherence/polyp"),
    ]
    fid = values["fid"]
    assert set(fid) == {
        *("name", "metric", "arm", "extractor", "value", "low", "high", "n", "n_real"),
        *("direction", "fingerprint", "floor", "ceiling", "chance", "undefined", "note", "draws"),
    }
    assert fid["low"] < fid["value"] < fid["high"] and fid["ceiling"] is None
    assert fid["floor"]["m"] == 70 and (fid["n"], fid["n_real"]) == (120, 140)
    ratio = fid["floor"]["generated"] / fid["floor"]["value"]
    assert 0.7 < ratio < 1.4  # both are draws from one distribution
    polyp = values["adherence/polyp"]
    assert polyp["value"] == polyp["ceiling"] == 1.0 and polyp["chance"]["high"] < 0.8
    assert polyp["undefined"] == 1 and polyp["n"] == 60 and polyp["floor"] is None


def test_adherence_of_pictures_that_ignore_the_prompt_is_at_chance(
    protocol: dict[str, Any], tmp_path: Path
) -> None:
    polyp = run(protocol, tmp_path, Reader(), right=0.0)["adherence/polyp"]
    assert polyp["chance"]["low"] <= polyp["value"] <= polyp["chance"]["high"]
    assert polyp["ceiling"] == 1.0


def test_adherence_goes_by_group_and_its_parts_make_the_whole(
    protocol: dict[str, Any], tmp_path: Path
) -> None:
    grouped = protocol["metrics"][-1] | {"by": ["side"]}
    values = run(protocol | {"metrics": [grouped]}, tmp_path, Reader(), right=0.5)
    whole = values["adherence/polyp"]
    parts = [values[f"adherence/polyp [side={side}]"] for side in ("first", "other")]
    assert [part["n"] for part in parts] == [20, 40] and whole["n"] == 60
    assert sum(part["n"] * part["value"] for part in parts) == pytest.approx(60 * whole["value"])
    assert len({value["fingerprint"]["id"] for value in (whole, *parts)}) == 3


def test_fingerprints_hold_what_matters_and_no_seed(
    protocol: dict[str, Any], tmp_path: Path
) -> None:
    def ids(**changes: Any) -> list[str]:
        reader = changes.pop("reader", Reader())
        settings = protocol | changes.pop("protocol", {})
        found = run(settings, tmp_path, reader, **changes)
        return [value["fingerprint"]["id"] for value in found.values()]

    first = ids()
    assert len(set(first)) == len(first)
    assert ids(seed=7) == first and ids(right=0.5) == first
    assert not set(ids(reader=Reader("other"))) & set(first)
    assert not set(ids(protocol={"resolution": 8})) & set(first)


def test_mistakes_are_found_before_any_image_is_opened(
    protocol: dict[str, Any], tmp_path: Path
) -> None:
    reals = sources()[1]
    few = {"prompts": Source(Pictures(2, 3), "few", None)}
    entries = [
        {"metric": "prc"},
        {"metric": "kid", "name": "k", "settings": {"subset_size": 500}},
        {"metric": "fdi"},
        {"metric": "fid", "real": "referenec"},
        {"metric": "fid", "relas": "reference"},
        "fid",
        "fid",
    ]
    with pytest.raises(UserError) as caught:
        measure(protocol | {"metrics": entries}, few, reals, {"judge": Reader()}, tmp_path, 0)
    said = "\n".join(caught.value.mistakes)
    for words in (
        "prc needs at least 4 generated images; there are 3",
        "k: subset_size=500 is larger than the 3 generated images",
        "k: subset_size=500 is larger than the 140 real images",
        "fdi is not known; did you mean fid",
        "real=referenec is not there; there are reference, prompted",
        "relas is not known; did you mean real",
        "Two values would be called fid",
    ):
        assert words in said
    opened = [s.samples.opened for s in [*few.values(), *reals.values()]]  # type: ignore[attr-defined]
    assert opened == [0, 0, 0]


def test_what_is_no_image_of_the_kind_is_named(protocol: dict[str, Any], tmp_path: Path) -> None:
    class Odd(Pictures):
        def __getitem__(self, index: int) -> dict[str, Any]:
            sample = super().__getitem__(index)
            if index == 70:
                sample["image"] = sample["image"][:1]
            return sample

    reals = sources()[1]
    odd = {"prompts": Source(Odd(2, 120), "odd", None)}
    with pytest.raises(UserError, match="image s70 has the shape"):
        measure(protocol, odd, reals, {"judge": Reader()}, tmp_path, 0, quiet=True)
    same = {"prompts": Source(Pictures(1, 140), "real", None)}
    found = measure(protocol, same, reals, {"judge": Reader()}, tmp_path, 0, quiet=True)
    assert "The generated set is the real set." in found[0]["note"]
    assert found[0]["value"] == pytest.approx(0, abs=1e-6)


def test_a_split_source_is_named_by_data_and_choice() -> None:
    spec = {"split": "test", "n": 10}
    split = Pictures(1, 40)
    one, other = split_source(split, spec, "data"), split_source(split, spec | {"n": 11}, "data")
    assert len(one.samples) == 10 and one.fingerprint != other.fingerprint
    assert one.fingerprint == split_source(split, spec, "data").fingerprint


def test_resizing_filters_before_it_drops_pixels() -> None:
    """Stripes of one pixel become grey; without a filter they would stay black or white."""
    stripes = np.tile(np.array([-1.0, 1.0], np.float32), (1, 16, 8))
    assert np.abs(resized(stripes, 8)[:, :, 1:-1]).max() < 0.3
    assert resized(stripes, 16) is not None and (resized(stripes, 16) == stripes).all()
