"""Settings of a run that belong to no class: what runs, where, and how it is recorded."""

import ast
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, Literal

from medbench.core.classes import Parameter
from medbench.core.sources import open_module

SCALES = ("tiny", "paper")


@dataclass(frozen=True)
class RunSettings:
    """Top-level words of the command."""

    method: str  # name of a method's YAML file
    scale: Literal["tiny", "paper"] = "tiny"  # CPU and minutes, or the published numbers
    seed: int = 0  # of the method's own stages and of generation; backbones have their own
    variant: str | None = None  # one of the method's variants, as its paper's table names them
    fresh: bool = False  # generate and measure anew; fitted stages stay
    out: str = "outputs"  # folder that everything is written under


@dataclass(frozen=True)
class TrainerSettings:
    """Where and how stages are fitted and sampled; changes no result beyond rounding."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1  # processes on each machine
    nodes: int = 1  # machines
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed", "bf16-true"] = "auto"
    accumulate: int = 1  # parts that a batch is computed in; the global batch stays the same
    compile: bool = False  # torch.compile
    checkpoint_activations: bool = False  # less memory, about a third more time
    threads: int = 0  # of one process; 0 = chosen for this machine
    workers: int = -1  # loading processes; -1 = chosen for this machine
    together: int = 0  # stages fitted at once, each by a process; 0 = chosen (2 on a CPU)
    log_every: int = 10  # steps between two points of a curve


@dataclass(frozen=True)
class GenerationSettings:
    """How samples are drawn; the samples themselves depend on seed, arm and index alone."""

    batch_size: int = 64


@dataclass(frozen=True)
class TrackingSettings:
    """Where runs are recorded."""

    enabled: bool = True
    uri: str | None = None  # an MLflow tracking URI; None = a SQLite file under out=
    experiment: str = "medbench"
    restricted: bool = False  # texts and images of restricted data may go to another machine


GROUPS: dict[str, type] = {
    "trainer": TrainerSettings,
    "generation": GenerationSettings,
    "tracking": TrackingSettings,
}


def schema(settings: type) -> dict[str, Parameter]:
    """A settings dataclass in the form of a constructor's signature."""
    found, notes = {}, _notes(settings)
    for item in fields(settings):
        name = item.type if isinstance(item.type, str) else _spell(item.type)
        required = item.default is MISSING
        default = None if required else item.default
        note = notes.get(item.name, "")
        found[item.name] = Parameter(item.name, name, default, required, note)
    return found


@cache
def _notes(settings: type) -> dict[str, str]:
    """The comments behind a dataclass's fields."""
    module = open_module(settings.__module__)
    fields_of = [n for n in module.classes[settings.__name__].body if isinstance(n, ast.AnnAssign)]
    return {ast.unparse(node.target): module.note(node.lineno) for node in fields_of}


def _spell(annotation: Any) -> str:
    """An annotation as source: `int`, `Literal['a', 'b']`, `str | None`."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def defaults(settings: type) -> dict[str, Any]:
    """The values that stand when nothing is said, as plain containers."""
    return {
        name: list(p.default) if isinstance(p.default, tuple) else p.default
        for name, p in schema(settings).items()
        if not p.required
    }
