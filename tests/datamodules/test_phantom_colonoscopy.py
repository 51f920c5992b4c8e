"""The frames of the colonoscopy phantom, and its datamodule."""

import hashlib

import numpy as np
import pytest

from datamodules.phantom import colonoscopy
from datamodules.phantom.colonoscopy_scene import draw_scene
from datamodules.phantom.colonoscopy_words import LABEL_NAMES
from datamodules.phantom.prompts import TEMPLATES, asked
from datamodules.phantom_colonoscopy import PhantomColonoscopy
from medbench.core.batch import KEYS, collate, missing_keys
from medbench.core.errors import UserError
from medbench.core.fingerprint import canonical

HASH = "3b8c285ce13a5533"  # of parameters, texts and masks; a change needs a new `version`


def digest(count: int) -> str:
    found = hashlib.sha256()
    for subject in range(count):
        frame = colonoscopy.draw(0, "train", subject, size=64, balanced=subject % 2 == 1)
        found.update(canonical(frame.truth).encode())
        for kind, mask in sorted(frame.masks.items()):
            found.update(kind.encode() + np.packbits(mask).tobytes())
    return found.hexdigest()[:16]


def test_twenty_draws_are_those_of_this_version():
    assert digest(20) == HASH


def test_order_does_not_matter():
    first = [colonoscopy.draw(3, "test", i, size=32) for i in (0, 1, 2)]
    again = [colonoscopy.draw(3, "test", i, size=32) for i in (2, 1, 0)][::-1]
    for one, other in zip(first, again, strict=True):
        assert one.truth == other.truth and np.array_equal(one.image, other.image)
    assert first[0].truth != colonoscopy.draw(4, "test", 0, size=32).truth
    assert first[0].truth != colonoscopy.draw(3, "train", 0, size=32).truth


@pytest.mark.parametrize("balanced", [False, True])
def test_every_fourth_pixel_of_a_large_frame_is_the_small_frame(balanced):
    for subject in range(12):
        large = colonoscopy.draw(0, "train", subject, size=256, balanced=balanced)
        small = colonoscopy.draw(0, "train", subject, size=64, of=256, balanced=balanced)
        assert np.array_equal(large.image[:, ::4, ::4], small.image)
        for kind, mask in large.masks.items():
            assert np.array_equal(mask[:, ::4, ::4], small.masks[kind])
        assert large.truth == small.truth


def test_native_frames_hold_the_square_ones():
    module = PhantomColonoscopy(square=False, n_train=8, per="image")
    wide, square = module.split("train"), PhantomColonoscopy(n_train=8, per="image").split("train")
    widths = set()
    for one, other in ((wide[i], square[i]) for i in range(8)):
        margin = (one["image"].shape[2] - 64) // 2
        widths.add(margin)
        inner = slice(margin, margin + 64)
        assert np.array_equal(one["image"][:, :, inner], other["image"])
        assert np.array_equal(one["masks"]["polyp"][:, :, inner], other["masks"]["polyp"])
    assert len(widths) > 1


INTERVENTIONS = [
    {"polyps": 2},
    {"polyps": 0},
    {"box": "green"},
    {"box": None},
    {"text": True},
    {"instruments": ("tube",)},
    {"landmark": "cecum"},
    {"disease": None},
    {"palette": "oesophagitis"},
]
OWN = {  # what each may change in the truth
    "polyps": ("polyps", "colours", "facts"),
    "box": ("box", "facts"),
    "text": ("panel", "facts"),
    "instruments": ("instruments", "facts"),
    "landmark": ("landmark", "facts"),
    "disease": ("disease", "colours", "facts"),
    "palette": ("palette",),
}


@pytest.mark.parametrize("change", INTERVENTIONS, ids=str)
def test_an_intervention_changes_nothing_else(change):
    (name,) = change
    for subject in range(8):
        plain = colonoscopy.draw(0, "train", subject, size=48)
        other = colonoscopy.draw(0, "train", subject, size=48, set=change)
        changed = {
            key
            for key in plain.truth.keys() | other.truth.keys()
            if plain.truth.get(key) != other.truth.get(key)
        }
        assert {key.split(".")[0] for key in changed} <= set(OWN[name]), changed
        if name in ("box", "text"):
            mask = plain.masks[name] | other.masks[name]
            near = np.array(
                [np.roll(mask[0], (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            )
            assert np.array_equal(
                np.where(near.any(0), 0, plain.image), np.where(near.any(0), 0, other.image)
            )


def test_an_intervention_that_does_not_exist():
    with pytest.raises(UserError, match="polyp cannot be set; did you mean polyps"):
        colonoscopy.draw(0, "train", 0, size=32, set={"polyp": 2})


def test_truth_agrees_with_the_masks():
    for subject in range(60):
        frame = colonoscopy.draw(0, "test", subject, size=64, balanced=True)
        truth = frame.truth
        assert frame.masks["box"].any() == bool(truth["facts.box"])
        assert frame.masks["text"].any() == bool(truth["facts.text"])
        assert frame.masks["polyp"].any() == bool(truth["facts.polyps"])
        assert frame.masks["landmark"].any() == bool(truth["facts.landmark_cells"])
        assert frame.masks["instrument"].any() == bool(truth["facts.instrument_cells"])
        assert all(set(np.unique(mask)) <= {0, 1} for mask in frame.masks.values())


def test_cells_by_hand():
    visible = np.full((3, 3), 1024)
    mask = np.zeros((96, 96), bool)
    mask[40:50, 40:50] = True
    assert colonoscopy.cells_of_mask(mask, visible) == {"center"}
    mask[:] = False
    mask[10:20, 25:40] = True  # 7 of 15 columns lie in the left cell
    assert colonoscopy.cells_of_mask(mask, visible) == {"upper-left", "upper-center"}
    assert len(colonoscopy.cells_of_mask(np.ones((96, 96), bool), visible)) == 9
    assert colonoscopy.cells_of_mask(np.zeros((96, 96), bool), visible) == set()


def test_balanced_palette_tells_nothing_of_the_content():
    scenes = [
        draw_scene(colonoscopy.address(0, "train", i), 0.08, balanced=True) for i in range(1500)
    ]
    palettes = np.array([scene.palette for scene in scenes])
    contents = np.array(
        [
            [
                bool(s.polyps),
                s.disease is not None,
                s.landmark is not None,
                bool(s.instruments),
                s.procedure == "colonoscopy",
                s.box is not None,
                s.panel is not None,
            ]
            for s in scenes
        ],
        float,
    )
    together = np.corrcoef(np.hstack([palettes, contents]).T)[:3, 3:]
    assert np.abs(together).max() < 0.11
    assert contents.mean(0).min() > 0.25 and contents.mean(0).max() < 0.75


# the datamodule -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def module() -> PhantomColonoscopy:
    return PhantomColonoscopy(size=32, n_train=24, n_validation=8, n_test=8)


def test_samples_obey_the_contract(module):
    split = module.split("train")
    assert 8 * 24 <= len(split) <= 14 * 24
    for index in range(0, len(split), 7):
        sample = split[index]
        names = [name for name in module.yields if "." not in name]
        assert not missing_keys(names, list(sample)) and set(sample) <= set(KEYS)
        image, masks = sample["image"], sample["masks"]
        assert image.shape == (3, 32, 32) and image.dtype == np.float32
        assert image.min() >= -1 and image.max() <= 1
        assert all(m.shape == (1, 32, 32) and m.dtype == np.uint8 for m in masks.values())
        assert sample["label_names"] == list(LABEL_NAMES)
        assert sample["labels"].shape == (len(LABEL_NAMES),)
        assert sample["labels"].dtype == np.float32
        assert all(isinstance(value, str | int | float) for value in sample["meta"].values())
        assert sample["text"] == sample["texts"]["prompt"] not in sample["texts"]["paraphrases"]
        assert sample["sample_id"].rpartition("#")[0] == sample["subject_id"]
        truth = dict(zip(sample["label_names"], sample["labels"], strict=True))
        template, wanted = asked(sample["text"])
        assert template == sample["meta"]["template"]
        assert all(truth[label] == value for label, value in wanted.items())
        cheap = split.describe(index)
        assert cheap["text"] == sample["text"] and cheap["sample_id"] == sample["sample_id"]
        assert cheap["meta"].items() <= sample["meta"].items()
    batch = collate([split[i] for i in range(4)])
    assert batch["image"].shape == (4, 3, 32, 32) and batch["masks"]["polyp"].shape[0] == 4


def test_splits_share_no_subject(module):
    ids = {name: [s["sample_id"] for s in rows(module, name)] for name in module.splits}
    names = {name: {i.partition("#")[0] for i in found} for name, found in ids.items()}
    assert [len(found) for found in names.values()] == [24, 8, 8]
    assert len(set().union(*names.values())) == 40
    assert all(len(set(found)) == len(found) for found in ids.values())
    longer = PhantomColonoscopy(size=32, n_train=30, n_validation=2, n_test=2)
    assert [s["sample_id"] for s in rows(longer, "train")][: len(ids["train"])] == ids["train"]


def rows(module: PhantomColonoscopy, name: str) -> list[dict]:
    split = module.split(name)
    return [split.describe(index) for index in range(len(split))]


def test_names_tell_nothing(module):
    for row in rows(module, "train"):
        assert len(row["subject_id"]) == 25 and row["subject_id"].isalnum()
        assert set(row["meta"]) == {"block", "template", "name"}


def test_a_sample_may_be_changed_by_its_user(module):
    split = module.split("validation")
    first = split[0]
    first["image"][:] = 0
    first["masks"]["polyp"][:] = 9
    first["labels"][:] = 5
    first["meta"]["block"] = ""
    again = split[0]
    assert again["image"].any() and again["masks"]["polyp"].max() <= 1
    assert again["labels"].max() <= 1 and again["meta"]["block"]


def test_all_templates_occur_and_images_are_rows():
    module = PhantomColonoscopy(n_test=80, n_train=5, per="image")
    assert len(module.split("train")) == 5
    assert len({s["subject_id"] for s in rows(module, "train")}) == 5
    found = {s["meta"]["template"] for s in rows(PhantomColonoscopy(n_test=80), "test")}
    assert found == set(TEMPLATES)


def test_paraphrases_of_a_file(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("Prompt;Paraphrase\nGenerate an image with no polyps.;No polyp here.\n")
    module = PhantomColonoscopy(n_train=3, n_test=3, paraphrases=str(path))
    assert module.check() == [] and module.content("train")
    with pytest.raises(UserError, match="has none for .* training prompts, such as"):
        module.split("train")
    for row in rows(module, "test"):
        known = row["text"] == "Generate an image with no polyps."
        assert row["texts"]["paraphrases"] == ["No polyp here." if known else row["text"]]
    assert PhantomColonoscopy(paraphrases="none").content("train") is None


def test_mistakes_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="split tests does not exist; did you mean test"):
        PhantomColonoscopy().split("tests")
    assert "size=30, of=64" in PhantomColonoscopy(size=30, of=64).check()[0]
    assert "n_train=-1" in PhantomColonoscopy(n_train=-1).check()[0]
    absent = PhantomColonoscopy(paraphrases=str(tmp_path / "absent.csv"))
    assert "there is no such file" in absent.check()[0]
