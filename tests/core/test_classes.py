"""Signatures read from source, and values against annotations."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from medbench.core.classes import Parameter, decorated, read_class
from medbench.core.errors import UserError
from medbench.core.sources import open_module
from medbench.core.values import check_value, convert_value


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that cannot be imported, with a base, an alias and a re-export."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "unread"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError('a parent package was imported')\n")
    (folder / "base.py").write_text(
        dedent('''
            from typing import Literal

            KEYS = ("image",)
            DEPTH = 3
            Mode = Literal["a", "b"]


            class Base:
                """A base."""

                version: int = 1
                needs = KEYS

                def draw(self):
                    raise TypeError("write one")

                def generate(self, batch, seeds, *, steps: int = 50, out: "str | None" = None): ...
        ''')
    )
    (folder / "child.py").write_text(
        dedent('''
            import torch.nn as nn
            from .base import DEPTH as D, Base, Mode
            from unread import base

            Pair = tuple[int, int]


            class Child(Base, nn.Module):
                """A child
                in two lines.

                And more."""

                version = 2
                needs = (*Base.needs, "text")
                makes = Base.needs + ("masks",)
                size = len("abc")

                def __init__(
                    self,
                    first: str,  # a folder
                    mode: Mode = "a",
                    pair: Pair | None = (1, 2),
                    *,
                    depth: int = D,
                    other=open,
                ) -> None: ...


            class Grandchild(base.Base): ...
        ''')
    )
    (folder / "broken.py").write_text("class A(:\n")
    return folder


def test_a_signature_is_read_without_importing(package: Path) -> None:
    found = read_class("unread.child.Child")
    assert found.doc == "A child in two lines."
    assert list(found.parameters) == ["first", "mode", "pair", "depth", "other"]
    assert found.parameters["first"] == Parameter("first", "str", None, True, "a folder")
    assert found.parameters["mode"] == Parameter("mode", "Literal['a', 'b']", "a", False)
    assert found.parameters["pair"].annotation == "tuple[int, int] | None"
    assert found.parameters["pair"].default == (1, 2)
    assert found.parameters["depth"].default == 3
    assert str(found.parameters["other"].default) == "open"
    assert list(found.sampling) == ["steps", "out"]
    assert found.sampling["out"].annotation == "str | None"
    assert "unread" not in sys.modules


def test_attributes_follow_the_bases(package: Path) -> None:
    found = read_class("unread.child.Child").attributes
    assert found["version"] == 2 and "size" not in found
    assert found["needs"] == ("image", "text") and found["makes"] == ("image", "masks")
    assert read_class("unread.child.Grandchild").attributes["needs"] == ("image",)
    child = read_class("unread.child.Child")
    assert "generate" in child.methods and "draw" not in child.methods
    assert child.bases == ("unread.base.Base", "torch.nn.Module")


def test_an_imported_class_is_followed(package: Path) -> None:
    assert read_class("unread.child.Base").path == package / "base.py"


def test_a_changed_file_is_read_again(package: Path) -> None:
    (package / "new.py").write_text("class A:\n    version = 1\n")
    assert read_class("unread.new.A").attributes["version"] == 1
    (package / "new.py").write_text("class A:\n    version = 1234\n")
    assert read_class("unread.new.A").attributes["version"] == 1234


@pytest.mark.parametrize(
    ("dotted", "text"),
    [
        ("unread.child.Chidl", "has no class Chidl; did you mean Child?"),
        ("unread.chld.Child", "there is no module chld in unread; did you mean child?"),
        ("unraed.child.Child", "there is no package unraed"),
        ("unread.broken.A", "broken.py, line 1"),
        ("Child", "this is no dotted path"),
        ("a-b.c", "this is no dotted path"),
    ],
)
def test_a_wrong_path_is_one_sentence(package: Path, dotted: str, text: str) -> None:
    with pytest.raises(UserError) as error:
        read_class(dotted)
    assert text in str(error.value) and str(error.value).startswith(f"class {dotted}")


def test_decorated_functions_are_found_by_name() -> None:
    found = decorated(open_module("benchmarks.metrics.kernel"), "metric")
    assert "subset_size" in found["kid"].settings


@pytest.mark.parametrize(
    ("annotation", "value", "good"),
    [
        ("int", 3, True),
        ("int", 3.0, False),
        ("int", True, False),
        ("float", 3, True),
        ("float", "3", False),
        ("float", False, False),
        ("str", "a", True),
        ("str", 3, False),
        ("bool", True, True),
        ("bool", 1, False),
        ("str | None", None, True),
        ("Optional[int]", None, True),
        ("int | str", 1.5, False),
        ("Literal['a', 1]", 1, True),
        ("Literal['a', 1]", True, False),
        ("Literal['a', 1]", "b", False),
        ("list[int]", [1, 2], True),
        ("list[int]", ["a"], False),
        ("list[int]", 1, False),
        ("Sequence[str]", ["a"], True),
        ("tuple[int, ...]", [], True),
        ("tuple[int, float]", [1, 2], True),
        ("tuple[int, float]", [1], False),
        ("dict[str, float]", {"a": 1}, True),
        ("dict[str, float]", {"a": "b"}, False),
        ("dict", [], False),
        ("torch.Tensor", object(), True),
        (None, object(), True),
    ],
)
def test_values_fit_annotations(annotation: str | None, value: object, good: bool) -> None:
    assert (check_value(annotation, value) is None) == good


def test_the_sentence_says_what_is_accepted() -> None:
    assert check_value("Literal['a', 'b'] | None", "c") == "must be one of a, b or None, not 'c'"
    assert "put it in quotes" in str(check_value("str", 2024))


def test_only_lists_and_ints_are_converted() -> None:
    assert convert_value("tuple[float, ...]", [1, 2]) == (1.0, 2.0)
    assert isinstance(convert_value("float | None", 3), float)
    assert convert_value("float | None", None) is None
    assert convert_value("int | str", "3") == "3"
    assert convert_value("dict[str, tuple[int, int]]", {"a": [1, 2]}) == {"a": (1, 2)}
