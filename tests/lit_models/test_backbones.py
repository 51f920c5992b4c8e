import math
from typing import Any

import numpy as np
import pytest
import torch

from lit_models.backbones.classifier import Classifier, group_loss, open_classifier
from lit_models.backbones.contrastive import Clip
from lit_models.backbones.text import WordTokenizer, open_text_encoder
from lit_models.stage import open_stage
from lit_models.views import softened
from medbench.core.errors import UserError
from medbench.core.seeds import rng
from tests.lit_models.msdm_parts import TEXTS, Frames, batch_of, finish, steps

NAMES = ["class=a", "class=b", "class=c", "box"]


class Labelled(Frames):
    def __getitem__(self, index):
        labels = np.zeros(5, np.float32)
        labels[[3 - index % 3, 4]] = 1.0, index % 2
        names = ["unused", "class=c", "class=b", "class=a", "box"]
        sample = super().__getitem__(index)
        return {"image": sample["image"], "labels": labels, "label_names": names}


def test_groups_of_labels_against_closed_form():
    scores = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 5.0]])
    labels = torch.tensor([[0.0, 1.0, 0.0], [math.nan] * 3])
    total = math.exp(1) + math.exp(2) + math.exp(3)
    assert group_loss(scores, labels) == pytest.approx(math.log(total) - 2)
    binary = group_loss(torch.tensor([[2.0], [1.0]]), torch.tensor([[1.0], [math.nan]]))
    assert binary == pytest.approx(math.log(1 + math.exp(-2)))
    assert group_loss(scores[1:], labels[1:]) == 0


def test_classifier_learns_named_labels_and_reloads(tmp_path):
    torch.manual_seed(0)
    arguments: dict[str, Any] = {"label_names": NAMES, "image_size": 32, "widths": [8, 16]}
    stage = Classifier(**arguments)
    view = stage.view(Labelled())
    sample = view.draw(1, rng(0))
    assert sample["label_names"] == NAMES and sample["labels"].tolist() == [0, 1, 0, 1]
    batch = batch_of(stage, 12, view)
    assert steps(stage, batch, 30) < 0.7 * steps(Classifier(**arguments), batch, 1)
    folder = finish(stage.eval(), tmp_path / "judge", **arguments)
    judge = open_classifier(folder)
    images = torch.zeros(5, 3, 32, 32)
    scores = judge.scores(images)
    assert scores.shape == (5, 4) and judge.features(images).shape == (5, 32)
    assert judge.label_names == NAMES and judge.image_size == 32
    torch.testing.assert_close(scores[:, :3].sum(1), torch.ones(5))
    assert torch.equal(scores, stage.scores(images))


def test_a_share_of_the_training_images_is_softened_and_no_other():
    stage = Classifier(NAMES, soft_share=0.5)
    plain = Labelled()[3]["image"]
    draws = [stage.view(Labelled()).draw(3, rng(0, i)) for i in range(40)]
    changed = [not np.array_equal(draw["image"], plain) for draw in draws]
    assert 10 < sum(changed) < 30
    assert all(np.array_equal(d["labels"], draws[0]["labels"]) for d in draws)
    held = stage.eval().view(Labelled()).draw(3, rng(0))["image"]
    assert np.array_equal(held, plain)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 30, 41)])
def test_softening_loses_detail_and_keeps_the_whole(shape):
    image = rng("soft").uniform(-0.5, 0.5, shape).astype(np.float32)
    image[:, : shape[1] // 2] += 0.4
    soft = softened(image, rng(1))
    assert soft.shape == shape and soft.dtype == np.float32 and np.abs(soft).max() <= 1
    assert np.array_equal(soft, softened(image, rng(1)))
    assert np.abs(np.diff(soft, axis=2)).mean() < 0.5 * np.abs(np.diff(image, axis=2)).mean()
    step = soft[:, : shape[1] // 2].mean() - soft[:, shape[1] // 2 :].mean()
    assert 0.3 < step < 0.5


def test_labels_that_the_data_lacks_are_named():
    stage = Classifier(["class=a", "hat"])
    with pytest.raises(UserError, match="asks for hat, which the data does not yield"):
        stage.view(Labelled()).draw(0, rng(0))


def test_clip_learns_pairs_and_reloads_equal(tmp_path):
    torch.manual_seed(0)
    clip = Clip(image_widths=[8, 16])
    batch = batch_of(clip, 12)
    assert set(batch) == {"image", "text", "wording", "sample_id"}
    first = steps(clip, batch, 1)
    assert steps(clip, batch, 40) < 0.7 * first
    folder = finish(clip.eval(), tmp_path / "clip", image_widths=[8, 16])
    again = open_text_encoder(folder)
    for ours, theirs in zip(clip.encode(TEXTS, 64), again.encode(TEXTS, 64), strict=True):
        assert torch.equal(ours, theirs)
    alone = clip.encode(TEXTS[1:2], 64)[0]
    torch.testing.assert_close(clip.encode(TEXTS, 64)[0][1, : alone.shape[1]], alone[0])


def test_words_and_signs():
    tokens = WordTokenizer.of(["A polyp, upper-left.", "of size < 5mm"])
    assert tokens.words == [",", ".", "5mm", "<", "a", "of", "polyp", "size", "upper-left"]
    with pytest.warns(UserWarning, match=r"never saw the words \['tumour'\]"):
        ids, mask = tokens(["a tumour", ""], 64)
    assert ids.tolist() == [[0, 7, 2, 1], [0, 1, 1, 1]] and mask.sum(1).tolist() == [4, 2]


def test_too_many_words_and_wrong_folders(tmp_path):
    with pytest.raises(UserError, match="distinct words, and vocabulary=8 leaves room for 5"):
        Clip(vocabulary=8).view(Frames())
    folder = finish(Classifier(NAMES), tmp_path / "judge", label_names=NAMES)
    with pytest.raises(UserError, match="is a Classifier, which encodes no text"):
        open_text_encoder(folder)
    clip = Clip()
    clip.view(Frames())
    with pytest.raises(UserError, match="is a Clip, not a classifier"):
        open_classifier(finish(clip, tmp_path / "clip"))
    assert isinstance(open_stage(tmp_path / "clip"), Clip)


def test_a_released_tower_is_opened_from_its_folder(tmp_path):
    import transformers

    folder = tmp_path / "clip"
    config = transformers.CLIPTextConfig(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    transformers.CLIPTextModel(config).save_pretrained(folder)
    with pytest.raises(UserError, match="neither a finished stage nor a CLIP folder"):
        open_text_encoder(str(tmp_path / "nothing"))
    words = ["<|startoftext|>", "<|endoftext|>", "a</w>", "b</w>", "a", "b"]
    (folder / "vocab.json").write_text(str({w: i for i, w in enumerate(words)}).replace("'", '"'))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    encoder = open_text_encoder(str(folder))
    states, mask = encoder.encode(["a b", ""], 16)
    assert states.shape == (2, 16, 32) and mask.sum(1).tolist() == [4, 2]
    with pytest.raises(UserError, match="has 22 tokens; the limit is 16"):
        encoder.encode(["a " * 20], 16)
