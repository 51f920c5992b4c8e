"""The grammar of the prompts, its inverse, and the paraphrases."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

from datamodules.phantom import colonoscopy
from datamodules.phantom.colonoscopy_scene import draw_scene
from datamodules.phantom.colonoscopy_words import (
    CELLS,
    COLOURS,
    DISEASES,
    INSTRUMENTS,
    LANDMARK_CELLS,
    LANDMARKS,
    PROCEDURES,
    SIZES,
    TYPES,
    Facts,
    label_values,
)
from datamodules.phantom.paraphrases import paraphrase, read_paraphrases
from datamodules.phantom.prompt_noise import noisy_prompts
from datamodules.phantom.prompts import (
    PINK_FINDINGS,
    STYLES,
    TEMPLATES,
    asked,
    read,
    statements,
    write_prompts,
)
from datamodules.phantom.streams import Stream
from medbench.core.errors import UserError

CELL = "(center|upper-left|upper-right|lower-left|lower-right|lower-rigth"
CELL += "|center-left|center-right|upper-center|lower-center)"
COLOUR = "(pink|red|white|yellow|grey|orange|brown|black|blue|purple|green)"
SIZE, TYPE = "(>20mm|5-10mm|11-20mm|< 5mm)", "paris (is|ip|iia)"
REAL = [  # typed from the released table, each after "Generate "
    r"an image containing (a polyp|ulcerative colitis|oesophagitis|the z-line|the cecum|the ileum"
    r"|the pylorus|a polypandoesophagitis|a polypandulcerative colitis)",
    r"an image containing (tube|biopsy forceps|polyp snare|metal clip|injection needle"
    r"|polyp snareandtube|biopsy forcepsandtube|biopsy forcepsandmetal clip)",
    r"an image with (no findings|1 finding|\d+ findings)",
    r"an image with (no instruments|1 instrument|\d+ instruments)",
    r"an image with (no polyps|1 polyp|\d+ polyps)",
    r"an image (not )?containing a green/black box artefact",
    r"an image (not )?containing text",
    rf"an image with an abnormality with the (color {COLOUR}|colors ({COLOUR}, )*{COLOUR} and "
    rf"{COLOUR})",
    rf"an image with (a polyp of size {SIZE}|polyps of size {SIZE} and {SIZE})",
    rf"an image with (a polyp of type {TYPE}|polyps of type {TYPE} and {TYPE})",
    r"an image from a (colonoscopy|gastroscopy) procedure",
    rf"an image with an an (abnormality|anatomical landmark|instrument) located in the "
    rf"(({CELL}, )*{CELL} and )?{CELL}",
]


@cache
def drawn(count: int, split: str = "train", balanced: bool = False) -> list[Facts]:
    least = colonoscopy.least_feature(64)
    places = (colonoscopy.address(0, split, subject) for subject in range(count))
    return [colonoscopy.facts_of(draw_scene(place, least, balanced)) for place in places]


def some_of(stream: Stream, words: Sequence[str], most: int) -> tuple[str, ...]:
    count = stream.integer(0, most)
    kept = set(stream.shuffled(words)[:count])
    return tuple(word for word in words if word in kept)


def any_facts(seed: int) -> Facts:
    """Facts that need not fit together."""
    s = Stream(5, seed)
    return Facts(
        abnormalities=some_of(s, ("polyp", *DISEASES), 3),
        landmarks=some_of(s, LANDMARKS, 2),
        kinds=some_of(s, INSTRUMENTS, 3),
        findings=s.integer(0, 20),
        instruments=s.integer(0, 4),
        polyps=s.integer(0, 16),
        box=s.chance(0.5),
        text=s.chance(0.5),
        colours=some_of(s, COLOURS, 5),
        sizes=some_of(s, SIZES, 4),
        types=some_of(s, TYPES, 3),
        procedure=s.choose(PROCEDURES),
        abnormality_cells=some_of(s, CELLS, 9),
        landmark_cells=some_of(s, LANDMARK_CELLS, 9),
        instrument_cells=some_of(s, CELLS, 9),
    )


def five_thousand() -> list[Facts]:
    return [*drawn(2000), *drawn(500, balanced=True), *map(any_facts, range(2500))]


@pytest.mark.parametrize("style", STYLES)
def test_parser_inverts_grammar(style):
    for facts in five_thousand():
        labels = label_values(facts)
        prompts = write_prompts(facts, style)
        assert [(name, read(text)[1]) for name, text in prompts] == statements(facts)
        assert len({text for _, text in prompts}) == len(prompts)
        for name, text in prompts:
            template, wanted = asked(text)
            assert template == name and wanted
            assert all(labels[label] == value for label, value in wanted.items())


def test_raw_prompts_are_those_of_the_real_table():
    real = [re.compile(rf"Generate {pattern}\.") for pattern in REAL]
    seen: Counter[str] = Counter()
    for facts in drawn(2000):
        for name, text in write_prompts(facts, "raw"):
            assert any(pattern.fullmatch(text) for pattern in real), text
            seen[name] += 1
            assert len(text) < 200
    assert set(seen) == set(TEMPLATES)


def test_asked_tells_what_a_list_leaves_out():
    _, wanted = asked("Generate an image with an abnormality with the colors pink and red.")
    assert wanted["colour pink"] == wanted["colour red"] == 1 and sum(wanted.values()) == 2
    assert asked("Generate an image with 5 polyps.")[1] == {
        "polyps=0": 0.0,
        "polyps=1": 0.0,
        "polyps=2": 0.0,
        "polyps=3+": 1.0,
    }
    assert asked("Generate an image containing polyp snareandtube.")[1] == {
        "polyp snare": 1.0,
        "tube": 1.0,
    }
    place = "Generate an image with an an anatomical landmark located in the lower-rigth."
    assert asked(place)[1]["landmark lower-right"] == 1.0
    for wrong in ("Generate a cat.", "Generate an image with 1 polyps.", ""):
        with pytest.raises(ValueError, match="not a prompt"):
            asked(wrong)


def test_marginals_of_the_real_table():
    """Shares of frames within 4 standard deviations of both tables' sampling."""
    found, n = drawn(2000), 2000
    things: Counter[str] = Counter()
    for facts in found:
        things.update({*facts.abnormalities, *facts.landmarks, facts.procedure})
        things.update(f"colour {colour}" for colour in facts.colours)
        things.update(f"size {size}" for size in facts.sizes)
        things.update(name for name in ("box", "text") if getattr(facts, name))
        things.update({f"polyps={facts.polyps}", f"instruments={facts.instruments}"})
    real = {  # of 2,000 frames
        "polyp": 622,
        "ulcerative colitis": 501,
        "oesophagitis": 500,
        "z-line": 457,
        "cecum": 69,
        "box": 679,
        "text": 1589,
        "colonoscopy": 1497,
        "colour pink": 1576,
        "colour red": 1210,
        "colour white": 1015,
        "colour yellow": 173,
        "size <5mm": 101,
        "size 5-10mm": 184,
        "size 11-20mm": 177,
        "size >20mm": 129,
        "polyps=0": 1378,
        "polyps=1": 578,
        "instruments=0": 1456,
        "instruments=1": 502,
    }
    for name, count in real.items():
        share, given = count / 2000, things[name] / n
        error = (share * (1 - share) * (1 / n + 1 / 2000)) ** 0.5
        assert abs(given - share) < 4 * error + 0.004, (name, given, share)
    blocks = Counter(draw_scene(colonoscopy.address(0, "test", i), 0.08).block for i in range(400))
    assert set(blocks.values()) == {100}


def test_label_noise_contradicts_at_real_rates():
    facts = replace(drawn(1)[0], abnormalities=("polyp",), polyps=1, findings=1)
    facts = replace(facts, colours=("pink",), instruments=1, abnormality_cells=CELLS)
    unplaced = counted = pink = 0
    for subject in range(8000):
        rows = dict(noisy_prompts(facts, "raw", Stream(1, subject), True, True))
        unplaced += "abnormality_place" not in rows
        counted += rows.get("findings") == "Generate an image with 2 findings."
        pink += PINK_FINDINGS in rows.values()
    assert 60 < unplaced < 130 and abs(counted / 8000 - 76 / 131) < 0.02 and pink < 13
    clean = noisy_prompts(facts, "raw", Stream(1, 1), False, False)
    assert clean == write_prompts(facts, "raw")


# paraphrases ------------------------------------------------------------------------------

SAME = {  # what the rules may write for a word of the vocabulary
    "caecum": "cecum",
    "esophagitis": "oesophagitis",
    "inflamed oesophagus": "oesophagitis",
    "squamocolumnar junction": "z-line",
    "z line": "z-line",
    "terminal ileum": "ileum",
    "pyloric opening": "pylorus",
    "polypoid lesion": "polyp",
    "snare for polyps": "polyp snare",
    "needle for injection": "injection needle",
    "metallic clip": "metal clip",
    "less than 5 mm": "<5mm",
    "below 5 mm": "<5mm",
    "between 5 and 10 mm": "5-10mm",
    "5 to 10 mm": "5-10mm",
    "between 11 and 20 mm": "11-20mm",
    "11 to 20 mm": "11-20mm",
    "more than 20 mm": ">20mm",
    "above 20 mm": ">20mm",
}


SYNONYM = re.compile("(?<!o)(" + "|".join(sorted(map(re.escape, SAME), key=len)[::-1]) + ")")


def plain(text: str) -> str:
    """Lower case, synonyms replaced, hyphens of cells as blanks."""
    text = SYNONYM.sub(lambda match: SAME[match[0]], text.lower())
    return re.sub("(upper|lower|center)-", r"\1 ", text).replace("rigth", "right")


def words_of(prompt: str) -> list[str]:
    name, value = read(prompt)
    numbers = ["no", "one", "two", "three", "four", "five", "six"]
    if name in ("findings", "instruments", "polyps"):
        nouns = {"instruments": "instrument|tool", "findings": "finding", "polyps": "polyp"}
        count = int(value[0])
        number = numbers[count] if count < len(numbers) else str(count)
        return [rf"\b{number}\b.*({nouns[name]})"]
    if name in ("box", "text"):
        no = r"\b(without|free|not)\b"
        return [no if value[0] == "without" else rf"^(?!.*{no})", name]
    return [re.escape(plain(word)) for word in value]


def test_paraphrases_keep_what_is_asked():
    prompts = {text for facts in drawn(700) for _, text in write_prompts(facts, "raw")}
    meanings: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    for prompt in sorted(prompts):
        texts = {paraphrase(prompt, key) for key in range(40)}
        assert len(texts) > 22 and prompt not in texts
        name, value = read(prompt)
        words = words_of(prompt)
        for text in texts:
            assert all(re.search(word, plain(text)) for word in words), (prompt, text)
            meanings.setdefault(text, set()).add((name, tuple(sorted(value))))
    assert all(len(found) == 1 for found in meanings.values())
    assert len(meanings) > 11_000 and paraphrase(prompt, 5) == paraphrase(prompt, 5)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("Prompt,Paraphrase\na,b\na,c\n", {"a": ["b", "c"]}),
        ('Filename;Prompt;Paraphrase\r\nx;a;"b; c"\r\n', {"a": ["b; c"]}),
        ('\ufeffprompt,paraphrase\n"a, b",c\n', {"a, b": ["c"]}),
        (
            '{"Prompt": "a", "Paraphrase": ["b", "c"]}\n\n{"prompt": "d", "paraphrase": "e"}\n',
            {"a": ["b", "c"], "d": ["e"]},
        ),
    ],
)
def test_files_of_paraphrases(tmp_path, content, found):
    path = tmp_path / "given"
    path.write_bytes(content.encode())
    assert read_paraphrases(path) == found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must name the columns"),
        ("Prompt,Text\na,b\n", "must name the columns Prompt and Paraphrase"),
        ("Prompt,Paraphrase\n", "no rows"),
        ("Prompt,Paraphrase\na,\n", "line 2: Prompt or Paraphrase is empty"),
        ("Prompt,Paraphrase\na,b,c\n", "line 2: 3 columns"),
        ('{"Prompt": "a"}\n', "line 1: not a JSON object with the keys"),
        ("\xff", "not UTF-8"),
    ],
)
def test_bad_files_of_paraphrases(tmp_path, content, message):
    path = tmp_path / "given"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=message) as error:
        read_paraphrases(path)
    assert str(path) in str(error.value)
    with pytest.raises(UserError, match="there is no such file"):
        read_paraphrases(tmp_path / "absent")
