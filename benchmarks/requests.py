"""Which samples of a split an arm or a real set takes: a function of their ids alone."""

from collections import defaultdict
from typing import Any

from datamodules.base import Split, Subset
from medbench.core.batch import Sample
from medbench.core.errors import UserError
from medbench.core.seeds import mix

VERSION = 1  # raised when the same words would take other samples
KNOWN = ("data", "split", "n", "balance", "unique", "where")


def select(split: Split, spec: dict[str, Any]) -> list[int]:
    """Indices that `spec` takes of a split; of a smaller n, the same ones in the same order.

    n: how many, all when absent. balance: a key of `meta` (or of the sample) over whose values they
    are drawn evenly. unique: a key of which no value is taken twice, such as subject_id. where: the
    values that a sample must have, by key."""
    unknown = [name for name in spec if name not in KNOWN]
    if unknown:
        raise UserError(f"requests.{unknown[0]} is not known; known are {', '.join(KNOWN)}.")
    n, balance, unique = spec.get("n"), spec.get("balance"), spec.get("unique")
    if spec.get("where"):
        return _where(split, spec)
    if balance is None and unique is None and n is None:
        return list(range(len(split)))
    if balance is None and unique is None:
        order = sorted(range(len(split)), key=lambda index: mix("request", index))
        return _enough(order[:n], n, spec)
    rows = [describe(split, index) for index in range(len(split))]
    queues = _queues(rows, balance)
    return _enough(_in_turn(rows, queues, n, unique), n, spec)


def _where(split: Split, spec: dict[str, Any]) -> list[int]:
    """The same choice among the samples that have the wanted values."""
    wanted = spec["where"].items()
    rows = [describe(split, index) for index in range(len(split))]
    kept = [
        i for i, row in enumerate(rows) if all(str(_value(row, k)) == str(v) for k, v in wanted)
    ]
    rest = {name: value for name, value in spec.items() if name != "where"}
    return [kept[index] for index in select(Subset(split, kept), rest)]


def describe(split: Split, index: int) -> Sample:
    """A sample without its arrays, where the split can tell it without drawing or decoding."""
    if isinstance(split, Subset):
        return describe(split.split, split.indices[index])
    cheap = getattr(split, "describe", None)
    found: Sample = cheap(index) if cheap else split[index]
    return found


def _queues(rows: list[Sample], balance: str | None) -> list[list[int]]:
    """One queue for each value of the balanced key, by name; each in an order fixed by ids."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[str(_value(row, balance)) if balance else ""].append(index)
    return [
        sorted(groups[name], key=lambda index: mix("request", str(rows[index]["sample_id"])))
        for name in sorted(groups)
    ]


def _in_turn(
    rows: list[Sample], queues: list[list[int]], n: int | None, unique: str | None
) -> list[int]:
    """One of each queue after the other, until n are taken or all queues are empty."""
    taken: list[int] = []
    used: set[Any] = set()
    waiting = [iter(queue) for queue in queues]
    while waiting and (n is None or len(taken) < n):
        for queue in list(waiting):
            index = next(
                (i for i in queue if not unique or _value(rows[i], unique) not in used), -1
            )
            if index < 0:
                waiting.remove(queue)
                continue
            if unique:
                used.add(_value(rows[index], unique))
            taken.append(index)
            if len(taken) == n:
                break
    return taken


def _value(row: Sample, key: str) -> Any:
    if key in row:
        return row[key]
    if key in row.get("meta", {}):
        return row["meta"][key]
    raise UserError(
        f"The samples have no {key} to choose by; meta has {', '.join(row.get('meta', {}))}."
    )


def _enough(taken: list[int], n: int | None, spec: dict[str, Any]) -> list[int]:
    if n is not None and len(taken) < n:
        raise UserError(
            f"n={n} samples are asked of the split {spec.get('split')}, which has {len(taken)} "
            "that fit; lower n or give the data more."
        )
    return taken
