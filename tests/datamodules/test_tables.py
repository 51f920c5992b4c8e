"""Tables: by column name, and one sentence for whatever is wrong with a file."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from datamodules.labels import CANONICAL, decode_labels, label_columns
from datamodules.splits import check_leak, hash_share, smallest
from datamodules.tables import find_table, read_table, unique
from medbench.core.errors import UserError


def test_columns_are_found_by_name_in_any_order_and_any_wrapping(tmp_path: Path) -> None:
    text = 'b,a,c\r\n1,"x, y\nz",\r\n2,w,3\r\n'
    plain, packed = tmp_path / "t.csv", tmp_path / "t.csv.gz"
    plain.write_bytes(b"\xef\xbb\xbf" + text.encode())
    packed.write_bytes(gzip.compress(text.encode()))
    rows = [{"a": "x, y\nz", "b": "1"}, {"a": "w", "b": "2"}]
    assert read_table(plain, ["a", "b"]) == read_table(packed, ["a", "b"]) == rows
    assert read_table(plain, ["a"], optional=["c", "d"])[1] == {"a": "w", "c": "3"}
    assert list(read_table(plain, [])[0]) == ["b", "a", "c"]
    lines = tmp_path / "t.jsonl"
    lines.write_text('{"a": "w", "n": 1.5, "gone": null, "yes": true}\n{"a": "v"}\n')
    assert read_table(lines, ["a", "n", "gone", "yes"]) == [
        {"a": "w", "n": "1.5", "gone": "", "yes": "1"},
        {"a": "v", "n": "", "gone": "", "yes": ""},
    ]


BAD = {
    "a missing column": (
        b"subject,studdy_id\n",
        "line 1: the column study_id is missing; did you ",
    ),
    "mixed encodings": (b"study_id\nok\nM\xfcller\n", "line 3: byte 0xfc is not UTF-8"),
    "too many cells": (b"study_id\n1\n1,2\n", "line 3: 2 cells where the header has 1"),
    "an open quote": (b'study_id\n"1\n', "line 2: unexpected end of data. Mend the quotes"),
    "a column twice": (b"study_id,study_id\n", "the column 'study_id' more than once"),
    "nothing": (b"", "has no lines"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_table_is_named_with_its_row(tmp_path: Path, what: str) -> None:
    data, message = BAD[what]
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        read_table(path, ["study_id"])
    assert str(path) in str(caught.value)


def test_a_cut_archive_and_a_bad_line_of_json_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" * 1000)[:-20])
    with pytest.raises(UserError, match=r"t\.csv\.gz cannot be read .* Fetch it again"):
        read_table(path, ["a"])
    lines = tmp_path / "t.jsonl"
    lines.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(UserError, match="line 2: this is no JSON"):
        read_table(lines, ["a"])
    lines.write_text("[1]\n")
    with pytest.raises(UserError, match="line 1: a JSON object is needed"):
        read_table(lines, ["a"])


def test_a_table_may_lie_packed_or_not_but_not_both_and_different(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t\.csv\.gz \(or t\.csv\) is missing"):
        find_table(tmp_path, "t")
    (tmp_path / "t.csv").write_bytes(b"a\n1\n")
    assert find_table(tmp_path, "t").name == "t.csv"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a\n1\n"))
    assert read_table(find_table(tmp_path, "t"), ["a"]) == [{"a": "1"}]
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a\n2\n"))
    with pytest.raises(UserError, match="side by side and differ"):
        find_table(tmp_path, "t")


def test_an_id_that_stands_twice_is_named_with_both_rows() -> None:
    rows = [{"id": "a"}, {"id": "b"}, {"id": "a"}]
    with pytest.raises(UserError, match="id 'a' stands in rows 2 and 4"):
        unique(rows, "id", Path("t.csv"))


# labels ------------------------------------------------------------------------------
def test_labels_are_decoded_as_the_releases_write_them() -> None:
    row = {"Edema": "1.0", "Fracture": "-1", "Pneumonia": "0.0", "Airspace Opacity": ""}
    names = ["Fracture", "Edema", "Pneumonia", "Lung Opacity"]
    found = decode_labels(row, names)
    assert np.array_equal(found, np.array([np.nan, 1, 0, np.nan], np.float32), equal_nan=True)
    assert found.dtype == np.float32
    assert decode_labels(row, names, uncertain="one", blank="zero").tolist() == [1, 1, 0, 0]
    assert decode_labels(row, names, uncertain="keep", blank="zero")[0] == -1
    assert label_columns(["id", *row]) == list(row)
    assert len(CANONICAL) == 14


def test_a_label_outside_its_coding_is_named_with_its_row() -> None:
    with pytest.raises(UserError, match=r"x\.csv, row 7: Edema is '2'; a label is 1, 0, -1"):
        decode_labels({"Edema": "2"}, ["Edema"], where="x.csv, row 7")
    with pytest.raises(UserError, match=r"row 7: the label column Edema is missing"):
        decode_labels({"Odema": "1"}, ["Edema"], where="x.csv, row 7")


# splits ------------------------------------------------------------------------------
def test_a_hash_places_names_evenly_and_for_ever() -> None:
    assert round(hash_share("chexpert", "patient00001"), 6) == 0.974153
    shares = [hash_share("k", str(i)) for i in range(4000)]
    assert 0 <= min(shares) and max(shares) < 1
    assert abs(np.mean(np.array(shares) < 0.1) - 0.1) < 0.02


def test_a_smaller_subset_begins_a_larger_one_in_any_order() -> None:
    names = [f"n{i}" for i in range(50)]
    assert smallest(names[::-1], 20)[:7] == smallest(names, 7)
    assert smallest(names, 7, "a") != smallest(names, 7, "b")


def test_a_shared_subject_is_a_sentence() -> None:
    assert check_leak({"train": ["a", "b"], "test": ["c"]}) == []
    [text] = check_leak({"train": "abcdef", "validation": "x", "test": "dcba"})
    assert text.startswith("4 subjects stand in train and in test (a, b, c, ...)")


def test_jsonl_is_read_as_csv_is(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"caption": "ä"}, ensure_ascii=False), encoding="latin-1")
    with pytest.raises(UserError, match="line 1: byte 0xe4 is not UTF-8"):
        read_table(path, ["caption"])
