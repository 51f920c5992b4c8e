"""What is ranked, what stands apart and why, in every format, however odd the names are."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medbench import leaderboard, results
from medbench.core.errors import UserError
from medbench.core.files import MARKER, read_json
from medbench.results import collect
from medbench.tracking import default_uri, open_tracker
from medbench.tracking.store import Store
from tests.medbench.example_run import example_result, write_database, write_run

ROOT = Path(__file__).parents[2]
ODD = "=cmd|<b>_&%\x1b[2J"


@pytest.fixture
def board(out: Path) -> Path:
    """Two seeds of one row, a variant, and a row measured with another extractor."""
    write_run(out)
    write_run(out, fid=33.0, run="b" * 16, seed=1, samples=False)
    write_run(out, fid=80.0, run="c" * 16, row="msdm (no_text)", settings="other", samples=False)
    values = example_result(12.0)["values"]
    for value in values:
        value["fingerprint"]["parts"]["extractor"] = "other"
    write_run(out, run="d" * 16, row=ODD, settings="third", values=values, samples=False)
    return out


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert leaderboard.main(list(words)) == 0
    return capsys.readouterr().out


def test_table_fits_a_terminal_and_pools_seeds(
    board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, f"out={board}")
    assert max(map(len, text.splitlines())) <= 100
    assert "protocol gi_quick: tiny scale, phantom" in text
    assert re.search(r"msdm, 2 seeds +32\.1±1\.3\*", text)
    assert re.search(r"msdm \(no_text\) +80\.0±2\.1 ", text)
    assert re.search(r"=cmd.* 12\.0±2\.1 a ", text)
    assert "a: differs in extractor" in text
    assert re.search(r"real images +3\.\d .*", text)
    assert re.search(r"shuffled prompts, 95 % +<0\.310", text)
    assert "\x1b" not in text
    rows = [line for line in text.splitlines() if re.match(r"  (msdm|=cmd)", line)]
    assert [row.split()[0] for row in rows[:3]] == ["msdm,", "msdm", "=cmd|<b>_&%?[2J"]


def test_names_are_cut_where_they_still_differ(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for turn, end in enumerate(("steps=1300, guidance=1.0", "steps=1300, guidance=4.5")):
        name = f"a method with a name, {end}, and what else there is to say of it"
        write_run(out, run=str(turn) * 16, row=name, settings=end, samples=False)
    text = shown(capsys, f"out={out}")
    assert "name, steps=1300, guidance=1.0…" in text and "guidance=4.5…" in text
    assert max(map(len, text.splitlines())) <= 100


def test_every_format_escapes(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, f"out={board}", "format=csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    measured = {row["row"] for row in rows if row["marks"] != "published"}
    assert measured == {"msdm, 2 seeds", "msdm (no_text)", "'" + ODD}
    first = next(row for row in rows if row["metric"] == "fid")
    assert (first["rank"], first["of"], first["seeds"]) == ("1", "2", "0 1")
    markdown = shown(capsys, f"out={board}", "format=md")
    assert r"=cmd\|\<b\>\_&%" in markdown and "**32.1±1.3**" in markdown
    latex = shown(capsys, f"out={board}", "format=latex")
    assert r"=cmd\textbar{}\textless{}b\textgreater{}\_\&\%" in latex
    assert r"\textbf{32.1$\pm$1.3}" in latex and r"\textsuperscript{a}" in latex


def test_page_is_sortable_and_loads_nothing(
    board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shown(capsys, f"out={board}", "format=html").strip())
    text = path.read_text(encoding="utf-8")
    assert "<b>_" not in text and "=cmd|&lt;b&gt;_&amp;%" in text
    assert text.count("<script>") == 1 and "script-src 'sha256-" in text
    assert 'src="data:image/png' in text and not re.search(r"https?://", text)


def test_metric_and_protocol_are_chosen(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(board, run="e" * 16, protocol="gi_long", samples=False)
    text = shown(capsys, f"out={board}", "metric=recall", "protocol=gi_long")
    assert text.startswith("protocol gi_long") and "gi_quick" not in text
    assert re.search(r"recall ↑ +fid ↓", text)
    assert "protocol gi_quick" in shown(capsys, f"out={board}")


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (["fromat=md"], ["fromat is not known; did you mean format?"]),
        (["format=xls", "x"], ["formats are table, md", "x is not a setting"]),
        (["protocol=gi_quik"], ["protocol=gi_quik; did you mean gi_quick?"]),
        (["metric=fied"], ["metric=fied was not measured; did you mean fid?"]),
        (["tracking.uri=nowhere"], ["tracking.uri=nowhere is not the address"]),
    ],
)
def test_mistakes_are_named(board: Path, words: list[str], sentences: list[str]) -> None:
    with pytest.raises(UserError) as error:
        leaderboard.main([f"out={board}", *words])
    assert len(error.value.mistakes) == len(sentences)
    for sentence in sentences:
        assert sentence in str(error.value)


def test_an_empty_folder_says_what_to_do(out: Path) -> None:
    with pytest.raises(UserError, match="no finished run under .*medbench.run"):
        leaderboard.main([f"out={out}"])


def test_unfinished_and_damaged_runs_hide_no_others(
    board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (board / "runs" / f"msdm-{'c' * 16}" / MARKER).unlink()
    (board / "runs" / f"msdm-{'d' * 16}" / "result.json").write_text("{")
    assert [r["run"] for r in collect(board, None)] == ["0123456789abcdef", "b" * 16]
    assert "is damaged" in capsys.readouterr().err


def test_rows_of_one_name_say_in_what_they_differ(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for guidance, letter in ((4, "a"), (6, "b")):
        run = write_run(out, run=letter * 16, settings=letter, samples=False)
        (run / "config.yaml").write_text(
            f"sampling: {{guidance: {guidance}, steps: 50}}\nseed: 1\n"
        )
    text = shown(capsys, f"out={out}")
    assert "msdm, guidance=4 " in text and "msdm, guidance=6 " in text


def test_rows_are_told_apart_by_what_tells_them_apart(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """More settings differ than are named; the notes name rows as the table does."""
    for letter, guidance, other in (("a", 4, 1), ("b", 4, 2), ("c", 6, 2)):
        run = write_run(out, fid=20.0 + other, run=letter * 16, settings=letter, samples=False)
        same = "".join(f"{key}: {other}, " for key in ("p", "q", "r", "s"))
        (run / "config.yaml").write_text(f"sampling: {{{same}guidance: {guidance}}}\n")
    assert leaderboard.main([f"out={out}", "format=csv"]) == 0
    rows = {line["row"] for line in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    rows = {row for row in rows if "published" not in row}
    assert len(rows) == 3 and sum("guidance=6" in row for row in rows) == 1
    assert all("p=" in row and "s=" not in row for row in rows)


def test_the_page_in_the_store_is_no_result(
    board: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_database(board)
    path = shown(capsys, f"out={board}", "format=html").strip()
    assert Path(path).is_file()
    monkeypatch.setattr(results, "tracked_results", lambda uri, local: pytest.fail("asked"))
    known = results._attempts(results.local_results(board))
    assert "leaderboard" not in known and len(collect(board, None)) == 4
    store = Store(default_uri(board))
    (run,) = [run for run in store.runs() if run.data.tags["medbench.run"] == "leaderboard"]
    with_page = store.fetch_artifact(run.info.run_id, "leaderboard.html", board / "fetched")
    assert "<h1>Leaderboard</h1>" in with_page.read_text()


def test_a_finished_run_is_shown_in_its_place(
    board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = read_json(board / "runs" / "msdm-0123456789abcdef" / "result.json")
    leaderboard.print_run(result, board)
    text = capsys.readouterr().out
    assert "msdm (tiny, seed 0, phantom data), protocol gi_quick" in text
    assert re.search(r"adherence/class ↑ +0\.930 .* 1\.000 +0\.250 \(<0\.310\) +500  above", text)
    assert re.search(r"adherence/corner .* at chance", text)
    assert "> msdm, 2 seeds" in text
    assert max(map(len, text.splitlines())) <= 100


def test_local_results_need_no_mlflow_and_come_at_once(board: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "medbench.leaderboard", f"out={board}"]
    began = os.times()
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    spent = os.times()  # of the processor: a busy machine is no slow command
    assert spent.children_user - began.children_user < 3
    loaded = {line.rsplit("|", 1)[-1].strip() for line in ended.stderr.splitlines()}
    assert not {"mlflow", "torch", "numpy"} & loaded


def test_a_run_whose_folder_is_gone_is_shown_from_the_tracking_store(
    board: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_database(board)
    settings: dict[str, Any] = {"uri": None, "experiment": "medbench"}
    for letter in ("b", "c"):
        run = board / "runs" / f"msdm-{letter * 16}"
        tags = {"medbench.run": letter * 16, "medbench.attempt": "1"}
        tracker = open_tracker(settings, board, run, tags, enabled=True)
        tracker.artifact(run / "result.json")
        tracker.close("FINISHED", wait_s=60)
    before = shown(capsys, f"out={board}")
    shutil.rmtree(board / "runs" / f"msdm-{'c' * 16}")
    assert shown(capsys, f"out={board}") == before
    monkeypatch.setattr(results, "tracked_results", lambda uri, local: pytest.fail("asked"))
    newer = board / "runs" / f"msdm-{'c' * 16}"  # begun anew since: the local attempt counts
    newer.mkdir()
    (newer / "result.json").write_text(
        json.dumps(example_result(70.0) | {"run": "c" * 16, "attempt": 2})
    )
    (newer / MARKER).touch()
    assert {r["run"]: r["attempt"] for r in collect(board, None)}["c" * 16] == 2


def test_a_store_that_does_not_answer_is_one_sentence(board: Path) -> None:
    with pytest.raises(UserError, match=r"http://127.0.0.1:9 cannot be read .*without it"):
        leaderboard.main([f"out={board}", "tracking.uri=http://127.0.0.1:9"])
    assert default_uri(board).startswith("sqlite:////")
