"""What a composed protocol gets wrong, as far as its file, its metrics and its method tell."""

from collections.abc import Iterator
from typing import Any

from medbench.blocks import Config, pipeline_class, signature
from medbench.core.batch import KEYS, missing_keys
from medbench.core.classes import ClassSource, open_module
from medbench.core.errors import UserError, nearest
from medbench.core.values import check_value
from medbench.library import Library, metric_names

ARM = {  # keys of an arm, with their types
    "keys": "list[str]",
    "requests": "dict[str, Any]",
    "data": "Any",
    "sampling": "dict[str, Any]",
    "makes": "list[str]",
    "noise": "str | None",
}
REQUESTS = {
    "data": "Any",
    "split": "str",
    "n": "int | None",
    "balance": "str | None",
    "unique": "str | None",
}


def check_protocol(protocol: Config, config: Config, library: Library) -> Iterator[str]:
    """Mistakes of the block under `protocol`, a sentence each."""
    if not library.has("protocols", protocol.get("name")):
        return  # composing has said so
    arms = protocol.get("arms")
    if not isinstance(arms, dict) or not arms:
        yield "protocol.arms is missing: name at least one arm with its keys and requests."
        return
    source = signature(pipeline_class(config))
    for name, arm in arms.items():
        where = f"protocol.arms.{name}"
        yield from _typed(where, arm, ARM, required=("keys", "requests"))
        if isinstance(arm, dict):
            yield from _requests(where, arm, config)
            yield from _arm(where, arm, config, source)
    yield from _metrics(protocol)


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
            yield f"{where}.{key} is not known{close}" + (
                "" if close.endswith("?") else f"known are {', '.join(known)}."
            )
        elif wrong:
            yield f"{where}.{key} {wrong}."
    for key in required:
        if key not in block:
            yield f"{where}.{key} is missing."


def _requests(where: str, arm: Config, config: Config) -> Iterator[str]:
    requests = arm.get("requests")
    if not isinstance(requests, dict):
        return
    yield from _typed(f"{where}.requests", requests, REQUESTS, required=("split",))
    n = requests.get("n")
    if isinstance(n, int) and n < 1:
        yield f"{where}.requests.n must be at least 1, not {n}."
    data = arm.get("data") or config["data"]
    source = signature(data.get("class"))
    splits = source.attributes.get("splits", ()) if source else ()
    split = requests.get("split")
    if split is not None and splits and split not in splits:
        yield (
            f"{where}.requests.split={split} is not known; {data.get('name')} has "
            f"{', '.join(splits)}."
        )


def _arm(where: str, arm: Config, config: Config, source: ClassSource | None) -> Iterator[str]:
    """What an arm gives, against what its data yields and what the method takes."""
    keys = [key for key in arm.get("keys") or () if isinstance(key, str)]
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
    for key in arm.get("makes") or ():
        makes = source.attributes.get("makes", ())
        if key not in makes:
            yield f"{where}.makes: {config['method']} makes {', '.join(makes)}, not {key}."
    for key, value in (arm.get("sampling") or {}).items():
        if key not in source.sampling:
            close = nearest(str(key), source.sampling) or "."
            yield f"{where}.sampling.{key} is not known{close}"
        else:
            wrong = check_value(source.sampling[key].annotation, value)
            if wrong:
                yield f"{where}.sampling.{key} {wrong}."


def _metrics(protocol: Config) -> Iterator[str]:
    """Names of metrics and extractors that lead nowhere."""
    known, extractors = metric_names(), protocol.get("extractors") or {}
    metrics = protocol.get("metrics") or []
    blocks = metrics.items() if isinstance(metrics, dict) else enumerate(metrics)
    for place, block in blocks:
        where = f"protocol.metrics.{place}"
        name = block.get("metric", place) if isinstance(block, dict) else block
        extractor = block.get("extractor") if isinstance(block, dict) else None
        if "." in str(name):
            yield from _own_metric(where, str(name))
        elif name not in known:
            close = nearest(str(name), known) or f"; known are {', '.join(sorted(known))}."
            yield f"{where}: metric {name} is not known{close}"
        if extractor is not None and extractor not in extractors:
            close = nearest(str(extractor), extractors) or f"; it has {', '.join(extractors)}."
            yield f"{where}.extractor={extractor} is not known{close}"


def _own_metric(where: str, dotted: str) -> Iterator[str]:
    module, _, name = dotted.rpartition(".")
    try:
        functions = open_module(module).functions
    except UserError as error:
        yield f"{where}: metric {dotted}: {error}"
        return
    if name not in functions:
        close = nearest(name, functions) or "."
        yield f"{where}: metric {dotted}: {module} has no function {name}{close}"
