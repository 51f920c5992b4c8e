"""Who belongs to which split: by hash, so that no list has to be kept."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

SHOWN = 3


def hash_share(key: str, name: str) -> float:
    """A place in [0, 1) for a name under a key; it does not move when more names come."""
    digest = hashlib.sha256(f"medbench|{key}|{name}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) * 2.0**-53


def smallest(names: Iterable[str], n: int, key: str = "subset") -> list[str]:
    """The n names with the smallest hash, in that order: n - 1 of them are a prefix of n."""
    return sorted(names, key=lambda name: (hash_share(key, name), name))[:n]


def check_leak(subjects: Mapping[str, Iterable[str]]) -> list[str]:
    """One sentence for every two splits that share subjects; empty when none do."""
    sets = {split: set(found) for split, found in subjects.items()}
    names: Sequence[str] = list(sets)
    found = []
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            shared = sorted(sets[one] & sets[other])
            if shared:
                more = ", ..." if len(shared) > SHOWN else ""
                found.append(
                    f"{len(shared)} subjects stand in {one} and in {other} "
                    f"({', '.join(shared[:SHOWN])}{more}); a subject may stand on one side only. "
                    "Mend the table of the split."
                )
    return found
