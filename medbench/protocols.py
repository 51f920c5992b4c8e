"""What a composed protocol gets wrong, as far as its file, its metrics and its method tell."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from medbench.blocks import Config, pipeline_class, signature
from medbench.core.batch import KEYS, missing_keys
from medbench.core.classes import ClassSource
from medbench.core.errors import UserError, nearest
from medbench.core.sources import open_module
from medbench.core.values import check_value
from medbench.library import Library, metrics

PROTOCOL = {
    "name": "str",
    "modality": "str",
    "resolution": "int",
    "arms": "dict[str, Any]",
    "reals": "dict[str, Any]",
    "extractors": "dict[str, Any]",
    "metrics": "list[Any]",
    "seed": "int",
    "preprocessing": "dict[str, Any]",
    "instead": "str | None",
    "table": "str",
    "columns": "dict[str, Any]",
    "rows": "dict[str, Any]",
    "missing": "dict[str, Any]",
    "dataset": "Any",
    "beside": "str",
}
PREPROCESSING = {"plane": "str", "slices": "int", "window": "tuple[float, float]"}
SELECTION = {
    "split": "str",
    "n": "int | None",
    "balance": "str | None",
    "unique": "str | None",
    "where": "dict[str, Any]",
}
ARM = {
    "keys": "list[str]",
    "requests": "dict[str, Any]",
    "data": "Any",
    "sampling": "dict[str, Any]",
    "makes": "list[str]",
    "noise": "str | None",
}
METRIC = {
    "metric": "str",
    "name": "str",
    "arm": "str",
    "second": "str",
    "real": "str",
    "extractor": "str",
    "race": "str",
    "age": "str",
    "train": "str",
    "heldout": "str",
    "asks": "str | None",
    "labels": "list[str]",
    "called": "dict[str, str]",
    "group": "str",
    "pairing": "str",
    "controls": "list[str]",
    "segment": "str",
    "against": "Literal['real', 'prior']",
    "of": "dict[str, Any]",
    "value": "str",
    "window": "list[float]",
    "by": "list[str]",
    "settings": "dict[str, Any]",
}
EXTRACTOR = {
    "stage": "str | None",
    "network": "str | None",
    "weights": "str | None",
    "size": "int",
    "resize": "str",
}


PARTS = {"arm": "arms", "second": "arms", "extractor": "extractors", "race": "extractors"}
PARTS |= {"age": "extractors", "real": "reals", "train": "reals", "heldout": "reals"}


def check_protocol(protocol: Config, config: Config, library: Library) -> Iterator[str]:
    """Mistakes of the block under `protocol`, a sentence each."""
    if not library.has("protocols", protocol.get("name")) and "arms" not in protocol:
        return  # composing has said so
    measures = ("resolution", "reals", "extractors") if protocol.get("metrics") else ()
    yield from _typed("protocol", protocol, PROTOCOL, required=("arms", *measures))
    source = signature(pipeline_class(config))
    for where, arm in _entries(protocol, "arms"):
        yield from _typed(where, arm, ARM, required=("keys", "requests"))
        if isinstance(arm, dict):
            if "requests" in arm:
                yield from _selection(f"{where}.requests", arm["requests"], arm.get("data"), config)
            yield from _arm(where, arm, config, source)
    for where, real in _entries(protocol, "reals"):
        data = real.get("data") if isinstance(real, dict) else None
        yield from _selection(where, real, data, config, more={"data": "Any"})
    if isinstance(protocol.get("preprocessing"), dict):
        yield from _typed("protocol.preprocessing", protocol["preprocessing"], PREPROCESSING)
    for where, block in _entries(protocol, "extractors"):
        if block is not None:  # taken out at this scale, or by a protocol that is like another
            yield from _extractor(where, block)
    yield from _metrics(protocol)


def _extractor(where: str, block: Any) -> Iterator[str]:
    """A fitted stage, or a released network with its weights."""
    yield from _typed(where, block, EXTRACTOR, required=("size",))
    if not isinstance(block, dict):
        return
    stage, network = block.get("stage"), block.get("network")
    if (stage is None) == (network is None):
        yield f"{where} must name one of stage and network."
    known = mapping("benchmarks.extractors", "NETWORKS")
    if isinstance(network, str) and network not in known:
        close = nearest(network, known) or f"; known are {', '.join(known)}."
        yield f"{where}.network={network} is not known{close}"


def mapping(module: str, name: str) -> dict[str, str]:
    """A table of names that stands in a module, read without importing it."""
    source = open_module(module)
    found = source.value(source.constants[name])
    return found if isinstance(found, dict) else {}


def _entries(protocol: Config, key: str) -> list[tuple[str, Any]]:
    entries = protocol.get(key)
    found = entries.items() if isinstance(entries, dict) else ()
    return [(f"protocol.{key}.{name}", entry) for name, entry in found]


def _typed(
    where: str, block: Any, known: dict[str, str], required: tuple[str, ...] = ()
) -> Iterator[str]:
    if not isinstance(block, dict):
        yield f"{where} must hold keys and values, not {block!r}."
        return
    for key, value in block.items():
        wrong = check_value(known.get(key), value)
        if key not in known:
            close = nearest(str(key), known)
            close = close.replace("mean ", f"mean {where}.") if close else "; "
            known_ones = "" if close.endswith("?") else f"known are {', '.join(known) or 'none'}."
            yield f"{where}.{key} is not known{close}{known_ones}"
        elif wrong:
            yield f"{where}.{key} {wrong}."
    for key in required:
        if key not in block:
            yield f"{where}.{key} is missing."


def _selection(
    where: str, chosen: Any, data: Any, config: Config, more: dict[str, str] | None = None
) -> Iterator[str]:
    """Which samples of a split are taken: an arm's requests, or a real set."""
    yield from _typed(where, chosen, SELECTION | (more or {}), required=("split",))
    if not isinstance(chosen, dict):
        return
    n, split = chosen.get("n"), chosen.get("split")
    if isinstance(n, int) and n < 1:
        yield f"{where}.n must be at least 1, not {n}."
    data = data or config["data"]
    source = signature(data.get("class"))
    splits = source.attributes.get("splits", ()) if source else ()
    if split is not None and splits and split not in splits:
        yield f"{where}.split={split} is not known; {data.get('name')} has {', '.join(splits)}."


def _texts(value: Any) -> list[str]:
    """The strings of a list; a value of another type is reported by its type."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _arm(where: str, arm: Config, config: Config, source: ClassSource | None) -> Iterator[str]:
    """What an arm gives, against what its data yields and what the method takes."""
    keys = _texts(arm.get("keys"))
    for key in keys:
        if key.split(".")[0] not in KEYS:
            yield f"{where}.keys: {key} is no batch key{nearest(key, KEYS) or '.'}"
    data = arm.get("data") or config["data"]
    dataset = signature(data.get("class"))
    if dataset is not None:
        missing = missing_keys(keys, dataset.attributes.get("yields", ()))
        missing = [key for key in missing if key in KEYS]
        if missing:
            yield f"{where} gives {', '.join(missing)}, which data {data['name']} does not yield."
    if source is None:
        return
    takes = tuple(source.attributes.get("takes", ()))
    may_take = tuple(source.attributes.get("may_take", ()))
    absent = missing_keys(takes, keys)
    known = [key for key in keys if key in KEYS]
    extra = missing_keys(known, takes + may_take)
    if absent or extra:
        may = f" and may take {', '.join(may_take)}" if may_take else ""
        yield (
            f"{where} gives {', '.join(keys) or 'nothing'}; {config['method']} takes "
            f"{', '.join(takes) or 'nothing'}{may}. Choose another protocol, or set {where}.keys."
        )
    for key in _texts(arm.get("makes")):
        makes = source.attributes.get("makes", ())
        if key not in makes:
            yield f"{where}.makes: {config['method']} makes {', '.join(makes)}, not {key}."
    sampling = arm.get("sampling")
    for key, value in sampling.items() if isinstance(sampling, dict) else ():
        if key not in source.sampling:
            close = nearest(str(key), source.sampling) or "."
            yield f"{where}.sampling.{key} is not known{close}"
        else:
            wrong = check_value(source.sampling[key].annotation, value)
            if wrong:
                yield f"{where}.sampling.{key} {wrong}."


def _metrics(protocol: Config) -> Iterator[str]:
    """Metrics, extractors, arms and real sets that an entry names and that are not there."""
    entries = protocol.get("metrics")
    known = metrics()
    inputs = mapping("benchmarks.metrics.declaration", "INPUTS")
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        where = f"protocol.metrics.{place}"
        yield from _typed(where, entry, METRIC, required=("metric",))
        if not isinstance(entry, dict):
            continue
        for key, group in PARTS.items():
            there = [name.rpartition(".")[2] for name, _ in _entries(protocol, group)]
            if isinstance(entry.get(key), str) and entry[key] not in there:
                close = nearest(str(entry[key]), there) or f"; there are {', '.join(there)}."
                yield f"{where}.{key}={entry[key]} is not known{close}"
        name = str(entry.get("metric"))
        if "." in name:
            yield from _own_metric(where, name)
        elif name not in known and name in made_metrics():
            continue  # its settings are found when it is measured
        elif name not in known:
            close = nearest(name, known) or f"; known are {', '.join(sorted(known))}."
            yield f"{where}.metric={name} is not known{close}"
        else:
            settings = {k: p.annotation or "Any" for k, p in known[name].settings.items()}
            for own in ("rng", *inputs):
                settings.pop(own, None)
            given = entry.get("settings")
            yield from _typed(
                f"{where}.settings", given if isinstance(given, dict) else {}, settings
            )


@cache
def made_metrics() -> set[str]:
    """Names of metrics that a function makes, which only importing them tells."""
    from benchmarks.metrics.declaration import known_metrics

    return set(known_metrics())


def _own_metric(where: str, dotted: str) -> Iterator[str]:
    module, _, name = dotted.rpartition(".")
    try:
        functions = open_module(module).functions
    except UserError as error:
        yield f"{where}.metric={dotted}: {error}"
        return
    if name not in functions:
        close = nearest(name, functions) or "."
        yield f"{where}.metric={dotted}: {module} has no function {name}{close}"
