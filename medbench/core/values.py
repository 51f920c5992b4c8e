"""Whether a plain value of a config fits a type annotation, which is given as source."""

import ast
from collections.abc import Iterable
from typing import Any

_PLAIN = {"int": int, "str": str, "bool": bool, "Path": str, "None": type(None)}
_LISTS = {"list", "List", "Sequence", "Iterable", "set"}
_DICTS = {"dict", "Dict", "Mapping"}


def check_value(annotation: str | None, value: Any) -> str | None:
    """`must be X, not Y` when a value of a config does not fit an annotation, else None.

    An int fits float, a list fits tuple; no other value stands for one of another type."""
    if annotation is None or fits(ast.parse(annotation, mode="eval").body, value):
        return None
    quote = ""
    if "str" in annotation and isinstance(value, int | float | bool):
        quote = "; put it in quotes, as in '\"...\"'"
    return f"must be {describe(annotation)}, not {value!r}{quote}"


def describe(annotation: str) -> str:
    """An annotation in words: `one of tiny, paper`, `float or None`."""
    node = ast.parse(annotation, mode="eval").body
    options = _options(node)
    if len(options) > 1:
        return " or ".join(describe(ast.unparse(option)) for option in options)
    name, arguments = _name(node), _arguments(node)
    if name == "Literal":
        return "one of " + ", ".join(str(ast.literal_eval(a)) for a in arguments)
    if name in ("Annotated", "Optional"):
        return describe(ast.unparse(arguments[0])) + (" or None" if name == "Optional" else "")
    return ast.unparse(node)


def fits(node: ast.expr, value: Any) -> bool:
    """Whether a plain value fits an annotation; an annotation that we do not know fits all."""
    options = _options(node)
    if len(options) > 1:
        return any(fits(option, value) for option in options)
    if isinstance(node, ast.Constant) and node.value is None:
        return value is None
    name, arguments = _name(node), _arguments(node)
    if name == "Literal":
        known = [ast.literal_eval(argument) for argument in arguments]
        return any(value == k and isinstance(value, bool) == isinstance(k, bool) for k in known)
    if name == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name in _PLAIN:
        alone = name != "int" or not isinstance(value, bool)
        return isinstance(value, _PLAIN[name]) and alone
    if name == "Annotated":
        return fits(arguments[0], value)
    if name == "Optional":
        return value is None or fits(arguments[0], value)
    return _fits_container(name, arguments, value)


def _fits_container(name: str, arguments: list[ast.expr], value: Any) -> bool:
    if name in _LISTS:
        whole = isinstance(value, list | tuple)
        return whole and (not arguments or all(fits(arguments[0], v) for v in value))
    if name in ("tuple", "Tuple"):
        if not isinstance(value, list | tuple):
            return False
        if len(arguments) == 2 and ast.unparse(arguments[1]) == "...":
            return all(fits(arguments[0], v) for v in value)
        same = len(value) == len(arguments)
        return not arguments or (same and all(map(fits, arguments, value)))
    if name in _DICTS:
        if not isinstance(value, dict) or not arguments:
            return isinstance(value, dict)
        return all(fits(arguments[0], k) and fits(arguments[1], v) for k, v in value.items())
    return True


def _options(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _options(node.left) + _options(node.right)
    return _arguments(node) if _name(node) == "Union" else [node]


def _name(node: ast.expr) -> str:
    target = node.value if isinstance(node, ast.Subscript) else node
    return ast.unparse(target).rpartition(".")[2]


def _arguments(node: ast.expr) -> list[ast.expr]:
    if not isinstance(node, ast.Subscript):
        return []
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def convert_value(annotation: str | None, value: Any) -> Any:
    """A fitting value as its annotation says: a list becomes a tuple, an int a float."""
    if annotation is None:
        return value
    return _convert(ast.parse(annotation, mode="eval").body, value)


def _convert(node: ast.expr, value: Any) -> Any:
    for option in _options(node):
        if not fits(option, value):
            continue
        name, arguments = _name(option), _arguments(option)
        if name == "float":
            return float(value)
        if name in ("tuple", "Tuple"):
            same = len(arguments) == 2 and ast.unparse(arguments[1]) == "..."
            kinds: Iterable[ast.expr] = [arguments[0]] * len(value) if same else arguments
            return tuple(map(_convert, kinds, value)) if arguments else tuple(value)
        if name in _LISTS and arguments:
            return [_convert(arguments[0], item) for item in value]
        if name in _DICTS and arguments:
            return {key: _convert(arguments[1], item) for key, item in value.items()}
        return value
    return value
