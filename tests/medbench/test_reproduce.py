"""Published tables: read whole, planned row by row, run and printed beside what was measured."""

import re
from pathlib import Path

import pytest

from medbench.cli import finish
from medbench.core.errors import UserError
from medbench.library import Library
from medbench.measurement import compose_measurement
from medbench.published import published_results, read_table, table_names
from medbench.reproduce import main, rows_of, side_by_side
from medbench.reproduce import plan as plan_rows

OUTSIDE = Path(__file__).parents[1] / "outside"
TOY = """
like: dots_quick
table: msdm/text_dev_metrics
dataset: dots
columns: {fid: fid, precision: precision, recall: recall, f1: f1}
rows:
  MSDM after 100,000 steps: method=policy
  MSDM with paraphrased texts added to the originals: method=policy variant=nobody
"""
NOT_YET = {"posture", "cxr_clip", "cxr_race", "cxr_age"}  # backbones that come with their methods


@pytest.mark.parametrize("name", table_names())
def test_every_published_table_is_read(name: str) -> None:
    table = read_table(name)
    for row in table.rows:
        assert set(row.cells) == set(table.columns)
        assert all(cell.value is not None for cell in row.cells.values() if cell.may_rank)
    if not table.rows:
        assert table.notes


def test_every_published_table_of_measured_images_has_a_protocol() -> None:
    library = Library()
    measured = {str(library.read("protocols", n).get("table")) for n in library.names("protocols")}
    tables = {name for name in table_names() if re.search(r"/table\w+$", name)}
    assert tables <= measured


@pytest.mark.parametrize("scale", ["tiny", "paper"])
@pytest.mark.parametrize("name", Library().names("protocols"))
def test_every_protocol_composes(name: str, scale: str) -> None:
    library = Library()
    protocol = library.read("protocols", name)
    try:
        compose_measurement([f"protocol={name}"], library, scale)
    except UserError as error:
        absent = [re.match(r"stage:(\w+) names no backbone", text) for text in error.mistakes]
        assert all(found and found[1] in NOT_YET for found in absent), error.mistakes
    if "table" in protocol:
        table = read_table(protocol["table"])
        labels = {row.label for row in table.rows}
        asked = {label for label, words in (protocol.get("rows") or {}).items() if words}
        assert asked <= labels or not labels
        assert rows_of(table, protocol)
        columns = {key for key, value in (protocol.get("columns") or {}).items() if value}
        assert columns <= set(table.columns) or not table.rows


def test_published_rows_are_in_our_units_and_marked() -> None:
    library = Library()
    rows = published_results(library.read("protocols", "biomedjourney_table3"), "p")
    assert rows and all(row["published"] for row in rows)
    table = read_table("biomedjourney/table3")
    printed = table.rows[0].cells["auroc_mean"].value
    values = {value["name"]: value for value in rows[0]["values"]}
    assert printed is not None
    assert values["auroc"]["value"] == pytest.approx(printed / 100)
    assert values["kl_as_printed"]["value"] == table.rows[0].cells["kl_divergence"].value


def test_cells_that_may_not_rank_keep_their_note() -> None:
    table = read_table("cxrl/table1")
    cells = {cell.status: cell for row in table.rows for cell in row.cells.values()}
    assert cells["reconstructed"].may_rank and cells["reconstructed"].note
    assert not cells["ambiguous"].may_rank and cells["ambiguous"].note
    assert cells["lost"].text == "lost" and not cells["lost"].may_rank


def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table=msdm/text_dev_metrics", "--dry-run", "seed=0,1"]) == 0
    text = capsys.readouterr().out
    assert text.count("protocol=msdm_text_dev_metrics scale=tiny") == 6  # three rows, two seeds
    assert "3 of 4 rows can be run; not here yet: kandinsky3" in text
    assert main(["table=radgazegen/table4", "--dry-run"]) == 0
    assert "python -m medbench.augment, which trains" in capsys.readouterr().out
    assert main(["table=biomedjourney/table1", "--dry-run"]) == 0
    assert "SD: the method stable_diffusion is not here yet" in capsys.readouterr().out
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.startswith("  biomedjourney/table1 ")


def test_a_table_whose_values_are_lost_has_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table=msdm/table1", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "prior of LoRA rank 128: the method kandinsky22 is not here yet" in text
    assert "no value of it is known" in text and "0 of 10 rows can be run" in text
    assert main(["table=msdm/table3", "--dry-run"]) == 0
    assert "2 of 3 rows can be run" in capsys.readouterr().out
    assert main(["table=msdm/table2"]) == 0
    assert "decoder of LoRA rank 8 - | - - | -" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table=msdm/tabel1"], "table=msdm/tabel1 is not known; did you mean msdm/table1"),
        (["scale=tiny"], "table= is missing"),
        (["table"], "table is not a setting"),
        (["table=cxrl/text_expert_rating"], "No protocol measures table=cxrl/text_expert_rating"),
    ],
)
def test_mistakes_are_sentences(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        main(words)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The toys, with a protocol that sets one of them beside a published table."""
    for group in ("methods", "backbones", "data", "protocols"):
        (tmp_path / group).mkdir()
    (tmp_path / "protocols" / "toy_table.yaml").write_text(TOY)
    return tmp_path


def test_rows_stand_beside_what_was_measured(folder: Path) -> None:
    library = Library([OUTSIDE, folder])
    protocol = library.read("protocols", "toy_table")
    table = read_table("msdm/text_dev_metrics")
    lines = plan_rows(table, "toy_table", protocol, {"seed": "0,1"}, [], library)
    (first,) = [line for line in lines if line.commands]
    assert [words[-1] for words in first.commands] == ["seed=0", "seed=1"]
    assert "data=dots" in first.commands[0]
    values = [{"name": "fid", "value": v, "ceiling": None} for v in (3.0, 5.0)]
    first.results = [{"values": [value], "phantom": True} for value in values]
    text = side_by_side(table, lines, protocol)
    printed = first.row.cells["fid"].text
    assert f"4.00 ± 1.41 | {printed}" in text
    assert "has no variant nobody" in text and "the method kandinsky3 is not here" in text
    assert "no reproduction of the published numbers" in text


@pytest.mark.slow
def test_a_table_runs_from_end_to_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = [f"--config-dir={OUTSIDE}", f"--config-dir={folder}", f"out={folder / 'out'}"]
    words = [*fixed, "table=msdm/text_dev_metrics", "protocol=toy_table", "trainer.threads=1"]
    assert finish(main, words) == 0
    text = capsys.readouterr().out
    assert re.search(r"MSDM after 100,000 steps +\d+\.\d\d \| ", text)
