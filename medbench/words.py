"""The words of a command, `a.b=value`, and how one layer of settings lies upon another."""

from collections.abc import Sequence
from typing import Any

from medbench.core.errors import UserError, nearest

Tree = dict[str, Any]
# words that stay text whatever they look like
NO_NUMBER = (
    ("method",),
    ("scale",),
    ("variant",),
    ("out",),
    ("data",),
    ("protocol",),
    ("data", "root"),
)
NONE = ("", "null", "None")


def parse_word(word: str) -> tuple[tuple[str, ...], Any]:
    """`a.b=value` -> (("a", "b"), value); the value is YAML, and None is none."""
    key, sign, text = word.partition("=")
    key = key.strip()
    if not sign or not key:
        raise UserError(f"{word} is not a setting: write key=value, such as method=msdm.")
    path = tuple(key.split("."))
    if path[0] == "others" and len(path) > 2:  # others.METHOD.STAGE.key
        path = ("others", f"{path[1]}.{path[2]}", *path[3:])
    if path in NO_NUMBER and text not in NONE:
        return path, text
    return path, parse_value(text, key)


def read_words(words: Sequence[str], keys: Sequence[str], command: str) -> tuple[Tree, list[str]]:
    """The few words of a small command as a tree, and the mistakes in them."""
    asked: Tree = {}
    mistakes: list[str] = []
    for word in words:
        try:
            path, value = parse_word(word)
        except UserError as error:
            mistakes += error.mistakes
            continue
        if path[0] in keys:
            put(asked, ("data", "name") if path == ("data",) else path, value)
        else:
            close = nearest(path[0], keys) or f"; it takes {', '.join(keys)}."
            mistakes.append(f"{word}: {command} does not know {path[0]}{close}")
    return asked, mistakes


def parse_value(text: str, key: str) -> Any:
    """A YAML scalar, list or mapping; 1e-4 is a number and a date is text."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if text.strip() in NONE:
        return None
    try:
        found: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))
    except (yaml.YAMLError, OmegaConfBaseException):
        raise UserError(
            f"{key}={text} cannot be read: write a number, text, [a, b] or {{a: 1}}, and put text "
            "with signs of YAML in quotes, as in '\"...\"'."
        ) from None
    return found["value"]


def put(tree: Tree, path: tuple[str, ...], value: Any) -> None:
    """Set a dotted key; a number walks into a list."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    if isinstance(tree.get(path[-1]), dict) and isinstance(value, dict):
        value = merge(tree[path[-1]], value)
    tree[path[-1]] = value


def merge(base: Any, over: Any) -> Any:
    """`over` laid upon `base`: mappings key by key, list items by number, all else replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        merged = dict(base)
        for key, value in over.items():
            merged[key] = merge(base[key], value) if key in base else copy(value)
        return merged
    if isinstance(base, list) and isinstance(over, dict) and over and all(map(_number, over)):
        merged_list = copy(base)
        for key, value in over.items():
            if int(key) < len(base):
                merged_list[int(key)] = merge(base[int(key)], value)
            else:
                merged_list.append(copy(value))
        return merged_list
    return copy(over)


def _number(key: object) -> bool:
    return str(key).isdigit()


def copy(value: Any) -> Any:
    """Plain containers of one's own."""
    if isinstance(value, dict):
        return {key: copy(inner) for key, inner in value.items()}
    return [copy(inner) for inner in value] if isinstance(value, list | tuple) else value
