"""Only values of one fingerprint are ranked; the others say what differs."""

from typing import Any

import pytest

from benchmarks.ranking import Row, compare, value_names


def result(row: str, fid: float, seed: int = 0, **changes: Any) -> dict[str, Any]:
    parts = {"extractor": "e", "n": 10, "requests": "r"} | changes.pop("parts", {})
    value = {
        "name": "fid",
        "value": fid,
        "low": fid - 1,
        "high": fid + 1,
        "direction": "lower",
        "fingerprint": {"id": str(parts), "parts": parts},
    }
    settings = changes.pop("settings", row)
    whole = {"row": row, "seed": seed, "settings": settings, "stages": [], "values": [value]}
    return whole | {"data": {"train": "d"}, "phantom": True} | changes


def by_name(results: list[dict[str, Any]]) -> dict[str, Row]:
    return {row.name: row for row in compare(results, ["fid"]).rows()}


def test_seeds_of_one_row_are_pooled_and_rows_are_ranked() -> None:
    results = [result("a", 3.0), result("a", 5.0, seed=1), result("b", 2.0), result("c", 9.0)]
    table = compare(results, ["fid"])
    (group,) = table.groups
    assert [row.name for row in group.rows] == ["b", "a", "c"]
    cell = group.rows[1].cells["fid"]
    assert (cell.value, cell.rank, cell.of) == (4.0, 2, 3)
    assert cell.spread == pytest.approx(2**0.5) and cell.low is None
    assert group.rows[1].seeds == [0, 1] and group.rows[0].cells["fid"].low == 1.0
    assert value_names(results) == ["fid"]


def test_a_seed_that_ran_twice_counts_once_with_its_latest_value() -> None:
    cell = by_name([result("a", 3.0), result("a", 7.0)])["a"].cells["fid"]
    assert cell.value == 7.0 and cell.spread is None


def test_what_does_not_compare_stands_apart_and_says_why() -> None:
    results = [
        result("a", 3.0),
        result("b", 2.0),
        result("other n", 1.0, parts={"n": 20}),
        result("other data", 1.0, data={"train": "x"}),
        result("folder", 1.0, parts={"requests": None}, data=None),
        result("folder too", 1.0, parts={"requests": None}, data=None),
    ]
    rows = by_name(results)
    assert rows["b"].cells["fid"].rank == 1 and rows["a"].cells["fid"].rank == 2
    assert rows["other n"].cells["fid"].apart == "differs in n"
    assert rows["other data"].cells["fid"].apart == "differs in training data"
    assert rows["folder"].cells["fid"].apart == "differs in requests, training data"
    assert {row.cells["fid"].of for row in rows.values()} == {1, 2}
    table = compare(results, ["fid"])
    assert len(table.groups) == 5 and table.groups[0].differs == ""
    assert {group.differs for group in table.groups[1:]} == {
        *("differs in n", "differs in training data", "differs in requests, training data"),
    }


def test_settings_make_rows_and_marks_are_shown() -> None:
    rows = compare(
        [
            result("a", 3.0),
            result("a", 4.0, settings="weaker", untrained=["diffusion"]),
            result("paper", 1.0, published=True, phantom=False, parts={"extractor": None}),
            result("real", 0.5, ceiling=True),
        ],
        ["fid", "kid"],
    ).rows()
    found = {(row.name, *row.marks): row.cells["fid"] for row in rows}
    assert found["a", "phantom"].rank == 1 and found["a", "phantom", "untrained"].rank == 2
    assert found["real", "phantom", "ceiling"].rank is None
    assert found["paper", "published"].apart == "published under its own protocol"


def test_higher_is_better_where_the_metric_says_so() -> None:
    results = [result("a", 0.3), result("b", 0.9)]
    for one in results:
        one["values"][0]["direction"] = "higher"
    assert by_name(results)["b"].cells["fid"].rank == 1
