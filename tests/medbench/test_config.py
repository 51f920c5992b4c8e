"""Composing and checking a config: the order of its layers, and the text of every mistake."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from medbench.config import identity, load, to_yaml
from medbench.core.errors import UserError
from medbench.library import Library, read_yaml
from medbench.words import merge, parse_word

TOYS = Path(__file__).parent / "toy_configs"


@pytest.fixture(scope="module")
def toy_library() -> Iterator[Library]:
    """A user's --config-dir with two methods, two datasets, a backbone and a protocol."""
    yield Library([TOYS])
    sys.path.remove(str(TOYS))


def mistakes(words: str, library: Library) -> list[str]:
    with pytest.raises(UserError) as error:
        load(shlex.split(words), library)
    return list(error.value.mistakes)


def only(words: str, library: Library) -> str:
    found = mistakes(words, library)
    assert len(found) == 1, found
    return found[0]


# composing ------------------------------------------------------------------------
def test_words_are_yaml_split_at_the_first_sign() -> None:
    assert parse_word("a.b=1e-4") == (("a", "b"), 1e-4)
    assert parse_word("a=[1, 2]") == (("a",), [1, 2])
    assert parse_word("a=b=c") == (("a",), "b=c")
    assert parse_word("a=None") == parse_word("a=null") == (("a",), None)
    assert parse_word("a=true") == (("a",), True)
    assert parse_word("out=2024") == (("out",), "2024")
    assert parse_word("others.m.s.lr=1") == (("others", "m.s", "lr"), 1)
    for wrong in ("msdm", "=3", "a=[1"):
        with pytest.raises(UserError):
            parse_word(wrong)


def test_merge_goes_into_mappings_and_numbered_items() -> None:
    base = {"a": {"b": 1, "c": 2}, "list": [{"n": 1}, {"n": 2}]}
    over = {"a": {"b": 3}, "list": {"1": {"n": 5}}}
    assert merge(base, over) == {"a": {"b": 3, "c": 2}, "list": [{"n": 1}, {"n": 5}]}
    assert base["list"] == [{"n": 1}, {"n": 2}]
    assert merge({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}


def test_later_layers_win(toy_library: Library) -> None:
    config = load(["method=toy"], toy_library)
    assert config["scale"] == "tiny" and config["seed"] == 0 and config["out"] == "outputs"
    assert config["data"] == {
        "name": "toy_words",
        "class": "toy_classes.Words",
        "size": 16,
        "n": 100,
    }
    block = config["stages"]["denoiser"]
    assert block["width"] == 8 and block["steps"] == 10 and block["lr"] == 1e-3
    assert block["widths"] == [8, 16] and block["kind"] == "round"  # the constructor's
    assert config["sampling"] == {"guidance": 2.0, "steps": 50}
    assert config["trainer"]["name"] == "auto" and config["generation"] == {"batch_size": 64}

    paper = load(["method=toy", "scale=paper", "variant=no_text"], toy_library)
    block = paper["stages"]["denoiser"]
    assert (block["width"], block["epochs"], block["drop"]) == (64, 2.0, 1.0)
    assert paper["data"]["n"] == 5000 and paper["data"]["size"] == 32
    assert paper["backbones"]["toy_tower"]["width"] == 64

    words = ["method=toy", "variant=no_text", "stages.denoiser.drop=0.5", "trainer=cpu"]
    words += ["trainer.threads=2", "backbones.toy_tower.steps=9", "data.size=8"]
    typed = load(words, toy_library)
    assert typed["stages"]["denoiser"]["drop"] == 0.5 and typed["data"]["size"] == 8
    assert typed["trainer"]["accelerator"] == "cpu" and typed["trainer"]["threads"] == 2
    assert typed["backbones"]["toy_tower"]["steps"] == 9


def test_a_role_has_its_own_dataset(toy_library: Library) -> None:
    tower = load(["method=toy"], toy_library)["backbones"]["toy_tower"]
    assert tower["data"]["class"] == "toy_classes.Words" and tower["data"]["size"] == 16
    assert tower["seed"] == 7


def test_other_methods_stages_come_with_their_backbones(
    toy_library: Library, tmp_path: Path
) -> None:
    words = ["method=toy_masked", f"data.root={tmp_path}", "others.toy.denoiser.width=5"]
    config = load(words, toy_library)
    assert config["others"]["toy.denoiser"]["width"] == 5
    assert config["others"]["toy.denoiser"]["steps"] == 10
    assert list(config["backbones"]) == ["toy_tower"]
    again = read_back(to_yaml(config), tmp_path)
    assert again == config


def read_back(text: str, folder: Path) -> dict[str, object]:
    (folder / "config.yaml").write_text(text)
    return read_yaml(folder / "config.yaml")


def test_another_dataset_keeps_what_the_method_sets_where_it_can(
    toy_library: Library, tmp_path: Path
) -> None:
    config = load(["method=toy", "data=toy_files", f"data.root={tmp_path}"], toy_library)
    assert config["data"]["side"] == 32 and "size" not in config["data"]


def test_identity_leaves_out_where_and_how_visibly(toy_library: Library, tmp_path: Path) -> None:
    here = "method=toy_masked", f"data.root={tmp_path}"
    (tmp_path / "b").mkdir()
    there = "method=toy_masked", f"data.root={tmp_path / 'b'}"
    base = identity(load(here, toy_library))
    same = ["out=/elsewhere", "trainer=cpu", "generation.batch_size=3", "tracking.enabled=false"]
    same += ["stages.masked.val_every=7", "stages.masked.width=4", "fresh=true"]
    assert identity(load([*there, *same], toy_library)) == base
    for word in ("seed=1", "sampling.guidance=9", "stages.masked.lr=1", "data.side=64"):
        assert identity(load([*here, word], toy_library)) != base, word


# mistakes -------------------------------------------------------------------------
def test_every_mistake_is_in_one_report(toy_library: Library) -> None:
    words = (
        "method=toy stages.denoiser.widht=3 stages.denoiser.drop=much sampling.guidence=2 "
        "trainer.acelerator=cpu data.sise=8 scale=papper seed=1.5 protocol.arms.main.key=3 nonsense"
    )
    found = "\n".join(mistakes(words, toy_library))
    for text in (
        "stages.denoiser.widht=3 is not known; did you mean stages.denoiser.width?",
        "stages.denoiser.drop must be float, not 'much'.",
        "sampling.guidence=2 is not known; did you mean sampling.guidance?",
        "trainer.acelerator=cpu is not known; did you mean trainer.accelerator?",
        "data.sise=8 is not known; did you mean data.size?",
        "scale must be one of tiny, paper, not 'papper'.",
        "seed must be int, not 1.5.",
        "protocol.arms.main.key is not known; did you mean protocol.arms.main.keys?",
        "nonsense is not a setting: write key=value",
        "python -m medbench.run --help method=toy",
    ):
        assert text in found


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("seed=1", "method=NAME is missing; known are "),
        ("method=tyo", "method=tyo is not known; did you mean toy?"),
        ("method=toy data=toy_word", "data=toy_word is not known; did you mean toy_words?"),
        ("method=toy protocol=toyquick", "protocol=toyquick is not known; did you mean toy_quick?"),
        ("method=toy trainer=gppu", "trainer=gppu is not known; did you mean gpu?"),
        ("method=toy variant=notext", "variant=notext is not known; did you mean no_text?"),
        ("method=toy stages.denoser.lr=1", "did you mean stages.denoiser?"),
        ("method=toy lr=1", "lr=1 is not known; did you mean stages.denoiser.lr"),
        ("method=toy sede=1", "sede=1 is not known; did you mean seed?"),
        ("method=toy backbones.twoer.lr=1", "backbones.twoer is not used by this run"),
        ("method=toy stages.denoiser.epochs=2", "has steps=10 and epochs=2.0: set one of them"),
        ("method=toy stages.denoiser.steps=null", "has no budget: set one of stages.denoiser.st"),
        ("method=toy stages.denoiser.steps=-1", "stages.denoiser.steps must be at least 0"),
        ("method=toy stages.denoiser.kind=oval", "must be one of round, square, not 'oval'"),
        ("method=toy stages.denoiser.limit=x", "must be float or None, not 'x'"),
        ("method=toy stages.denoiser.widths=[a]", "must be tuple[int, ...], not ['a']"),
        ("method=toy stages.denoiser.tower=3", "must be str, not 3; put it in quotes"),
        ("method=toy stages.denoiser.tower=stage:toy_twr", "did you mean toy_tower?"),
        ("method=toy stages.denoiser.tower=stage:denoiser", "is written stage:toy.denoiser"),
        ("method=toy stages.denoiser.tower=stage:toy.vae", "toy has no stage vae"),
        ("method=toy stages.denoiser.tower=stage:toy.denoiser", "in a circle: toy.denoiser > toy"),
        ("method=toy stages.denoiser.tower=stage:tyo.vae", "method=tyo is not known"),
        ("method=toy stages.denoiser.class=toy_classes.Denoisr", "did you mean Denoiser?"),
        ("method=toy stages.denoiser.class=toy_classes.Words", "toy_classes.Words is no stage"),
        ("method=toy data.class=toy_classes.Tower", "toy_classes.Tower is no dataset"),
        ("method=toy stages=3", "stages must hold keys and values, not 3"),
        ("method=toy stages.denoiser.seed=3", "stages.denoiser.seed=3 is not known"),
        (
            "method=toy backbones.toy_tower.data=toy_word",
            "toy_tower.data=toy_word is not known",
        ),
        ("method=toy backbones.toy_tower.data.split=dev", "toy_tower.data.split=dev is not known"),
        ("method=toy data.split=train", "data.split=train is not known"),
        ("method=toy protocol.reals.test=null", "protocol.reals.test must hold keys and values"),
        ("method=toy stages.denoiser.weights=/no/such", "weights=/no/such does not exist"),
        ("method=toy pipeline=denosier", "is no stage of toy; did you mean denoiser?"),
        ("method=toy pipeline='{class: toy_classes.Tower}'", "toy_classes.Tower does not draw"),
        ("method=toy protocol.arms.main.keys=[masks]", "toy takes text and may take labels"),
        ("method=toy protocol.arms.main.keys=[txt]", "txt is no batch key; did you mean text?"),
        ("method=toy protocol.arms.main.requests.split=dev", "toy_words has train, validation"),
        (
            "method=toy protocol.arms.main.sampling='{stps: 3}'",
            "stps is not known; did you",
        ),
        ("method=toy protocol.metrics.0.metric=fdi", "metric=fdi is not known; did you mean fid?"),
        ("method=toy protocol.metrics.0.extractor=juge", "=juge is not known; did you mean judge?"),
        (
            "method=toy protocol.metrics.1.settings.subset=3",
            "did you mean protocol.metrics.1.s",
        ),
        ("method=toy protocol.reals.test.n=0", "protocol.reals.test.n must be at least 1"),
        (
            "method=toy protocol.extractors.judge.sise=3",
            "did you mean protocol.extractors.j",
        ),
        ("method=toy protocol.arms.main.makes=[masks]", "toy makes image, not masks"),
        ("method=toy trainer.devices=0", "trainer.devices must be at least 1"),
        ("method=toy_masked", "type data.root=FOLDER with toy_files's files"),
        ("method=toy_masked data.root=/no/such", "data.root=/no/such does not exist"),
        ("method=toy out=5=3 seed=[", "seed=[ cannot be read"),
    ],
)
def test_each_mistake_names_the_remedy(words: str, text: str, toy_library: Library) -> None:
    found = mistakes(words, toy_library)
    assert any(text in mistake for mistake in found), found


def test_missing_keys_name_the_datasets_that_have_them(toy_library: Library) -> None:
    found = only("method=toy_masked data=toy_words", toy_library)
    assert "stages.masked needs 'masks', which data toy_words does not yield." in found
    assert "Datasets that do: " in found and "toy_files" in found.split("do: ")[1]


def test_a_required_argument_is_named(toy_library: Library) -> None:
    found = mistakes(
        "method=toy stages.new.class=toy_classes.Denoiser stages.new.steps=1 stages.new.x=1",
        toy_library,
    )
    text = "\n".join(found)
    assert "stages.new.tower (str) is missing: toy_classes.Denoiser has no default" in text
    assert "stages.new.width (int) is missing" in text and "stages.new.x=1 is not known" in text


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "broken_toy.yaml").write_text("a: [1\n")
    assert "broken_toy.yaml is not readable YAML" in only("method=broken_toy", Library([tmp_path]))
    (tmp_path / "methods" / "cpu.yaml").write_text("stagse: {}\n")
    assert "stagse in the file of method cpu" in "\n".join(
        mistakes("method=cpu", Library([tmp_path]))
    )


def test_a_config_dir_must_be_there() -> None:
    with pytest.raises(UserError, match="is not a folder"):
        Library(["/no/such/folder"])
