"""A protocol without a method: composed, its extractors' stages found, imported or fitted."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from medbench.blocks import Config
from medbench.config import Composer
from medbench.core.errors import UserError, nearest
from medbench.library import Library, read_yaml
from medbench.plan import Plan
from medbench.protocols import check_protocol
from medbench.words import merge, parse_word, put


def compose_measurement(words: Sequence[str], library: Library, scale: str) -> Config:
    """The composed config of a measurement: protocol, data and the backbones that it names.

    `words` hold protocol=NAME (or a YAML file), data=NAME and any key below them."""
    composer = Composer(library)
    composer.scale = scale
    typed: Config = {}
    for word in words:
        path, value = parse_word(word)
        if path[0] in ("data", "protocol") and len(path) == 1:
            path = (path[0], "name")
        put(typed, path, value)
    own = _protocol(typed["protocol"], library, composer)
    data = typed.get("data")
    known = composer.dataset({}, data) if data else {"name": None, "class": None}
    config: Config = {
        "method": None,
        "out": str(typed.get("out", "outputs")),
        "seed": 0,
        "scale": scale,
        "data": known,
        "stages": {},
        "pipeline": None,
        "protocol": _with_data(own, known, composer),
    }
    config["backbones"], config["others"] = composer.parts(config, typed, typed)
    mistakes = [*composer.mistakes, *check_protocol(config["protocol"], config, library)]
    if mistakes:
        raise UserError(*dict.fromkeys(mistakes))
    return config


def _protocol(typed: Config, library: Library, composer: Composer) -> Config:
    """The protocol's file at this scale, with what was typed laid over it."""
    name = str(typed["name"])
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UserError(f"protocol={name} is not a file.")
        content, name = read_yaml(path), path.stem
    elif library.has("protocols", name):
        content = library.read("protocols", name)
    else:
        raise UserError(library.unknown("protocols", name))
    base = composer.at_scale(content)
    extractors = base.get("extractors") or {}
    for given in typed.get("extractors") or {}:
        if given not in extractors:
            close = nearest(given, extractors)
            known = f"protocol {name} has the extractors {', '.join(extractors)}{close}"
            raise UserError(f"extractors.{given}: {known}.".replace("?.", "?"))
    return merge(base, typed) | {"name": name}


def _with_data(protocol: Config, known: Config, composer: Composer) -> Config:
    """Arms and real sets that name a dataset of their own, with that composed.

    Where the user named data, it stands for every set of the protocol."""
    for key in ("arms", "reals"):
        for part, block in (protocol.get(key) or {}).items():
            if isinstance(block, dict) and block.get("data") is not None:
                where = f"protocol.{key}.{part}"
                block["data"] = composer.role_data(block["data"], known, where)
    return protocol


def fit_extractors(config: Config, library: Library, quiet: bool = False) -> Plan:
    """The plan of a measurement with every stage that its extractors need finished.

    What is not there is fitted now, once, on phantom data; a line says so."""
    plan = Plan(config)
    waiting = [stage for stage in plan.stages if stage.action != "reuse"]
    if not waiting:
        return plan
    names = ", ".join(stage.name for stage in waiting)
    if not quiet:
        print(
            f"The protocol measures with {names}, which is not fitted yet under {plan.out}: it is "
            "fitted now on phantom data, once, in a minute or a few.",
            file=sys.stderr,
            flush=True,
        )
    from medbench.fitting import fit_stage
    from medbench.machine import choose_machine
    from medbench.provenance import quiet_libraries
    from medbench.settings import TrainerSettings

    quiet_libraries()
    machine = choose_machine(TrainerSettings())
    with redirect_stdout(sys.stderr):  # what is printed is the result alone
        for stage in plan.stages:
            if stage.action != "reuse":
                fit_stage(stage, machine, lambda values, step: None)
    return plan


def device() -> str:
    """Where networks look at images: the GPU where there is one."""
    from medbench.machine import choose_machine
    from medbench.settings import TrainerSettings

    return choose_machine(TrainerSettings()).device


def provenance(seconds: float) -> dict[str, Any]:
    """Machine and versions, for a result."""
    from medbench.machine import choose_machine
    from medbench.provenance import describe_machine
    from medbench.settings import TrainerSettings

    return describe_machine(choose_machine(TrainerSettings())) | {"seconds": round(seconds, 1)}
