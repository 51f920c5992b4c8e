"""Every method, backbone, dataset, protocol and trainer that a command can name.

A name is the name of its YAML file; listing them reads folders and imports nothing."""

import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from medbench.core.classes import FunctionSource, decorated, read_class
from medbench.core.errors import UserError, nearest
from medbench.core.sources import open_module
from medbench.words import merge

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "methods": "lit_models/configs",
    "backbones": "lit_models/backbones/configs",
    "data": "datamodules/configs",
    "protocols": "benchmarks/protocols",
    "trainers": "medbench/configs/trainer",
}
WORDS = {"methods": "method", "protocols": "protocol", "trainers": "trainer"}  # as one types them
NAMED = {"data": "data", "protocol": "protocols", "trainer": "trainers"}  # config key -> group
OF_TABLE = {"rows", "columns"}  # of a protocol: replaced as a whole
LISTED = ("methods", "data", "protocols", "trainers")


class Library:
    """The repository's own configs, and those of the user's folders."""

    def __init__(self, config_dirs: Sequence[str | Path] = ()) -> None:
        self.folders = {group: [ROOT / folder] for group, folder in FOLDERS.items()}
        self.config_dirs = [Path(folder).expanduser().resolve() for folder in config_dirs]
        for folder in self.config_dirs:
            if not folder.is_dir():
                raise UserError(
                    f"--config-dir {folder} is not a folder. Name one that holds methods/, "
                    "backbones/, data/, protocols/ or trainers/ with YAML files."
                )
            for group in FOLDERS:
                self.folders[group].append(folder / group)
            if str(folder) not in sys.path:  # classes beside the YAML files are found by path
                sys.path.append(str(folder))
        self._files = {group: self._find(group) for group in FOLDERS}

    def _find(self, group: str) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self.folders[group]:
            for path in sorted(folder.glob("*.yaml")):
                if path.stem in found:
                    raise UserError(
                        f"{path} and {found[path.stem]} have one name; rename the file of yours."
                    )
                found[path.stem] = path
        return found

    def names(self, group: str) -> list[str]:
        return sorted(self._files[group])

    def has(self, group: str, name: object) -> bool:
        return isinstance(name, str) and name in self._files[group]

    def unknown(self, group: str, name: object) -> str:
        """The sentence for a name that is not in a group."""
        word = WORDS.get(group, group)
        known = self.names(group)
        close = nearest(str(name), known) or f"; known are {', '.join(known) or 'none'}."
        return f"{word}={name} is not known{close} {how_to_list(group)}"

    def read(self, group: str, name: str) -> dict[str, Any]:
        """A YAML file as plain containers; `like: NAME` lays it over another of its group."""
        if not self.has(group, name):
            raise UserError(self.unknown(group, name))
        content = read_yaml(self._files[group][name])
        base = content.pop("like", None)
        if base is None:
            return content
        kept = {k: v for k, v in self.read(group, base).items() if k not in OF_TABLE & set(content)}
        return merge(kept, content)

    def describe(self, group: str, name: str) -> str:
        """The comment that a YAML file opens with, else what its class says of itself."""
        text = self._files[group][name].read_text(encoding="utf-8")
        lines = text.splitlines()
        comment = list(takewhile(lambda line: line.startswith("#"), lines))
        if comment:
            return " ".join(line.lstrip("# ").rstrip() for line in comment)
        dotted = next((line[6:].strip() for line in lines if line.startswith("class:")), "")
        try:
            return read_class(dotted).doc if dotted else ""
        except UserError as error:
            return str(error)


def how_to_list(group: str) -> str:
    """What to type to see the names of a group."""
    if group not in LISTED:
        return "Backbones are the files of lit_models/backbones/configs."
    return f"List them with: python -m medbench.run --list {group}"


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping from a YAML file; 1e-4 is a number in it, and a key stands once."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} is not readable YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold keys and values, as in `stages: ...`.")
    return _without_blanks(content)


def _without_blanks(value: Any) -> Any:
    """`???` marks what the user must give: the key is not there until then."""
    if isinstance(value, dict):
        return {key: _without_blanks(inner) for key, inner in value.items() if inner != "???"}
    return [_without_blanks(item) for item in value] if isinstance(value, list) else value


def metrics() -> dict[str, FunctionSource]:
    """Every declared metric by its name, read without importing one."""
    found: dict[str, FunctionSource] = {}
    for path in sorted((ROOT / "benchmarks" / "metrics").glob("*.py")):
        found |= decorated(open_module(f"benchmarks.metrics.{path.stem}"), "metric")
    return found
