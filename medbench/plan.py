"""What a command will do: the stages it needs, each named by what its weights depend on.

No torch here: a finished run shows its result without it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from datamodules.base import DataModule, Split
from medbench.core.classes import load_class, read_class
from medbench.core.errors import UserError
from medbench.core.files import is_complete
from medbench.core.fingerprint import fingerprint, hash_file, hash_files
from medbench.core.settings import FitSettings
from medbench.processes import rank

REFERENCE = "stage:"
RESERVED = ("class", "data", "seed", "weights")


class Data:
    """A datamodule with the settings it was made from, and the fingerprints of its splits."""

    def __init__(self, block: dict[str, Any]) -> None:
        self.name, self.dotted = block["name"], block["class"]
        self.settings = {k: v for k, v in block.items() if k not in ("name", "class", "split")}
        self._splits: dict[str, Split] = {}

    @cached_property
    def module(self) -> DataModule:
        return load_class(self.dotted)(**self.settings)

    def split(self, name: str) -> Split:
        if name not in self._splits:
            if name not in self.module.splits:
                raise UserError(
                    f"data {self.name} has no split {name}; it has {', '.join(self.module.splits)}."
                )
            self._splits[name] = self.module.split(name)
        return self._splits[name]

    def fingerprint(self, split: str) -> str:
        location = self.module.location
        return fingerprint(
            {
                "class": self.dotted,
                "version": self.module.version,
                "settings": {k: v for k, v in self.settings.items() if k not in location},
                "split": split,
                "content": self.module.content(split),
            }
        )


@dataclass
class StagePlan:
    """One stage that a command needs."""

    name: str  # NAME of a backbone, METHOD.STAGE of a method
    dotted: str
    version: int
    arguments: dict[str, Any]  # with `stage:...` references as they were written
    fit: FitSettings
    seed: int
    data: Data
    split: str
    weights: str | None
    stages: Path
    upstream: dict[str, "StagePlan"] = field(default_factory=dict)  # by reference

    @property
    def is_backbone(self) -> bool:
        return "." not in self.name

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(
            {
                "class": self.dotted,
                "version": self.version,
                "arguments": by_content(
                    swap(self.arguments, lambda ref: self.upstream[ref].fingerprint)
                ),
                "fit": None if self.weights else self.fit.weight_settings(),
                "seed": None if self.weights else self.seed,
                "data": None if self.weights else self.data.fingerprint(self.split),
                "weights": hash_file(Path(self.weights)) if self.weights else None,
            }
        )

    @property
    def folder(self) -> Path:
        return self.stages / f"{self.name}-{self.fingerprint}"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def action(self) -> str:
        """reuse, continue, import or fit."""
        if is_complete(self.folder):
            return "reuse"
        if self.weights:
            return "import"
        return "continue" if (self.work / "checkpoint.ckpt").exists() else "fit"

    def resolved(self) -> dict[str, Any]:
        """Constructor arguments with folders in place of references."""
        return swap(self.arguments, lambda ref: str(self.upstream[ref].folder))


def swap(value: Any, replace: Any) -> Any:
    """A nested value with every `stage:...` string replaced."""
    if isinstance(value, dict):
        return {name: swap(inner, replace) for name, inner in value.items()}
    if isinstance(value, list):
        return [swap(inner, replace) for inner in value]
    if isinstance(value, str) and value.startswith(REFERENCE):
        return replace(value)
    return value


def by_content(value: Any) -> Any:
    """A nested value with every path to a file or a folder replaced by the hash of its content."""
    if isinstance(value, dict):
        return {name: by_content(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [by_content(inner) for inner in value]
    if isinstance(value, str) and "/" in value:
        path = Path(value).expanduser()
        if path.is_file():
            return hash_file(path)
        if path.is_dir():
            return hash_files(path, (p for p in path.rglob("*") if p.is_file()), content=True)
    return value


def references(value: Any) -> Iterator[str]:
    """Every `stage:...` string in a nested value."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from references(inner)
    elif isinstance(value, str) and value.startswith(REFERENCE):
        yield value


class Plan:
    """All stages of a composed config that its pipeline and its protocol need, in fitting order."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.out = Path(config["out"]).expanduser().resolve()
        self._data: dict[str, Data] = {}
        self._found: dict[str, StagePlan] = {}
        self.pipeline = self._pipeline()
        self.wanted = [*references(self.pipeline), *references(config["protocol"])]
        for reference in self.wanted:
            self.stage(reference)

    @property
    def stages(self) -> list[StagePlan]:
        """Every stage after the ones it depends on."""
        return list(self._found.values())

    @property
    def restricted(self) -> list[str]:
        """Names of the restricted datasets in use, phantoms of them left out."""
        found = [
            d.name for d in self._data.values() if d.module.restricted and not d.module.phantom
        ]
        return sorted(set(found))

    def check_data(self) -> None:
        """Stop with everything that is wrong with the roots of the datasets in use."""
        mistakes = [text for data in self._data.values() for text in data.module.check()]
        if mistakes:
            raise UserError(*mistakes)
        if rank() == 0:  # nothing is left out in silence
            for data in self._data.values():
                for line in data.module.funnel():
                    print(f"data {data.name}: {line}", file=sys.stderr)

    def _pipeline(self) -> Any:
        """The reference of the stage that draws, or the block of a class over several."""
        pipeline = self.config["pipeline"]
        if isinstance(pipeline, str):
            return pipeline if pipeline.startswith(REFERENCE) else self.own(pipeline)
        return pipeline

    def own(self, name: str) -> str:
        return f"{REFERENCE}{self.config['method']}.{name}"

    def data(self, block: dict[str, Any] | None) -> Data:
        """The datamodule of a role: the run's own, with a role's changes, or another one."""
        run = self.config["data"]
        if block and block.get("class"):
            merged = block
        else:
            merged = run | (block or {})
        key = fingerprint({k: v for k, v in merged.items() if k != "split"})
        return self._data.setdefault(key, Data(merged))

    def stage(self, reference: str) -> StagePlan:
        """The plan of one reference, after the plans of what it depends on."""
        if reference not in self._found:
            name, block = self._block(reference)
            upstream = {ref: self.stage(ref) for ref in references(_arguments(block))}
            self._found[reference] = self._make(name, block, upstream)
        return self._found[reference]

    def _block(self, reference: str) -> tuple[str, dict[str, Any]]:
        config, name = self.config, reference.removeprefix(REFERENCE)
        method, _, stage = name.rpartition(".")
        if not method:
            return name, config["backbones"][name]
        if method == config["method"]:
            return name, config["stages"][stage]
        return name, config["others"][name]

    def _make(self, name: str, block: dict[str, Any], upstream: dict[str, StagePlan]) -> StagePlan:
        is_backbone = "." not in name
        fit_names = {f.name for f in fields(FitSettings)}
        fit: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in block.items() if k in fit_names
        }
        data = block.get("data") or {}
        return StagePlan(
            name=name,
            dotted=block["class"],
            version=read_class(block["class"]).attributes.get("version", 1),
            arguments=_arguments(block),
            fit=FitSettings(**fit),
            seed=block.get("seed") or 0 if is_backbone else self.config["seed"],
            data=self.data(data),
            split=data.get("split", "train"),
            weights=block.get("weights"),
            stages=self.out / "stages",
            upstream=upstream,
        )


def _arguments(block: dict[str, Any]) -> dict[str, Any]:
    skip = {f.name for f in fields(FitSettings)} | set(RESERVED)
    return {name: value for name, value in block.items() if name not in skip}
