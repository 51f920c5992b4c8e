"""What a composed config gets wrong: every mistake in one report, found without torch.

The schema of a block is the signature of its class, read from the source."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from medbench.blocks import (
    REFERENCE,
    Config,
    find_block,
    pipeline_class,
    references,
    schema_of_stage,
    signature,
)
from medbench.core.batch import missing_keys
from medbench.core.classes import ClassSource, Parameter, read_class
from medbench.core.errors import UserError, nearest
from medbench.core.settings import FitSettings
from medbench.core.values import check_value
from medbench.library import NAMED, Library
from medbench.protocols import check_protocol
from medbench.settings import GROUPS, RunSettings, schema

ANY = Parameter("", None, None, required=False)
RESERVED = {
    "class": Parameter("class", "str", None, required=True),
    "data": ANY,
    "seed": Parameter("seed", "int", 0, required=False),
    "weights": Parameter("weights", "str | None", None, required=False),
}
AT_LEAST = {  # settings that a type alone does not bound
    "steps": 0,
    "epochs": 0,
    "batch_size": 1,
    "warmup": 0,
    "val_samples": 1,
    "devices": 1,
    "nodes": 1,
    "accumulate": 1,
    "log_every": 1,
    "lr": 0,
    "clip": 0,
    "ema": 0,
    "threads": 0,
    "workers": -1,
}


def check(config: Config, library: Library) -> list[str]:
    """Every mistake of a composed config, a sentence each; empty when there is none."""
    return _Checker(config, library).run()


def check_data(block: Config, library: Library) -> list[str]:
    """Every mistake of one composed dataset; empty when there is none."""
    checker = _Checker({"method": None}, library)
    checker.help = f"Its keys are the arguments of {block.get('class')}."
    return list(checker._data("data", block))


class _Checker:
    def __init__(self, config: Config, library: Library) -> None:
        self.config, self.library = config, library
        self.help = f"List its keys with: python -m medbench.run --help method={config['method']}"

    def run(self) -> list[str]:
        found = [*self._settings(), *self._data("data", self.config["data"])]
        for group in ("stages", "backbones", "others"):
            for name, block in (self.config.get(group) or {}).items():
                found += self._stage(f"{group}.{name}", block)
        found += [*self._references(), *self._cycles(), *self._pipeline(), *self._sampling()]
        protocol = self.config["protocol"]
        found += check_protocol(protocol, self.config, self.library)
        for key, block in role_data("protocol", protocol):
            found += self._data(key, block)
        return list(dict.fromkeys(found))

    # settings of the run ---------------------------------------------------------
    def _settings(self) -> Iterator[str]:
        top = schema(RunSettings)
        blocks = {*NAMED, *GROUPS, "stages", "backbones", "others", "pipeline", "sampling"}
        for key, value in self.config.items():
            if key in top:
                yield from self._value(key, top[key], value)
            elif key not in blocks:
                yield self._unknown_word(key, value, {*top, *blocks})
        for group, kind in GROUPS.items():
            values = {k: v for k, v in self.config[group].items() if k != "name"}
            yield from self._values(group, values, schema(kind))

    def _unknown_word(self, key: str, value: Any, known: Iterable[str]) -> str:
        """`lr=1` was meant for some block: name the keys that end so."""
        fit = [f"stages.{name}.{key}" for name in self.config["stages"]]
        ends = [full for full, _, _ in settable(self.config) if full.rpartition(".")[2] == key]
        ends = fit if key in schema(FitSettings) else ends
        ends += [f"{g}.{key}" for g, kind in GROUPS.items() if key in schema(kind)]
        if ends:
            return f"{key}={value} is not known; did you mean {' or '.join(ends[:3])}?"
        close = nearest(key, known) or "."
        return f"{key}={_short(value)} is not known{close} {self.help}"

    # blocks ------------------------------------------------------------------------
    def _values(self, where: str, values: Config, known: dict[str, Parameter]) -> Iterator[str]:
        """Unknown keys and values of a wrong type or size."""
        for key, value in values.items():
            full = f"{where}.{key}"
            if key not in known:
                close = nearest(str(key), known)
                close = close.replace("mean ", f"mean {where}.") if close else "."
                yield f"{full}={_short(value)} is not known{close} {self.help}"
            else:
                yield from self._value(full, known[key], value)

    def _value(self, full: str, parameter: Parameter, value: Any) -> Iterator[str]:
        wrong = check_value(parameter.annotation, value)
        least = AT_LEAST.get(parameter.name)
        if wrong:
            yield f"{full} {wrong}."
        elif least is not None and value is not None and value < least:
            yield f"{full} must be at least {least}, not {value}."

    def _class(self, where: str, block: Any) -> tuple[ClassSource | None, list[str]]:
        """The source of a block's class, or what is wrong with its name."""
        if not isinstance(block, dict):
            return None, [f"{where} must hold keys and values, not {block!r}."]
        dotted = block.get("class")
        if not isinstance(dotted, str):
            return None, [f"{where}.class is missing: name a class by its dotted path."]
        try:
            return read_class(dotted), []
        except UserError as error:
            return None, [f"{where}.{mistake}" for mistake in error.mistakes]

    def _missing(self, where: str, block: Config, source: ClassSource) -> Iterator[str]:
        for name, parameter in source.parameters.items():
            if parameter.required and name not in block:
                what = f" ({parameter.annotation})" if parameter.annotation else ""
                yield f"{where}.{name}{what} is missing: {source.dotted} has no default for it."

    def _stage(self, where: str, block: Any) -> Iterator[str]:
        source, mistakes = self._class(where, block)
        yield from mistakes
        if source is None:
            return
        if "training_step" not in source.methods:
            base = "lit_models.stage.Stage"
            yield f"{where}.class={source.dotted} is no stage: derive it from {base}."
            return
        known = schema_of_stage(source) | RESERVED
        if not where.startswith("backbones."):
            known.pop("seed")  # the run's seed reaches them
        yield from self._values(where, block, known)
        yield from self._missing(where, block, source)
        yield from self._budget(where, block)
        clash = set(source.parameters) & ({*schema(FitSettings), *RESERVED})
        if clash:
            yield f"{source.dotted} names an argument as a fit setting: {', '.join(sorted(clash))}."
        weights = block.get("weights")
        if isinstance(weights, str) and not Path(weights).expanduser().exists():
            yield f"{where}.weights={weights} does not exist. Name a file with released weights."
        if isinstance(block.get("data"), dict):
            yield from self._data(f"{where}.data", block["data"])
        if not weights:
            yield from self._needs(where, block, source)

    def _budget(self, where: str, block: Config) -> Iterator[str]:
        if block.get("weights"):
            return
        steps, epochs = block.get("steps"), block.get("epochs")
        if steps is None and epochs is None:
            yield f"{where} has no budget: set one of {where}.steps and {where}.epochs."
        elif steps is not None and epochs is not None:
            yield (
                f"{where} has steps={steps} and epochs={epochs}: set one of them, and the other to "
                "null."
            )

    def _needs(self, where: str, block: Config, source: ClassSource) -> Iterator[str]:
        """Keys that a stage is fitted on and its dataset does not yield."""
        data = block.get("data") or self.config["data"]
        yields = signature(data.get("class"))
        if yields is None:
            return
        needs = source.attributes.get("needs", ())
        missing = missing_keys(needs, yields.attributes.get("yields", ()))
        if missing:
            with_them = [name for name, found in self._datasets() if not missing_keys(needs, found)]
            yield (
                f"{where} needs {_quoted(missing)}, which data {data.get('name')} does not yield. "
                f"Datasets that do: {', '.join(with_them) or 'none'}."
            )

    def _datasets(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every dataset's name and the keys that it yields."""
        for name in self.library.names("data"):
            source = signature(self.library.read("data", name).get("class"))
            if source is not None:
                yield name, source.attributes.get("yields", ())

    def _data(self, where: str, block: Config) -> Iterator[str]:
        if block.get("class") is None and not self.library.has("data", block.get("name")):
            return  # composing has said that there is no such dataset
        source, mistakes = self._class(where, block)
        yield from mistakes
        if source is None:
            return
        if "split" not in source.methods:
            yield f"{where}.class={source.dotted} is no dataset: it has no split()."
            return
        reserved = ("name", "class") if where == "data" else ("name", "class", "split")
        given = {k: v for k, v in block.items() if k not in reserved}
        yield from self._values(where, given, source.parameters)
        places = source.attributes.get("location", ())
        for name, parameter in source.parameters.items():
            place, value = name in places, block.get(name)
            if parameter.required and (name not in block or (place and value is None)):
                more = f": type {where}.{name}=FOLDER with {block['name']}'s files" if place else ""
                yield f"{where}.{name} is missing{more}. {self._hint(block)}"
            elif place and isinstance(value, str) and not _exists(value):
                yield f"{where}.{name}={value} does not exist. {self._hint(block)}"
        splits = source.attributes.get("splits", ())
        split = block.get("split")
        if split is not None and splits and split not in splits:
            yield f"{where}.split={split} is not known; {block['name']} has {', '.join(splits)}."

    def _hint(self, block: Config) -> str:
        return (
            "What it expects is in the docstring of "
            f"{block['class']}; python -m medbench.doctor says what is found."
        )

    # what refers to what -------------------------------------------------------------
    def _references(self) -> Iterator[str]:
        """References to the method's own stages; composing has resolved all others."""
        method, stages = self.config["method"], self.config["stages"]
        for name in references({k: v for k, v in self.config.items() if k != "backbones"}):
            owner, _, stage = name.rpartition(".")
            if owner == method and stage not in stages:
                close = nearest(stage, stages) or f"; it has {', '.join(stages)}."
                yield f"{REFERENCE}{name}: {method} has no stage {stage}{close}"

    def _cycles(self) -> Iterator[str]:
        """Stages that wait for each other."""
        done: set[str] = set()

        def walk(name: str, path: tuple[str, ...]) -> Iterator[str]:
            if name in path:
                circle = " > ".join((*path[path.index(name) :], name))
                yield f"stages depend on each other in a circle: {circle}."
            elif name not in done:
                block = find_block(self.config, name)
                for below in dict.fromkeys(references(block)):
                    yield from walk(below, (*path, name))
                done.add(name)

        for stage in self.config["stages"]:
            yield from walk(f"{self.config['method']}.{stage}", ())
        for name in (*self.config.get("others", {}), *self.config.get("backbones", {})):
            yield from walk(name, ())

    def _pipeline(self) -> Iterator[str]:
        pipeline, stages = self.config.get("pipeline"), self.config["stages"]
        if pipeline is None:
            yield f"pipeline is missing: name a stage of {', '.join(stages)}, or a class."
        elif isinstance(pipeline, dict):
            source, mistakes = self._class("pipeline", pipeline)
            yield from mistakes
            if source is not None:
                given = {k: v for k, v in pipeline.items() if k != "class"}
                yield from self._values("pipeline", given, source.parameters)
                yield from self._missing("pipeline", pipeline, source)
        elif pipeline_class(self.config) is None:
            close = nearest(str(pipeline), stages) or f"; known are {', '.join(stages)}."
            yield f"pipeline={pipeline} is no stage of {self.config['method']}{close}"
        source = signature(pipeline_class(self.config))
        if source is not None and "generate" not in source.methods:
            yield f"pipeline: {source.dotted} does not draw: it has no generate()."

    def _sampling(self) -> Iterator[str]:
        source = signature(pipeline_class(self.config))
        if source is None:
            return
        given = self.config["sampling"]
        yield from self._values("sampling", given, source.sampling)
        for name, parameter in source.sampling.items():
            if parameter.required and name not in given:
                yield f"sampling.{name} is missing: {source.dotted}.generate has no default for it."


def role_data(where: str, value: Any) -> Iterator[tuple[str, Config]]:
    """Every composed dataset inside a nested block, with its dotted key."""
    if not isinstance(value, dict | list):
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if key == "data" and isinstance(inner, dict):
            yield f"{where}.data", inner
        else:
            yield from role_data(f"{where}.{key}", inner)


Settable = Iterator[tuple[str, Parameter, Any]]


def settable(config: Config) -> Settable:
    """The dotted keys that the command line can set for this method and its data, with the value
    of each; of the fit settings those that are set."""
    source = signature(config["data"].get("class"))
    yield from _rows("data", source.parameters if source else {}, config["data"])
    source = signature(pipeline_class(config))
    yield from _rows("sampling", source.sampling if source else {}, config["sampling"])
    for group in ("stages", "backbones", "others"):
        for name, block in (config.get(group) or {}).items():
            source = signature(block.get("class")) if isinstance(block, dict) else None
            if source is not None:
                fit = {k: p for k, p in schema(FitSettings).items() if k in block}
                yield from _rows(f"{group}.{name}", source.parameters | fit, block)


def _rows(where: str, known: dict[str, Parameter], values: Config) -> Settable:
    for name, parameter in known.items():
        yield f"{where}.{name}", parameter, values.get(name, parameter.default)


def _quoted(keys: Iterable[str]) -> str:
    return ", ".join(f"'{key}'" for key in keys)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _exists(value: str) -> bool:
    """Whether a place that a dataset names is there; an address is the dataset's to check."""
    return "://" in value or Path(value).expanduser().exists()
