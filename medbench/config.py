"""From the words of a command to one composed config, in plain containers, without torch.

Later layers win: defaults of dataclasses and constructors; the files of the chosen data, protocol
and trainer (each with its `scales:`); the method's file; its scale; its variant; the command."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from medbench.blocks import (
    REFERENCE,
    Config,
    filled,
    pipeline_class,
    references,
    schema_of_stage,
    signature,
)
from medbench.checks import check
from medbench.core.errors import UserError, nearest
from medbench.core.settings import FitSettings
from medbench.library import NAMED, Library, how_to_list
from medbench.settings import (
    GROUPS,
    SCALES,
    GenerationSettings,
    RunSettings,
    TrackingSettings,
    TrainerSettings,
    defaults,
    schema,
)
from medbench.words import copy, merge, parse_word, put

FILE_KEYS = {*NAMED, *GROUPS, "stages", "backbones", "others", "pipeline", "sampling"}
FILE_KEYS |= {"scales", "variants"}
BLOCKS = ("stages", "backbones", "others")
SECTIONS = (*NAMED, *BLOCKS, "sampling", "generation", "tracking")


def load(words: Sequence[str], library: Library) -> Config:
    """The composed and checked config of a command; all its mistakes in one UserError."""
    config = compose(words, library)
    mistakes = check(config, library)
    if mistakes:
        raise UserError(*mistakes)
    return config


def compose(words: Sequence[str], library: Library) -> Config:
    """The whole config of a run. Names that lead nowhere raise UserError with every other
    mistake that can be found; what a composed config may still get wrong is `check`'s."""
    composer = Composer(library)
    config = composer.run(words)
    if composer.mistakes:
        raise UserError(*dict.fromkeys(composer.mistakes + check(config, library)))
    return config


def identity(config: Config) -> Config:
    """What makes two runs the same run: everything but where and how visibly it runs."""
    left_out = ("out", "fresh", "trainer", "tracking", "generation")
    kept = {key: value for key, value in config.items() if key not in left_out}
    return _without_places(kept)


def _without_places(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if not isinstance(value, dict):
        return value
    places: set[str] = set()
    source = signature(value.get("class"))
    if source is not None:
        places = {f.name for f in fields(FitSettings) if f.metadata.get("where")}
        places |= set(source.attributes.get("location", ()))
    return {k: _without_places(v) for k, v in value.items() if k not in places}


def to_yaml(config: Config) -> str:
    """The composed config as a YAML file."""
    import yaml

    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)


class Composer:
    """Composes one config, and collects what goes wrong on the way."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.mistakes: list[str] = []
        self.scale = "tiny"

    def run(self, words: Sequence[str]) -> Config:
        typed = self._shaped(self._typed(words), "")
        method = typed.get("method")
        if not method:
            known = ", ".join(self.library.names("methods"))
            raise UserError(
                f"method=NAME is missing; known are {known}. {how_to_list('methods')}",
                *self.mistakes,
            )
        if not self.library.has("methods", method):
            raise UserError(self.library.unknown("methods", method), *self.mistakes)
        scale = typed.get("scale")
        self.scale = scale if scale in SCALES else SCALES[0]  # check() names a wrong one
        own, variant = self._method(method, typed.get("variant"))
        self._check_places(typed, merge(own, variant))
        top = merge(variant, typed)
        whole = merge(own, top)
        config = defaults(RunSettings) | {k: whole[k] for k in defaults(RunSettings) if k in whole}
        config = {"method": method} | config
        config["data"] = self.dataset(own.get("data", {}), top.get("data", {}))
        config["stages"] = {
            name: self._block(block, config["data"], f"stages.{name}")
            for name, block in whole.get("stages", {}).items()
            if block is not None
        }
        config["pipeline"] = self._pipeline(whole.get("pipeline"))
        config["protocol"] = self._protocol(
            own.get("protocol", {}), top.get("protocol", {}), config["data"]
        )
        config["backbones"], config["others"] = self.parts(config, whole, typed)
        config["sampling"] = self._sampling(config, whole.get("sampling") or {})
        config["trainer"] = self._trainer(own.get("trainer", {}), top.get("trainer", {}))
        for name, kind in (("generation", GenerationSettings), ("tracking", TrackingSettings)):
            config[name] = filled(defaults(kind) | (whole.get(name) or {}), schema(kind))
        config |= {k: v for k, v in whole.items() if k not in config}  # unknown: check names them
        return config

    def _typed(self, words: Sequence[str]) -> Config:
        typed: Config = {}
        for word in words:
            try:
                path, value = parse_word(word)
                if path[0] in NAMED and len(path) == 1 and not isinstance(value, dict):
                    path = (path[0], "name")
                put(typed, path, value)
            except UserError as error:
                self.mistakes += error.mistakes
            except AttributeError:
                self.mistakes.append(f"{word}: a key above it was given a value already.")
        return typed

    def _method(self, method: str, variant: str | None) -> tuple[Config, Config]:
        """The method's own part at this scale, and its variant's."""
        content = self.library.read("methods", method)
        for key in content:
            if key not in FILE_KEYS:
                close = nearest(str(key), FILE_KEYS) or "."
                self.mistakes.append(f"{key} in the file of method {method} is not known{close}")
        variants = content.pop("variants", None) or {}
        own = self._shaped(self.at_scale(content), f" (in the file of method {method})")
        if variant is None:
            return own, {}
        if variant not in variants:
            known = ", ".join(variants) or "none"
            close = nearest(str(variant), variants) or f"; {method} has {known}."
            self.mistakes.append(f"variant={variant} is not known{close}")
            return own, {}
        changes = self.at_scale(variants[variant] or {})
        return own, self._shaped(changes, f" (in variant {variant} of {method})")

    def _shaped(self, layer: Config, where: str) -> Config:
        """A layer without what should hold keys and values and does not, which is said."""
        shaped = {key: value for key, value in layer.items() if key not in SECTIONS}
        for key in [key for key in SECTIONS if layer.get(key) is not None]:
            inner = layer[key]
            if isinstance(inner, dict) and key in BLOCKS:
                wrong = {n: v for n, v in inner.items() if not isinstance(v, dict | None)}
                self.mistakes += [_no_mapping(f"{key}.{n}", v, where) for n, v in wrong.items()]
                inner = {n: v for n, v in inner.items() if n not in wrong}
            if isinstance(inner, dict):
                shaped[key] = inner
            else:
                self.mistakes.append(_no_mapping(key, inner, where))
        return shaped

    def at_scale(self, content: Config) -> Config:
        """A file's content with its block of this scale laid over it."""
        content = copy(content)
        scales = content.pop("scales", None) or {}
        layer = scales.get(self.scale) or {}
        return merge(_normal(content), _normal(layer))

    def _group(self, key: str, name: object, where: str = "") -> Config:
        """The file that `data=`, `protocol=` or `trainer=` names, at the top or in a block."""
        group = NAMED[key]
        if name is None:
            self.mistakes.append(f"{key}=NAME is missing. {how_to_list(group)}")
            return {}
        if not self.library.has(group, name):
            self.mistakes.append(where + self.library.unknown(group, name))
            return {}
        return self.at_scale(self.library.read(group, str(name)))

    def dataset(self, own: Config, top: Config) -> Config:
        """The run's dataset. What a method sets for its own dataset holds for another one where
        that has such a setting."""
        name = top.get("name", own.get("name"))
        base = self._group("data", name)
        source = signature(base.get("class"))
        if name != own.get("name") and source is not None:
            own = {key: value for key, value in own.items() if key in source.parameters}
        return self._filled_data({"name": name} | merge(merge(base, own), top) | {"name": name})

    def _filled_data(self, block: Config) -> Config:
        source = signature(block.get("class"))
        return filled(block, source.parameters) if source else block

    def role_data(self, data: Any, run: Config, where: str) -> Config:
        """The dataset of one role: another one by name, or the run's with changes."""
        if not isinstance(data, str | dict):
            self.mistakes.append(
                f"{where}.data must be a dataset's name or {{name, ...}}: {data!r}."
            )
            return run
        data = {"name": data} if isinstance(data, str) else dict(data)
        if data.get("name") is None:
            return self._filled_data(merge(run, data))
        name = data["name"]
        return self._filled_data(
            {"name": name} | merge(self._group("data", name, f"{where}."), data)
        )

    def _block(self, block: Config, run_data: Config, where: str) -> Config:
        """A stage's block with its constructor's defaults and its dataset written out."""
        block = dict(block)
        if block.get("data") is not None:
            block["data"] = self.role_data(block["data"], run_data, where)
        source = signature(block.get("class"))
        return filled(block, schema_of_stage(source)) if source else block

    def _pipeline(self, pipeline: Any) -> Any:
        if not isinstance(pipeline, dict):
            return pipeline
        source = signature(pipeline.get("class"))
        return filled(pipeline, source.parameters) if source else pipeline

    def _protocol(self, own: Config, top: Config, run_data: Config) -> Config:
        name = top.get("name", own.get("name"))
        base = self._group("protocol", name)
        if name != own.get("name"):
            own = {key: value for key, value in own.items() if key in base}
        protocol = {"name": name} | merge(merge(base, own), top)
        for key in ("arms", "reals"):
            for part, block in protocol[key].items() if isinstance(protocol.get(key), dict) else ():
                if isinstance(block, dict) and block.get("data") is not None:
                    where = f"protocol.{key}.{part}"
                    block["data"] = self.role_data(block["data"], run_data, where)
        return protocol

    def _trainer(self, own: Config, top: Config) -> Config:
        name = top.get("name", own.get("name", "auto"))
        block = merge(merge(self._group("trainer", name), own), top)
        values = defaults(TrainerSettings) | block | {"name": name}
        return {"name": name} | filled(values, schema(TrainerSettings))

    def _sampling(self, config: Config, given: Config) -> Config:
        source = signature(pipeline_class(config))
        return filled(given, source.sampling) if source else given

    # parts of other configs --------------------------------------------------------
    def parts(self, config: Config, whole: Config, typed: Config) -> tuple[Config, Config]:
        """The backbones and other methods' stages that anything refers to, however indirectly."""
        backbones: Config = {}
        others: Config = {}
        todo = list(references([config["stages"], config["pipeline"], config["protocol"]]))
        todo += references(config["data"])
        while todo:
            name = todo.pop()
            owner = name.rpartition(".")[0]
            if name in backbones or name in others or owner == config["method"]:
                continue
            group = others if owner else backbones
            changes = (whole.get("others" if owner else "backbones") or {}).get(name) or {}
            base = self._other(name) if owner else self._backbone(name, config)
            if base is not None:
                where = f"{'others' if owner else 'backbones'}.{name}"
                group[name] = self._block(merge(base, changes), config["data"], where)
                todo += references(group[name])
        for key, found in (("backbones", backbones), ("others", others)):
            for name in set(typed.get(key) or {}) - set(found):
                used = ", ".join(sorted(found)) or "none"
                close = nearest(name, found) or f"; it uses {used}."
                self.mistakes.append(f"{key}.{name} is not used by this run{close}")
        return dict(sorted(backbones.items())), dict(sorted(others.items()))

    def _backbone(self, name: str, config: Config) -> Config | None:
        if self.library.has("backbones", name):
            return self.at_scale(self.library.read("backbones", name))
        if name in config["stages"]:
            self.mistakes.append(
                f"{REFERENCE}{name} names no backbone; the method's own stage is written "
                f"{REFERENCE}{config['method']}.{name}"
            )
        else:
            known = self.library.names("backbones")
            close = nearest(name, known) or f"; known are {', '.join(known) or 'none'}."
            self.mistakes.append(f"{REFERENCE}{name} names no backbone{close}")
        return None

    def _other(self, name: str) -> Config | None:
        method, _, stage = name.rpartition(".")
        if not self.library.has("methods", method):
            self.mistakes.append(f"{REFERENCE}{name}: {self.library.unknown('methods', method)}")
            return None
        stages = self.at_scale(self.library.read("methods", method)).get("stages") or {}
        if stage not in stages:
            close = nearest(stage, stages) or f"; it has {', '.join(stages)}."
            self.mistakes.append(f"{REFERENCE}{name}: {method} has no stage {stage}{close}")
            return None
        return stages[stage]

    def _check_places(self, typed: Config, known: Config) -> None:
        """A typed block that no file has is a slip of the finger; take it out and say so."""
        stages = known.get("stages") or {}
        mine = typed.get("stages") or {}
        for name in list(mine) if isinstance(mine, dict) else []:
            made = isinstance(mine[name], dict) and "class" in mine[name]
            if name not in stages and not made:
                close = nearest(name, stages)
                close = close.replace("mean ", "mean stages.") if close else "; "
                close += "" if "?" in close else f"the stages are {', '.join(stages)}."
                self.mistakes.append(f"stages.{name} is not known{close}")
                del mine[name]


def _no_mapping(key: str, value: Any, where: str) -> str:
    return f"{key} must hold keys and values, not {value!r}{where}; write {key}.KEY=VALUE."


def _normal(layer: Config) -> Config:
    """`data: NAME` written out as `data: {name: NAME}`, and so for protocol and trainer."""
    return {
        key: {"name": value} if key in NAMED and isinstance(value, str) else value
        for key, value in layer.items()
    }
