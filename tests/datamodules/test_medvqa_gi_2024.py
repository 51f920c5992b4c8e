"""MEDVQA-GI 2024: through the writer and the files, and as typed by hand from the page."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.medvqa_gi_2024 import MedvqaGi2024
from datamodules.medvqa_prompts import clean, template_of
from datamodules.phantom.layouts import medvqa
from datamodules.phantom.prompts import TEMPLATES
from datamodules.phantom.writing import write_layout
from datamodules.preparing import prepare
from medbench.core.errors import UserError

N, SIZE = 40, 32


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("medvqa") / "root"
    return write_layout("medvqa_gi_2024", dest, N, size=SIZE)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root, tmp_path / "copy"))


def module(root: Path, **settings: object) -> MedvqaGi2024:
    return MedvqaGi2024(str(root), image_size=SIZE, **settings)  # type: ignore[arg-type]


def table_of(root: Path) -> Path:
    return root / "Dev-Dataset" / "prompt-gt.csv"


def test_what_is_written_is_read_as_it_was_drawn(root: Path) -> None:
    data = module(root)
    assert data.check() == data.check("full") == [] and data.phantom
    frames = data.split("all")
    lines = (root.with_name("root.truth") / "truth.jsonl").read_text().splitlines()
    truth = {row["name"]: row for row in map(json.loads, lines)}
    read: dict[str, list[str]] = {}
    for index in range(len(frames)):
        row = frames.describe(index)  # type: ignore[attr-defined]
        read.setdefault(row["subject_id"], []).append(row["text"])
        assert row["meta"]["block"] == truth[row["subject_id"]]["block"]
    assert read == {name: row["prompts"] for name, row in truth.items()} and len(read) == N
    drawn = medvqa.draw(0, 0, SIZE, "forced")
    pixels, _ = medvqa.colonoscopy.render(drawn.scene, SIZE, SIZE)
    sample = next(s for s in map(frames.__getitem__, range(9)) if s["subject_id"] == drawn.name)
    error = np.abs((sample["image"] + 1) * 127.5 - pixels)
    assert error.mean() < 4 and sample["meta"]["size"].endswith(f"x{SIZE}")  # JPEG


def test_splits_are_by_image_and_by_block(root: Path) -> None:
    data = module(root)
    train, held = data.images_of("train"), data.images_of("validation")
    assert len(train) == 36 and len(held) == 4 and not set(train) & set(held)
    assert sorted({stem[:6] for stem in held}) == sorted(medvqa.PREFIXES.values())
    assert sorted(train + held) == sorted(data.images_of("all"))
    test = data.split("test")
    assert len(test) == 100 and "image" not in test[0] and test[0]["text"].startswith("Generate ")
    one = module(root, per="image").split("train")
    assert len(one) == 36
    joined = module(root, join=True).split("train")
    assert joined[0]["text"].count("Generate") >= 7 and len(joined) == 36


def test_the_real_release_would_be_split_1800_to_200() -> None:
    data = MedvqaGi2024("/nowhere")
    data.__dict__["stems"] = [f"{p}{i:019d}" for p in medvqa.PREFIXES.values() for i in range(500)]
    assert len(data.images_of("train")) == 1800 and len(data.images_of("validation")) == 200


# quirks --------------------------------------------------------------------------------
def has_quirk(quirk: str, root: Path, other: Path) -> bool:
    table, bare = table_of(root).read_bytes(), table_of(other).read_text()
    sizes = {Image.open(p).size for p in (root / "Dev-Dataset" / "images").iterdir()}
    return {
        "semicolon": table.startswith(b"Prompt;Filename"),
        "crlf": table.count(b"\r\n") == table.count(b"\n"),
        "doubled_article": b"an an abnormality located" in table,
        "misspelt_cell": b"lower-rigth" in table,
        "joined_names": b"polyp snareandtube." in table,
        "blank_in_size": b"< 5mm" in table,
        "pink_findings": table.count(b"Pink findings.") == 1,
        "mixed_sizes": len(sizes) > 5,
        "class_in_name": all(p.encode() in table for p in medvqa.PREFIXES.values()),
        "no_extensions": ".jpg" not in bare,
        "paraphrase_column": bare.startswith("Prompt,Filename,Paraphrase"),
    }[quirk]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("medvqa") / "other"
    flavours = {"names": "bare", "table": "captions"}
    return write_layout("medvqa_gi_2024", dest, 12, size=SIZE, flavours=flavours)


@pytest.mark.parametrize("quirk", medvqa.QUIRKS)
def test_every_quirk_is_in_the_files(quirk: str, root: Path, other: Path) -> None:
    assert has_quirk(quirk, root, other)


def test_names_without_extension_and_a_column_of_paraphrases_are_read(other: Path) -> None:
    data = module(other, paraphrases="column")
    assert data.check() == []
    sample = data.split("all")[0]
    assert sample["texts"]["paraphrases"] == ["Show " + sample["text"][9:]]


def test_clean_prompts_have_no_slips_and_every_prompt_a_template(root: Path) -> None:
    data = module(root, prompts="clean", paraphrases="rules")
    rows = [row for stem in data.stems for row in data.rows_of(stem)]
    assert not [
        row.text
        for row in rows
        if any(slip in row.text for slip in ("an an ", "rigth", "< 5mm", "Pink", "snareand"))
    ]
    assert {template_of(row.text) for row in rows} == set(TEMPLATES)
    assert clean("Generate an image containing a polypandoesophagitis.") == (
        "Generate an image containing a polyp and oesophagitis."
    )
    sample = data.split("train")[0]
    assert sample["texts"]["paraphrases"] != [sample["text"]]


def test_a_folder_typed_by_hand_is_read(tmp_path: Path) -> None:
    images = tmp_path / "Dev-Dataset" / "images"
    images.mkdir(parents=True)
    names = ["cl8k2uaaaaaaaaaaaaaaaaaaa", "cla820bbbbbbbbbbbbbbbbbbb"]
    for index, name in enumerate(names):
        pixels = np.full((40, 60 + 8 * index, 3), 90, np.uint8)
        pixels[:, 30:] = (200, 30, 30)
        Image.fromarray(pixels).save(images / f"{name}.jpg")
    (tmp_path / "Dev-Dataset" / "prompt-gt.csv").write_bytes(
        b"Prompt;Filename\r\n"
        b"Generate an image containing a polyp.;cl8k2uaaaaaaaaaaaaaaaaaaa.jpg\r\n"
        b"Generate an image with 1 finding.;cl8k2uaaaaaaaaaaaaaaaaaaa.jpg\r\n"
        b"Generate an image with an an abnormality located in the center and lower-center.;"
        b"cla820bbbbbbbbbbbbbbbbbbb.jpg\r\n"
    )
    (tmp_path / "prompts.csv").write_text("id,Prompt\n1,Generate an image with no polyps.\n")
    data = module(tmp_path, expect="subset", test_prompts="prompts.csv")
    assert data.check() == []
    frames = data.split("all")
    assert [frames[i]["sample_id"] for i in range(3)] == [
        f"{names[0]}#0",
        f"{names[0]}#1",
        f"{names[1]}#0",
    ]
    assert frames[2]["meta"] == {
        "block": "ulcerative colitis",
        "name": names[1],
        "template": "abnormality_place",
        "source": "medvqa_gi_2024",
        "size": "68x40",
    }
    image = frames[0]["image"]
    assert image.shape == (3, SIZE, SIZE) and image[0, 16, -2] > 0.5 > image[0, 16, 1]
    assert data.split("test")[0]["text"] == "Generate an image with no polyps."
    assert module(tmp_path).check()[0].startswith("images: 2 where the release has 2000. A partial")


# what is wrong with a root --------------------------------------------------------------
def test_a_missing_image_stops_or_is_counted(copy: Path) -> None:
    gone = next((copy / "Dev-Dataset" / "images").iterdir())
    gone.unlink()
    [text] = module(copy).check()
    assert text.startswith("1 of 40 files are missing") and gone.name in text
    data = module(copy, expect="subset")
    assert data.check() == [] and len(data.images_of("all")) == 39
    assert data.funnel()[-1] == "39 after those whose file is missing (expect=subset) (-1)"


def test_a_bad_image_stops_or_is_left_out_by_name(copy: Path, tmp_path: Path) -> None:
    bad = sorted((copy / "Dev-Dataset" / "images").iterdir())[3]
    bad.write_bytes(bad.read_bytes()[:-100])
    assert f"{bad} is cut off" in " ".join(module(copy).check())
    listed = tmp_path / "bad.txt"
    listed.write_text(f"Dev-Dataset/images/{bad.name}\n")
    data = module(copy, bad_files=str(listed))
    assert data.check() == [] and len(data.images_of("all")) == 39
    assert data.funnel()[0] == (
        f"1 files are left out by data.bad_files: Dev-Dataset/images/{bad.name}"
    )
    listed.write_text("Dev-Dataset/images/typo.jpg\n")
    assert "which is no file of this dataset" in module(copy, bad_files=str(listed)).check()[0]


def test_what_is_wrong_with_the_table_is_named_with_its_row(copy: Path) -> None:
    table = table_of(copy)
    whole = table.read_bytes()
    rows = whole.split(b"\r\n")
    cases = {
        b"\r\n".join([rows[0], rows[1], *rows[1:]]): "rows 2 and 3 are the same prompt",
        whole.replace(b"Filename", b"File_name", 1): "the column Filename is missing; did you mean",
        whole.replace(rows[2], b";" + rows[2].split(b";")[1], 1): "row 3: Prompt is empty",
        whole.replace(b";cl", b";../cl", 1): "row 2: Filename .* is no plain name",
        whole.replace(b";cl", b";zz", 1): "none of the four blocks",
        whole.replace(rows[4], b"Generate \xff" + rows[4][9:], 1): "line 5: byte 0xff is not UTF-8",
    }
    for data, message in cases.items():
        table.write_bytes(data)
        with pytest.raises(UserError, match=message):
            raise UserError(*module(copy).check())
    shutil.rmtree(copy / "Dev-Dataset" / "images")
    assert "images is missing. Expected under" in module(copy).check()[0]


def test_a_prepared_copy_gives_the_same_and_is_refused_for_other_data(
    copy: Path, tmp_path: Path
) -> None:
    plain = module(copy)
    folder = prepare(plain.preparations()["resized"], tmp_path / "out", quiet=True)
    quick = module(copy, prepared=str(tmp_path / "out"))
    assert quick.check() == []
    for index in (0, 7, 100):
        one, other = plain.split("all")[index], quick.split("all")[index]
        assert np.array_equal(one.pop("image"), other.pop("image")) and one == other
    wrong = MedvqaGi2024(str(copy), image_size=16, prepared=str(folder))
    assert "was made from other data or with other settings" in wrong.check()[0]
