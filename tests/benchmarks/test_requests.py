"""The choice of requests: even, stable, and by ids alone."""

from collections import Counter
from typing import Any

import pytest

from benchmarks.requests import select
from medbench.core.errors import UserError


class Rows:
    """Ten prompts a frame; the last template is rare."""

    def __init__(self, n: int = 300) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        raise AssertionError("an image was drawn for a choice")

    def describe(self, index: int) -> dict[str, Any]:
        frame, place = divmod(index, 10)
        template = "rare" if place == 9 and frame % 3 == 0 else f"t{place % 3}"
        return {
            "sample_id": f"{frame}/{place}",
            "subject_id": str(frame),
            "meta": {"template": template},
        }


def test_templates_are_drawn_evenly_and_smaller_sets_are_prefixes() -> None:
    spec = {"split": "test", "n": 40, "balance": "template"}
    rows = select(Rows(), spec)
    count = Counter(Rows().describe(i)["meta"]["template"] for i in rows)
    assert set(count.values()) == {10} and len(set(rows)) == 40
    assert select(Rows(), spec | {"n": 13}) == rows[:13]
    more = Counter(
        Rows().describe(i)["meta"]["template"] for i in select(Rows(), spec | {"n": 100})
    )
    assert more["rare"] == 10 and more["t0"] == 30


def test_a_key_may_be_taken_only_once() -> None:
    spec = {"split": "test", "n": 28, "balance": "template", "unique": "subject_id"}
    rows = select(Rows(), spec)
    assert len({index // 10 for index in rows}) == 28
    with pytest.raises(UserError, match="n=31 samples.* has 30 that fit"):
        select(Rows(), spec | {"n": 31})


def test_without_balance() -> None:
    assert select(Rows(), {"split": "test"}) == list(range(300))
    few = select(Rows(), {"split": "test", "n": 20})
    assert len(set(few)) == 20 and few != list(range(20))
    with pytest.raises(UserError, match="samples have no colour"):
        select(Rows(), {"split": "test", "balance": "colour"})
    with pytest.raises(UserError, match=r"requests\.nn is not known"):
        select(Rows(), {"nn": 3})
