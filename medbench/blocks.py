"""What the blocks of a composed config refer to, and the schema of each from its class's source."""

from collections.abc import Iterator
from typing import Any

from medbench.core.classes import ClassSource, Parameter, read_class
from medbench.core.errors import UserError
from medbench.core.settings import FitSettings
from medbench.core.values import check_value, convert_value
from medbench.settings import schema
from medbench.words import copy

Config = dict[str, Any]
REFERENCE = "stage:"


def references(value: Any) -> Iterator[str]:
    """Every `stage:NAME` in a nested value, as NAME."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from references(inner)
    elif isinstance(value, str) and value.startswith(REFERENCE):
        yield value.removeprefix(REFERENCE)


def signature(dotted: object) -> ClassSource | None:
    """A class's source, or None where `check` will say what is wrong with its name."""
    try:
        return read_class(dotted) if isinstance(dotted, str) else None
    except UserError:
        return None


def filled(values: Config, parameters: dict[str, Parameter]) -> Config:
    """Given values in their parameters' types, and the default of every other parameter."""
    settled = {}
    for name, value in values.items():
        annotation = parameters[name].annotation if name in parameters else None
        fits = check_value(annotation, value) is None
        settled[name] = copy(convert_value(annotation, value)) if fits else value
    for name, parameter in parameters.items():
        plain = isinstance(parameter.default, int | float | str | tuple | list | dict | None)
        if name not in values and not parameter.required and plain:
            settled[name] = copy(parameter.default)
    return settled


def schema_of_stage(source: ClassSource) -> dict[str, Parameter]:
    """A constructor's parameters, and the fit settings that stand in the same block: the first
    with their defaults, the second without, since FitSettings gives them."""
    fit = {
        name: Parameter(name, p.annotation, None, required=True)
        for name, p in schema(FitSettings).items()
    }
    return fit | source.parameters


def pipeline_class(config: Config) -> str | None:
    """The dotted path of what draws: the pipeline's own class, or that of the stage it names."""
    pipeline = config.get("pipeline")
    if isinstance(pipeline, dict):
        return pipeline.get("class")
    if not isinstance(pipeline, str):
        return None
    name = pipeline.removeprefix(REFERENCE)
    own = name.removeprefix(f"{config['method']}.")
    for blocks in (config["stages"], config.get("others", {}), config.get("backbones", {})):
        for key in (own, name):
            if isinstance(blocks.get(key), dict):
                return blocks[key].get("class")
    return None


def find_block(config: Config, reference: str) -> Config | None:
    """The block that `stage:REFERENCE` names in a composed config."""
    owner, _, stage = reference.rpartition(".")
    if not owner:
        return config.get("backbones", {}).get(reference)
    if owner == config["method"]:
        return config["stages"].get(stage)
    return config.get("others", {}).get(reference)
