"""`python -m medbench.evaluate real=DIR fake=DIR protocol=NAME`: measure anyone's images."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medbench.core.errors import UserError, nearest

if TYPE_CHECKING:
    from benchmarks.sources import Source

PROTOCOLS = Path(__file__).parents[1] / "benchmarks" / "protocols"
KEYS = ("real", "fake", "protocol", "captions", "real_captions", "seed", "out")
USAGE = """\
usage: python -m medbench.evaluate real=DIR fake=DIR protocol=NAME [key=value ...]

Measures a folder of images against a folder of real ones. Each is a sample set (with
manifest.jsonl) or a bare folder of PNG or JPEG files.

  real=DIR                    real images
  fake=DIR                    generated images
  protocol=NAME               {protocols}, or a YAML file
  extractors.NAME.stage=DIR   folder of the fitted stage that gives the features; without it,
                              the one that runs have fitted beside out=, in outputs/stages
  captions=FILE               CSV or JSONL of the generated images: file, text
  real_captions=FILE          the same of the real images
  seed=0                      of subsets, halves and bootstraps
  out=outputs/evaluations     folder of the result and of cached features
"""


def main(argv: list[str]) -> int:
    """Print the table and write the result; 2 after a mistake."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("words", nargs="*")
    for name in ("-h", "--help", "--json", "--quiet"):
        parser.add_argument(name, action="store_true")
    arguments = parser.parse_args(argv)
    if arguments.h or arguments.help or not argv:
        print(USAGE.format(protocols=", ".join(_protocol_names())))
        return 0
    try:
        result, path = evaluate(_settings(arguments.words), arguments.quiet)
    except UserError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 2
    print(json.dumps(result, indent=1) if arguments.json else table(result["values"]))
    if not arguments.json:
        print(f"\nresult: {path}")
    return 0


def evaluate(settings: dict[str, str], quiet: bool = False) -> tuple[dict[str, Any], Path]:
    """Measure `fake` against `real`; the result and where it was written."""
    protocol = _protocol(settings)
    fakes, real = _sources(settings, protocol)
    from benchmarks.extractors import open_extractors
    from benchmarks.harness import measure, plan_jobs
    from medbench.core.files import check_writable, write_json
    from medbench.core.fingerprint import fingerprint

    reals = dict.fromkeys(protocol["reals"], real)
    protocol["metrics"], left_out = _possible(protocol, fakes)
    plan_jobs(protocol, fakes, reals)
    seed = int(settings.get("seed", 0))
    out = _out(settings)
    check_writable(out)
    extractors = open_extractors(protocol)
    values = measure(protocol, fakes, reals, extractors, out / "features", seed, quiet)
    result = {
        "row": Path(settings["fake"]).resolve().name,
        "seed": seed,
        "scale": None,
        "protocol": protocol["name"],
        "phantom": False,
        "stages": [],
        "provenance": {"real": settings["real"], "fake": settings["fake"], "left_out": left_out},
        "values": values,
    }
    sides = sorted(source.fingerprint for source in fakes.values())
    path = out / f"{protocol['name']}-{fingerprint([sides, real.fingerprint, seed])}.json"
    write_json(path, result)
    return result, path


def table(values: list[dict[str, Any]]) -> str:
    """The values with what stands beside each, in columns."""
    head = ["", "value", "95 % interval", "n", "n real", "floor | chance", "ceiling", "note"]
    rows = [head] + [_cells(value) for value in values]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _cells(value: dict[str, Any]) -> list[str]:
    arrow = "v" if value["direction"] == "lower" else "^"
    low, high = value["low"], value["high"]
    span = f"{low:.4g} to {high:.4g}" if low is not None else "-"
    beside = "-"
    if value["floor"]:
        floor = value["floor"]
        beside = f"{floor['value']:.4g} (ours {floor['generated']:.4g}) at {floor['m']}"
    if value["chance"]:
        beside = f"{value['chance']['value']:.3f}, up to {value['chance']['high']:.3f}"
    ceiling = f"{value['ceiling']:.3f}" if value["ceiling"] is not None else "-"
    number = f"{value['value']:.4g}"
    shown = [f"{value['name']} {arrow}", number, span, str(value["n"]), str(value["n_real"])]
    return [*shown, beside, ceiling, value["note"] or ""]


def _settings(words: list[str]) -> dict[str, str]:
    """key=value words, all mistakes together."""
    found: dict[str, str] = {}
    mistakes = []
    for word in words:
        key, sign, value = word.partition("=")
        stage = key.startswith("extractors.") and key.endswith(".stage")
        if not sign or not value:
            mistakes.append(f"{word} is not of the form key=value.")
        elif key not in KEYS and not stage:
            mistakes.append(f"{key} is not known{nearest(key, KEYS) or ''}")
        found[key] = value
    mistakes += [f"{key}= is missing." for key in ("real", "fake", "protocol") if key not in found]
    if not found.get("seed", "0").isdigit():
        mistakes.append(f"seed={found['seed']} is not a whole number.")
    if mistakes:
        raise UserError(*mistakes)
    return found


def _protocol_names() -> list[str]:
    return sorted(path.stem for path in PROTOCOLS.glob("*.yaml"))


def _protocol(settings: dict[str, str]) -> dict[str, Any]:
    """The protocol's YAML, with the folders of its extractors' stages filled in."""
    from omegaconf import OmegaConf

    name = settings["protocol"]
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROTOCOLS / f"{name}.yaml"
    if not path.is_file():
        close = nearest(name, _protocol_names()) or f"; known are {', '.join(_protocol_names())}."
        raise UserError(f"protocol={name} is not known{close}")
    content: Any = OmegaConf.to_container(OmegaConf.load(path))
    for key, value in settings.items():
        if key.startswith("extractors."):
            extractor = key.split(".")[1]
            if extractor not in content["extractors"]:
                known = ", ".join(content["extractors"])
                raise UserError(f"{key}: protocol {path.stem} has the extractors {known}.")
            content["extractors"][extractor]["stage"] = value
    for block in content["extractors"].values():
        block["stage"] = _fitted(str(block["stage"]), _out(settings).parent / "stages")
    return content | {"name": path.stem}


def _out(settings: dict[str, str]) -> Path:
    return Path(settings.get("out", "outputs/evaluations")).expanduser()


def _fitted(stage: str, stages: Path) -> str:
    """The folder of a stage that a run has fitted here; the name itself where none has."""
    from medbench.core.files import is_complete

    name = stage.removeprefix("stage:")
    if name == stage:
        return stage
    folders = sorted(folder for folder in stages.glob(f"{name}-*") if is_complete(folder))
    if len(folders) > 1:
        raise UserError(
            f"Several {name} are fitted under {stages}: {', '.join(f.name for f in folders)}. "
            "Name one with extractors.NAME.stage=DIR."
        )
    return str(folders[0]) if folders else stage


def _sources(
    settings: dict[str, str], protocol: dict[str, Any]
) -> "tuple[dict[str, Source], Source]":
    """Generated images by arm (a bare folder serves every arm), and the real ones."""
    from benchmarks.sources import folder_source
    from datamodules.folder import Folder

    fake, captions = settings["fake"], settings.get("captions")
    arms = Folder(fake, captions).arms()
    missing = [arm for arm in protocol["arms"] if arms and arm not in arms]
    if missing:
        raise UserError(
            f"protocol={protocol['name']} measures the arm {missing[0]}, which {fake} does not "
            f"have; it has {', '.join(arms)}."
        )
    fakes = {arm: folder_source(fake, arm if arms else None, captions) for arm in protocol["arms"]}
    return fakes, folder_source(settings["real"], table=settings.get("real_captions"))


def _possible(
    protocol: dict[str, Any], fakes: "dict[str, Source]"
) -> tuple[list[dict[str, Any]], list[str]]:
    """The metrics that these folders allow, and a printed sentence for each that they do not."""
    from benchmarks.metrics.declaration import FEATURES, load_metric
    from benchmarks.requests import describe

    kept, left_out = [], []
    for item in protocol["metrics"]:
        entry = {"metric": item} if isinstance(item, str) else item
        arm = entry.get("arm", next(iter(fakes)))
        judged = load_metric(entry["metric"]).needs != FEATURES
        if judged and "text" not in describe(fakes[arm].samples, 0):
            left_out.append(
                f"{entry['metric']} is left out: the generated images have no prompts. Give them "
                "with captions=FILE (columns file and text)."
            )
            print(left_out[-1], file=sys.stderr)
        else:
            kept.append(entry)
    return kept, left_out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
