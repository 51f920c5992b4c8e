"""Equal content, equal name."""

from pathlib import Path

import pytest

from medbench.core.fingerprint import fingerprint, hash_files


def test_order_of_keys_and_kind_of_sequence_do_not_count() -> None:
    assert fingerprint({"a": 1, "b": [2, 3]}) == fingerprint({"b": (2, 3), "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.5}) != fingerprint({"a": "1"})


def test_what_has_no_single_spelling_is_refused() -> None:
    with pytest.raises(ValueError):
        fingerprint(float("nan"))
    with pytest.raises(TypeError):
        fingerprint({1, 2})


def test_files_count_by_relative_path_size_and_content(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("abc")
    one, two = (hash_files(tmp_path / n, (tmp_path / n).iterdir(), True) for n in ("one", "two"))
    assert one == two
    (tmp_path / "two" / "a.txt").write_text("abd")
    by_size = hash_files(tmp_path / "two", (tmp_path / "two").iterdir(), False)
    by_content = hash_files(tmp_path / "two", (tmp_path / "two").iterdir(), True)
    assert by_size == hash_files(tmp_path / "one", (tmp_path / "one").iterdir(), False)
    assert by_content != one
