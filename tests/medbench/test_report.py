"""One page that holds everything, loads nothing, and shows what prompts say without obeying it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from medbench.report.build import build_report
from medbench.report.curves import Axis, draw_curves, group_curves, smooth, thin
from medbench.report.numbers import number, part, with_interval
from medbench.report.samples import choose
from medbench.report.tables import verdict
from tests.medbench.example_run import write_run


class Page(HTMLParser):
    """Tags and attributes of a page; complains about tags that do not close."""

    VOID = ("meta", "img", "br", "circle", "line", "path")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(run: Path) -> str:
    return build_report(run).read_text(encoding="utf-8")


def test_page_is_whole_and_loads_nothing(out: Path) -> None:
    run = write_run(out)
    text = read(run)
    parsed = Page(text)
    assert parsed.open == []
    assert "script" not in parsed.tags
    addresses = [v for name, v in parsed.attributes if name in ("src", "href")]
    assert addresses and all(v.startswith("data:image/png;base64,") for v in addresses)
    assert not re.search(r"url\(|@import|https?://", text)
    assert len(text) < 3_000_000


def test_markup_in_prompts_and_config_is_shown_not_obeyed(out: Path) -> None:
    text = read(write_run(out, row="<i>row</i>", protocol="<u>p</u>"))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(&#x27;prompt&#x27;)&lt;/script&gt; &amp; &lt;b&gt;bold" in text
    assert "<img src=x" not in text and "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<i>row" not in text and "<u>p" not in text


def test_page_holds_values_adherence_samples_curves_and_provenance(out: Path) -> None:
    text = read(write_run(out))
    for words in (
        "31.2 ± 2.1",
        "0.930 [0.890, 0.960]",
        "follows the prompt",
        "at chance",
        "Phantom data",
        "1,234,567",
        "fitted earlier",
        "526c62c",
        "12:11",
        "biased upwards",
    ):
        assert words in text, words
    assert text.count('alt="generated"') == text.count('alt="real"') == 24
    assert text.count("<svg") == 4


def test_folders_that_lack_something_still_give_a_page(out: Path) -> None:
    run = write_run(out, samples=False, phantom=False, stages=[], untrained=["msdm.diffusion"])
    (run / "config.yaml").unlink()
    text = read(run)
    assert "left no sample set" in text and "No curves" in text
    assert "Phantom data" not in text and "not trained (steps=0): msdm.diffusion" in text


def test_a_damaged_picture_is_named_in_its_place(out: Path) -> None:
    run = write_run(out)
    (run / "samples" / "prompts" / "000000.png").write_bytes(b"no picture")
    assert "cannot be read" in read(run)


def test_stages_are_found_after_the_output_folder_was_moved(out: Path, tmp_path: Path) -> None:
    run = write_run(out)
    moved = tmp_path / "elsewhere"
    run.parents[1].rename(moved)
    assert (read(moved / "runs" / run.name)).count("<svg") == 4


def test_samples_are_chosen_from_every_arm(tmp_path: Path) -> None:
    arms = [("a", 100), ("b", 100), ("c", 3)]
    lines = [
        {"arm": arm, "index": i, "request": {"text": f"{i % 5}"}}
        for arm, n in arms
        for i in range(n)
    ]
    chosen = choose(lines, tmp_path)
    counts = {arm: sum(line["arm"] == arm for line in chosen) for arm, _ in arms}
    assert counts == {"a": 11, "b": 10, "c": 3}
    assert len(chosen) == 24


def test_curves_draw_odd_numbers() -> None:
    flat = draw_curves("flat", {"train": [(0.0, 2.0), (10.0, 2.0)]})
    single = draw_curves("<single>", {"train": [(5.0, 0.0)]})
    wide = draw_curves("wide", {"train": [(float(s), 10.0 ** (-s / 20)) for s in range(100)]})
    assert "nan" not in flat + single + wide
    assert "&lt;single&gt;" in single
    assert "log scale" in wide
    assert group_curves({"train/x": [[0, float("nan")], [1, None]]}) == {}
    names = list(group_curves({"train/a": [[0, 1]], "val/loss": [[0, 1]], "lr": [[0, 1]]}))
    assert names == ["loss", "a", "lr"]


def test_thinning_and_smoothing_keep_the_ends_and_the_mean() -> None:
    points = [(float(i), float(i % 2)) for i in range(10_001)]
    assert thin(points)[0] == points[0] and thin(points)[-1] == points[-1]
    assert len(thin(points)) == 400
    assert all(abs(v - 0.5) < 0.01 for _, v in smooth(points)[500:-500])


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("low", "high"), [(1e-4, 3.0), (0.5, 0.52), (10.0, 90_000.0)])
def test_ticks_lie_within_the_axis(low: float, high: float, log: bool) -> None:
    axis = Axis(low, high, 200, 0, log)
    places = [axis.place(tick) for tick in axis.ticks()]
    assert all(-1e-6 <= place <= 200 + 1e-6 for place in places)
    assert len(places) <= 14


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (31.23, 29.1, 33.36, "31.2 ± 2.1"),
        (0.81, 0.75, 0.84, "0.810 [0.750, 0.840]"),
        (0.5, None, None, "0.500"),
        (None, None, None, "–"),
        (float("nan"), 0, 1, "–"),
        (1234.5, 1100.0, 1369.0, "1234 ± 134"),
        (0.0, 0.0, 0.0, "0.000 ± 0.000"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_supports(
    value: float | None, low: float | None, high: float | None, text: str
) -> None:
    assert with_interval(value, low, high) == text


def test_parts_of_a_value_may_be_numbers_mappings_or_absent() -> None:
    assert part(0.5) == part({"value": 0.5}) == 0.5
    assert part(None) is None and part({"value": None}) is None and part(0.5, "high") is None
    assert number(None) == "–"


@pytest.mark.parametrize(
    ("value", "bound", "ceiling", "words"),
    [
        (0.9, 0.3, 1.0, "follows the prompt"),
        (0.3, 0.3, 1.0, "at chance"),
        (0.9, 0.3, 0.2, "real images are at chance too"),
        (None, 0.3, 1.0, "not measured"),
    ],
)
def test_verdicts(value: float | None, bound: float, ceiling: float, words: str) -> None:
    given = {"value": value, "chance": {"value": 0.2, "high": bound}, "ceiling": ceiling}
    assert verdict(given)[1] == words
