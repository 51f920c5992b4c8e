"""The commands and keys that docs/evaluate.md names are those of the commands."""

import re
from pathlib import Path

from medbench.evaluate import BELOW, KEYS
from medbench.evaluate import USAGE as EVALUATE
from medbench.library import Library
from medbench.published import table_names

PAGE = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text(encoding="utf-8")


def test_every_key_of_the_page_is_one_of_the_command() -> None:
    commands = re.findall(r"medbench evaluate (.*=.*)", PAGE)
    assert len(commands) == 3
    words = [word for line in commands for word in line.split()]
    words += re.findall(r"`([a-z_.A-Z]+=[^`\s]+)", PAGE)
    for word in words:
        key, _, value = word.partition("=")
        assert key in (*KEYS, "table", "format") or key.split(".")[0] in BELOW, word
        if key == "protocol":
            assert Library().has("protocols", value)
        if key == "table":
            assert value in table_names()


def test_the_help_names_every_key() -> None:
    shown = [key for key in KEYS if key != "data"]
    assert all(f"{key}=" in EVALUATE for key in shown)


def test_the_quick_protocols_of_the_page_need_no_weights() -> None:
    for name in re.findall(r"`(\w+_quick)`", PAGE):
        blocks = Library().read("protocols", name)["extractors"].values()
        assert not any(block.get("weights") for block in blocks)
