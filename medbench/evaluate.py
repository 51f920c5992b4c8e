"""`python -m medbench.evaluate real=DIR fake=DIR protocol=NAME`: measure anyone's images."""

import json
import time
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from textwrap import wrap
from typing import Any

from medbench.cli import launch, parse
from medbench.core.errors import UserError, nearest
from medbench.library import Library

KEYS = (
    *("real", "fake", "protocol", "data", "captions", "real_captions", "seed", "scale"),
    *("out", "record", "export", "tracking.uri", "window"),
)
PLACES = ("fake", "real", "captions", "real_captions")
BELOW = ("extractors", "protocol", "data", "reals")  # keys with keys below them
USAGE = """\
usage: python -m medbench.evaluate fake=DIR real=DIR protocol=NAME [key=value ...] [options]

Measures generated images against real ones. A folder holds PNG, JPEG, DICOM, NIfTI or npz files,
or is a sample set that a run has left. Nothing is trained but the protocol's own extractor, once.

  fake=DIR             generated images
  real=DIR             real images; or
  data=NAME            a dataset: data.root=DIR and its other keys as in a run
  protocol=NAME        one of those below, or a YAML file of yours
  captions=FILE        CSV or JSONL of the generated images: file, text, and a column for each label
  real_captions=FILE   the same of the real images
  window=LOW,HIGH      values that are black and white in files whose type does not say (CT, floats)
  record=NAME          put the result on the leaderboard under this name
  scale=paper          of a protocol that has two: tiny measures without released weights
  seed=0               of subsets, halves and bootstraps
  out=outputs          folder that everything is written under
  extractors.NAME.stage=DIR     a fitted extractor from elsewhere: a folder, or an exported zip
  extractors.NAME.weights=FILE  released weights of an extractor
  export=FILE.zip      also write the protocol's fitted extractors, for another machine
  tracking.uri=URI     send a recorded result to this MLflow store too

options: --json, --quiet, --config-dir DIR (protocols and data of yours), --help

{protocols}

examples:
  python -m medbench.evaluate fake=my_images real=real_images protocol=gi_quick
  python -m medbench.evaluate fake=my_images data=phantom_colonoscopy protocol=gi_quick record=mine
"""


def main(argv: list[str]) -> int:
    """Print the table, write the result and its page."""
    quiet = "--quiet" in argv
    arguments = parse([word for word in argv if word != "--quiet"])
    library = Library(arguments.config_dirs)
    if arguments.help or not arguments.words:
        print(USAGE.format(protocols=_protocols(library)), end="")
        return 0
    settings = read_words(arguments.words, library)
    result, path = evaluate(settings, library, quiet)
    if arguments.json:
        print(json.dumps(result, indent=1))
        return 0
    from medbench.report.text import values_table

    print(values_table(result))
    print(f"\npage:   {path.with_name('report.html')}\nresult: {path}")
    board = f"python -m medbench.leaderboard protocol={result['protocol']}"
    if result["recorded"]:
        print(f"recorded as {result['row']}: {board}")
    else:
        print("record=NAME would put it on the leaderboard")
    return 0


def _protocols(library: Library) -> str:
    """Names with the first sentence that each file says of itself; those without weights first."""
    names, ready = library.names("protocols"), _ready(library)
    width = max(map(len, names), default=0)
    lines = ["protocols that need no released weights:", *_described(ready, width, library)]
    lines += [
        "",
        "protocols of published tables, and others; scale=tiny needs no released weights:",
    ]
    return "\n".join([*lines, *_described([n for n in names if n not in ready], width, library)])


def _ready(library: Library) -> list[str]:
    """Protocols that work offline on the first try: they name nothing to use in their stead."""
    contents = {name: library.read("protocols", name) for name in library.names("protocols")}
    return [name for name, content in contents.items() if not content.get("instead")]


def _described(names: Sequence[str], width: int, library: Library) -> list[str]:
    lines = []
    for name in names:
        said = library.describe("protocols", name).split(". ")[0].rstrip(".")
        lines += wrap(
            said, 98, initial_indent=f"  {name:<{width}}  ", subsequent_indent=" " * (width + 4)
        )
    return lines


def read_words(words: Sequence[str], library: Library) -> dict[str, str]:
    """key=value words, all mistakes together."""
    found: dict[str, str] = {}
    mistakes = []
    for word in words:
        key, sign, value = word.partition("=")
        below = key.split(".")[0] in BELOW and "." in key
        if not sign or not value:
            mistakes.append(f"{word} is not of the form key=value, such as protocol=gi_quick.")
        elif key not in KEYS and not below:
            mistakes.append(f"{key} is not known{nearest(key, KEYS) or '.'}")
        found[key] = value
    meant = {*found, *(near for key in found for near in get_close_matches(key, KEYS, 1, 0.5))}
    if "fake" not in meant:
        mistakes.append("fake= is missing: a folder of generated images.")
    if not {"real", "data"} & meant:
        mistakes.append("real= is missing: a folder of real images, or data=NAME.")
    if "protocol" not in meant:
        mistakes.append(
            f"protocol= is missing: how to measure. {', '.join(_ready(library))} need no released "
            "weights; --help lists all."
        )
    mistakes += [line for key in PLACES if key in found for line in _absent(key, found[key])]
    if "real" in found and "data" in found:
        mistakes.append("real= and data= are both given; name one of them.")
    if not found.get("seed", "0").isdigit():
        mistakes.append(f"seed={found['seed']} is not a whole number.")
    if found.get("scale", "paper") not in ("tiny", "paper"):
        mistakes.append(f"scale={found['scale']} is not known; it is tiny or paper.")
    if mistakes:
        raise UserError(*mistakes)
    return found


def _absent(key: str, value: str) -> list[str]:
    """A sentence when a folder or a file that was named is not there."""
    path = Path(value).expanduser()
    is_folder = key in ("fake", "real")
    if path.is_dir() if is_folder else path.is_file():
        return []
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    names = [p.name for p in beside if p.is_dir() == is_folder]
    close = nearest(path.name, names) or "."
    return [f"{key}={value} is not a {'folder' if is_folder else 'file'}{close}"]


def evaluate(
    settings: dict[str, str], library: Library, quiet: bool = False
) -> tuple[dict[str, Any], Path]:
    """Measure `fake` against `real` or `data`; the result and where it was written."""
    began = time.monotonic()
    from medbench.core.files import check_writable, write_json
    from medbench.folders import Sets
    from medbench.measurement import compose_measurement, device, fit_extractors, provenance
    from medbench.measuring import instead

    out = Path(settings.get("out", "outputs")).expanduser()
    config = compose_measurement(_words(settings, out), library, settings.get("scale", "paper"))
    sets = Sets(settings, config)  # opened before anything is fitted: mistakes come at once
    protocol = sets.possible()
    check_writable(out / "evaluations")
    from benchmarks.extractors import open_extractors
    from benchmarks.harness import measure
    from medbench.plan import swap
    from medbench.report.evaluation import build_page

    own = _of_networks(protocol)  # before anything is fitted: absent weights are said at once
    released = open_extractors(own, device(), instead(protocol))
    plan = fit_extractors(config | {"protocol": protocol}, library, quiet)
    protocol = swap(protocol, lambda ref: str(plan.stage(ref).folder))
    if "export" in settings:
        from medbench.stage_files import export_stages

        export_stages(plan, Path(settings["export"]).expanduser())
    fitted = {k: v for k, v in protocol["extractors"].items() if k not in released}
    extractors = released | open_extractors(protocol | {"extractors": fitted}, device())
    seed = int(settings.get("seed", protocol.get("seed", 0)))
    fakes, reals = sets.fakes, sets.reals
    values = measure(protocol, fakes, reals, extractors, out / "features", seed, quiet, sets.warn)
    about = provenance(time.monotonic() - began) | sets.about()
    result = sets.result(values, about, seed)
    path = out / "evaluations" / result["run"] / "result.json"
    write_json(path, result)
    build_page(result, sets, path.with_name("report.html"))
    if result["recorded"] and "tracking.uri" in settings:
        from medbench.recording import track

        track(result, path.parent, settings["tracking.uri"], out)
    return result, path


def _of_networks(protocol: dict[str, Any]) -> dict[str, Any]:
    """The protocol with those extractors alone that are networks of their own, not stages."""
    blocks = protocol.get("extractors") or {}
    return protocol | {"extractors": {k: v for k, v in blocks.items() if v and v.get("network")}}


def _words(settings: dict[str, str], out: Path) -> list[str]:
    """The words that compose the protocol and the dataset."""
    from medbench.stage_files import import_stage

    words = [f"protocol={settings['protocol']}", f"out={out}"]
    words += [f"data={settings['data']}"] if "data" in settings else []
    for key, value in settings.items():
        if "." not in key or key == "tracking.uri" or key.startswith("reals."):
            continue
        if key.startswith("extractors."):
            key = f"protocol.{key}"
        if key.endswith(".stage"):
            name = key.split(".")[2]
            value = str(import_stage(Path(value).expanduser(), out, name))
            words.append(f"{key.removesuffix('stage')}network=null")
        words.append(f"{key}={value}")
    return words


if __name__ == "__main__":
    launch(main)
