"""HyperKvasir and Kvasir-Instrument: through their writers, and typed by hand."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.hyper_kvasir import CLASSES, HyperKvasir, canonical_class
from datamodules.kvasir_instrument import KvasirInstrument
from datamodules.phantom.layouts import hyper_kvasir, kvasir_instrument
from datamodules.phantom.writing import write_layout
from datamodules.preparing import prepare
from medbench.core.errors import UserError

N, SIZE = 46, 32


@pytest.fixture(scope="module")
def hyper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout("hyper_kvasir", tmp_path_factory.mktemp("hyper") / "root", N, size=SIZE)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout("kvasir_instrument", tmp_path_factory.mktemp("t") / "root", 20, size=SIZE)


def truth_of(root: Path) -> dict[str, dict[str, Any]]:
    lines = root.with_name(f"{root.name}.truth").joinpath("truth.jsonl").read_text().splitlines()
    return {row["name"]: row for row in map(json.loads, lines)}


def labeled(root: Path, **settings: Any) -> HyperKvasir:
    return HyperKvasir(str(root), image_size=SIZE, **settings)


def table_of(root: Path) -> Path:
    return root / "hyper-kvasir" / "official_splits" / "2_fold_split.csv"


def test_labelled_frames_are_read_as_they_were_drawn(hyper: Path) -> None:
    data = labeled(hyper)
    assert data.check() == data.check("full") == [] and data.phantom
    truth = truth_of(hyper)
    seen = {}
    for name in data.splits:
        split = data.split(name)
        for index in range(len(split)):
            row = split.describe(index)
            [place] = np.flatnonzero(row["labels"])
            assert row["label_names"][place] == f"finding={row['meta']['class']}"
            seen[row["sample_id"]] = row["meta"]["class"]
    assert seen == {
        name: canonical_class(row["class"], "") for name, row in truth.items() if "class" in row
    }
    assert set(seen.values()) == set(CLASSES) and len(seen) == N
    assert len(data.split("test")) == 23 and len(labeled(hyper, folds=5).split("test")) == 23
    image = data.split("test")[0]["image"]
    assert image.shape == (3, SIZE, SIZE) and image.std() > 0.1


def test_polyps_come_with_their_masks(hyper: Path) -> None:
    data = labeled(hyper, part="segmented")
    assert data.check() == []
    truth = truth_of(hyper)
    for name in data.splits:
        split = data.split(name)
        for index in range(len(split)):
            sample = split[index]
            side = int(sample["meta"]["size"].split("x")[0])
            drawn = truth[sample["sample_id"]]["polyp_pixels"] * (SIZE / side) ** 2
            mask = sample["masks"]["polyp"]
            assert mask.shape == (1, SIZE, SIZE) and set(np.unique(mask)) <= {0, 1}
            assert abs(mask.sum() - drawn) <= 6 + 0.15 * drawn  # JPEG, and the nearest pixel


def test_instruments_come_with_their_masks_and_lists(tools: Path) -> None:
    data = KvasirInstrument(str(tools), image_size=40)
    assert data.check() == data.check("full") == []
    sizes = [len(data.split(name)) for name in data.splits]
    assert sizes[2] == 4 and sum(sizes) == 20 and sizes[1] >= 1
    truth = truth_of(tools)
    sample = next(
        s for s in map(data.split("train").__getitem__, range(9)) if "40" in s["meta"]["size"]
    )
    assert sample["masks"]["instrument"].sum() == truth[sample["sample_id"]]["instrument_pixels"]


# quirks ------------------------------------------------------------------------------
def masks_of(folder: Path) -> np.ndarray:
    return np.concatenate([np.asarray(Image.open(path)).ravel() for path in folder.iterdir()])


def sizes_of(folder: Path) -> set[tuple[int, int]]:
    return {Image.open(path).size for path in folder.iterdir()}


@pytest.mark.parametrize("quirk", hyper_kvasir.QUIRKS)
def test_every_quirk_of_hyper_kvasir_is_in_the_files(quirk: str, hyper: Path) -> None:
    top, table = hyper / "hyper-kvasir", table_of(hyper).read_text()
    assert {
        "folder_spelling": ";hemorroids;" in table and any(top.rglob("hemorrhoids")),
        "grade_spelling": ";ulcerative-colitis-0-1;" in table,
        "semicolon": table.startswith("file-name;class-name;split-index\n"),
        "jpeg_masks": len(np.unique(masks_of(top / "segmented-images" / "masks"))) > 2,
        "mixed_sizes": len(sizes_of(top / "segmented-images" / "images")) == 3,
    }[quirk]


@pytest.mark.parametrize("quirk", kvasir_instrument.QUIRKS)
def test_every_quirk_of_kvasir_instrument_is_in_the_files(quirk: str, tools: Path) -> None:
    top = tools / "kvasir-instrument"
    assert {
        "bare_ids": "." not in (top / "train.txt").read_text(),
        "two_suffixes": {p.suffix for p in top.rglob("ckcu*")} == {".jpg", ".png"},
        "mixed_sizes": len(sizes_of(top / "images")) == 2,
    }[quirk]


# typed by hand --------------------------------------------------------------------------
def test_folders_typed_by_hand_are_read(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    top = tmp_path / "hyper-kvasir"
    folder = top / "labeled-images" / "upper-gi-tract" / "pathological-findings"
    for name, label in (("a1", "esophagitis-a"), ("b2", "short-segment-barretts")):
        (folder / label).mkdir(parents=True)
        Image.fromarray(grey).save(folder / label / f"{name}.jpg")
    (top / "official_splits").mkdir()
    (top / "official_splits" / "2_fold_split.csv").write_text(
        "file-name;class-name;split-index\na1.jpg;oesophagitis-a;0\nb2.jpg;short-segment-barretts;1\n"
    )
    data = labeled(tmp_path, expect="subset")
    assert data.check() == []
    [sample] = [data.split("test")[i] for i in range(len(data.split("test")))]
    assert sample["meta"] == {
        "source": "hyper_kvasir",
        "name": "b2",
        "class": "barretts-short-segment",
        "size": "40x30",
    }
    top = tmp_path / "kvasir-instrument"
    for part, suffix in (("images", "jpg"), ("masks", "png")):
        (top / part).mkdir(parents=True)
        for name in ("x", "y"):
            Image.fromarray(grey if part == "images" else grey[..., 0] * 0 + 255).save(
                top / part / f"{name}.{suffix}"
            )
    (top / "train.txt").write_text("x\n")
    (top / "test.txt").write_text("y\n")
    tools = KvasirInstrument(str(tmp_path), image_size=16, expect="subset")
    assert tools.check() == [] and tools.split("test")[0]["masks"]["instrument"].all()


# what is wrong with a root ---------------------------------------------------------------
def test_what_is_wrong_with_the_folds_is_named(hyper: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(hyper, tmp_path / "root"))
    table = table_of(root)
    whole = table.read_text()
    rows = whole.splitlines()
    cases = {
        whole.replace(";cecum;", ";caecum;", 1): "row 2: the class 'caecum' is none of the 23; did",
        whole.replace(";cecum;0", ";cecum;7", 1): "row 2: split-index '7' is not 0 to 1",
        whole.replace(";cecum;", ";ileum;", 1): "row 2: .* is ileum, and lies in cecum",
        "\n".join(rows[:-1]): "has no row for 1 images",
        "\n".join([*rows, rows[1]]): "stands in rows 2 and 48",
    }
    for text, message in cases.items():
        table.write_text(text)
        with pytest.raises(UserError, match=message):
            raise UserError(*labeled(root).check())
    shutil.rmtree(root / "hyper-kvasir" / "segmented-images" / "masks")
    assert "masks is missing. Expected in" in labeled(root, part="segmented").check()[0]
    shutil.rmtree(root / "hyper-kvasir" / "labeled-images")
    assert "has no folders of classes" in labeled(root).check()[0]


def test_a_frame_in_both_lists_stops_the_run(tools: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(tools, tmp_path / "root"))
    train, test = (root / "kvasir-instrument" / f"{name}.txt" for name in ("train", "test"))
    lines = test.read_text()
    test.write_text(lines + train.read_text().split("\n")[0] + "\n")
    assert "1 subjects stand in train.txt and in test.txt" in KvasirInstrument(str(root)).check()[0]
    with pytest.raises(UserError, match="stand in train and in test"):
        KvasirInstrument(str(root)).split("train")
    test.write_text("\n".join(lines.split("\n")[1:]))
    assert "1 images stand in neither list" in KvasirInstrument(str(root)).check()[0]
    test.write_text(lines + "other\n")
    assert (
        "1 ids of the lists have no image, such as other" in KvasirInstrument(str(root)).check()[0]
    )
    bad = next((root / "kvasir-instrument" / "masks").iterdir())
    test.write_text(lines)
    bad.write_bytes(bad.read_bytes()[:-30])
    assert f"{bad} is cut off" in " ".join(KvasirInstrument(str(root)).check())
    (tmp_path / "bad.txt").write_text(f"kvasir-instrument/masks/{bad.name}\n")
    data = KvasirInstrument(str(root), bad_files=str(tmp_path / "bad.txt"))
    assert data.check() == [] and sum(len(data.split(name)) for name in data.splits) == 19
    assert data.funnel() == [
        f"1 files are left out by data.bad_files: kvasir-instrument/masks/{bad.name}"
    ]


def test_prepared_copies_give_the_same(hyper: Path, tmp_path: Path) -> None:
    plain = labeled(hyper, part="segmented")
    prepare(plain.preparations()["resized"], tmp_path, quiet=True)
    quick = labeled(hyper, part="segmented", prepared=str(tmp_path))
    assert quick.check() == []
    one, two = plain.split("train")[0], quick.split("train")[0]
    assert np.array_equal(one["image"], two["image"])
    assert np.array_equal(one["masks"]["polyp"], two["masks"]["polyp"])
