"""`python -m medbench.doctor`: what this machine has, and what is missing for which method."""

import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from medbench.blocks import REFERENCE, Config, signature
from medbench.checks import check
from medbench.cli import launch, parse, table
from medbench.config import compose
from medbench.core.classes import load_class
from medbench.core.errors import UserError
from medbench.core.files import check_writable, is_complete
from medbench.datasets import LEVELS, compose_data, look_at, open_data
from medbench.datasets import show as show_look
from medbench.library import ROOT, Library
from medbench.settings import SCALES, RunSettings, TrainerSettings, defaults
from medbench.words import read_words

PACKAGES = ("torch", "lightning", "numpy", "scipy", "omegaconf", "safetensors", "pillow", "mlflow")
OPTIONAL = ("diffusers", "transformers", "peft", "monai", "optuna")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
WEIGHT_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
KEYS = ("method", "data", "out", "scale", "level")
LEAST_FREE_GIB = 2.0
USAGE = """\
usage: python -m medbench.doctor [method=NAME] [data=NAME data.root=DIR] [out=DIR] [options]
       python -m medbench.doctor data=NAME data.root=DIR [level=full]

Says which Python, packages and device there are, which weights and data are found, and what is
missing for which method. With method=NAME only that method's needs.

With data=NAME alone the dataset's files are looked at: level=fast (tables, listing, both ends of
each file) or level=full (every file is decoded, by several processes; a second call goes on where
the first one stopped). Options: --json, --config-dir DIR."""


def main(argv: list[str]) -> int:
    """0 when something can be run here, 1 when not, 2 after a mistake in the words."""
    arguments = parse(argv)
    if arguments.help:
        print(USAGE)
        return 0
    library = Library(arguments.config_dirs)
    asked = understand(arguments.words, library)
    if "data" in asked and "method" not in asked:
        return look(asked, library, arguments.json)
    report = examine(asked, library)
    print(json.dumps(report, indent=1) if arguments.json else "\n".join(show(report)))
    return 0 if report["works"] else 1


def understand(words: list[str], library: Library) -> Config:
    """The doctor's few words, all mistakes together."""
    asked, mistakes = read_words(words, KEYS, "doctor")
    data = asked.get("data", {}).get("name")
    if "method" in asked and not library.has("methods", asked["method"]):
        mistakes.append(library.unknown("methods", asked["method"]))
    if data is not None and not library.has("data", data):
        mistakes.append(library.unknown("data", data))
    if "data" in asked and data is None:
        mistakes.append("data.root=DIR needs the dataset's name too: data=NAME.")
    level = asked.get("level", LEVELS[0])
    if level not in LEVELS or ("level" in asked and "data" not in asked):
        mistakes.append(f"level={level}: level=fast or level=full goes with data=NAME.")
    if mistakes:
        raise UserError(*mistakes)
    return asked


def look(asked: Config, library: Library, as_json: bool) -> int:
    """Say what is wrong with one dataset; 0 when nothing is."""
    block = compose_data(asked["data"], asked.get("scale", SCALES[0]), library)
    module = open_data(block)
    out = Path(asked.get("out") or defaults(RunSettings)["out"]).expanduser().resolve()
    module.work = out / "inspections"
    found = look_at(block, module, asked.get("level", LEVELS[0]))
    print(json.dumps(found, indent=1) if as_json else "\n".join(show_look(found, block)))
    return 1 if found["missing"] else 0


def examine(asked: Config, library: Library) -> dict[str, Any]:
    """Everything that is found, as plain values."""
    out = Path(asked.get("out") or defaults(RunSettings)["out"]).expanduser()
    report: dict[str, Any] = {
        "python": {"version": platform.python_version(), "at": sys.executable},
        "packages": list(_packages()),
        "machine": _machine(),
        "out": _folder(out),
        "data": [_dataset(name, asked, library) for name in library.names("data")],
    }
    names = [asked["method"]] if "method" in asked else library.names("methods")
    scales = [asked["scale"]] if "scale" in asked else SCALES
    report["methods"] = [_method(n, s, asked, out, library) for n in names for s in scales]
    sound = report["machine"]["usable"] and report["out"]["usable"]
    sound = sound and not any(p["needed"] and not p["version"] for p in report["packages"])
    ready = [m for m in report["methods"] if not m["missing"]]
    report["works"] = [f"method={m['method']} scale={m['scale']}" for m in ready] if sound else []
    return report


def _packages() -> Iterator[dict[str, Any]]:
    """Installed versions beside those that the tests pass with."""
    tested = dict(_constraints())
    for name in (*PACKAGES, *OPTIONAL):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = None
        needed = name in PACKAGES
        yield {"name": name, "version": version, "tested": tested.get(name), "needed": needed}


def _constraints() -> Iterator[tuple[str, str]]:
    path = ROOT / "constraints.txt"
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        name, sign, version = line.partition("==")
        if sign and not line.startswith("#"):
            yield name.strip().lower(), version.split(";")[0].strip()


def _machine() -> dict[str, Any]:
    """The device that trainer=auto comes to."""
    try:
        import torch

        from medbench.machine import choose_machine

        machine = choose_machine(TrainerSettings())
        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    except (ImportError, OSError, UserError) as error:  # a broken install is what we are asked for
        return {"usable": False, "problem": f"torch cannot be used: {error}"}
    return {
        "usable": True,
        "device": machine.device,
        "gpus": gpus,
        "cuda": torch.version.cuda,
        "precision": machine.precision,
        "threads": machine.threads,
        "workers": machine.workers,
        "cores": len(os.sched_getaffinity(0)),
    }


def _folder(out: Path) -> dict[str, Any]:
    """Whether results can be written, and what is there."""
    there = out
    while not there.exists():
        there = there.parent if there != there.parent else Path.cwd()
    free = shutil.disk_usage(there).free / 2**30
    problem = None
    try:
        if out.exists():
            check_writable(out)
        elif not there.is_dir() or not os.access(there, os.W_OK):
            problem = f"{out} cannot be made; choose a folder of yours with out=DIR."
    except UserError as error:
        problem = str(error)
    if problem is None and free < LEAST_FREE_GIB:
        problem = f"{free:.1f} GiB are free under {there}; a run wants {LEAST_FREE_GIB:.0f} GiB."
    stages = [p.name for p in sorted((out / "stages").glob("*")) if is_complete(p)]
    return {
        "folder": str(out),
        "free_gib": round(free, 1),
        "stages": stages,
        "usable": problem is None,
        "problem": problem,
    }


def _dataset(name: str, asked: Config, library: Library) -> dict[str, Any]:
    """Whether a dataset can be used, and what to give it."""
    words = asked.get("data", {})
    given = {k: v for k, v in words.items() if k != "name"} if words.get("name") == name else {}
    block = {k: v for k, v in library.read("data", name).items() if k != "scales"} | given
    source = signature(block.get("class"))
    found: dict[str, Any] = {"name": name, "phantom": False, "restricted": False}
    if source is None:
        return found | {"missing": [f"its class {block.get('class')} is not found"]}
    found |= {key: bool(source.attributes.get(key)) for key in ("phantom", "restricted")}
    settings = {k: v for k, v in block.items() if k != "class"}
    blank = [n for n, p in source.parameters.items() if p.required and settings.get(n) is None]
    if blank:
        words_needed = " ".join(f"data.{key}=DIR" for key in blank)
        return found | {"missing": [f"give data={name} {words_needed}"]}
    try:
        return found | {"missing": load_class(block["class"])(**settings).check()}
    except UserError as error:
        return found | {"missing": list(error.mistakes)}
    except TypeError as error:
        return found | {"missing": [f"its settings do not fit: {error}"]}


def _method(name: str, scale: str, asked: Config, out: Path, library: Library) -> dict[str, Any]:
    """What a method at one scale has, would fit, and lacks."""
    words = [f"method={name}", f"scale={scale}"]
    if asked.get("data"):
        words += [f"data={asked['data']['name']}"]
        words += [f"data.{k}={v}" for k, v in asked["data"].items() if k != "name"]
    found: dict[str, Any] = {"method": name, "scale": scale, "found": [], "fits": []}
    try:
        config = compose(words, library)
    except UserError as error:
        return found | {"missing": list(error.mistakes)}
    missing = check(config, library)
    if asked.get("data"):
        missing += _dataset(config["data"]["name"], asked, library)["missing"]
    for group in ("stages", "backbones", "others"):
        for part, block in config[group].items():
            label = f"{name}.{part}" if group == "stages" else part
            finished = sorted(out.glob(f"stages/{label}-*/complete"))
            found["found" if finished else "fits"].append(label)
            for key, value in _outside_parts(block):
                place = _place(value)
                if place.exists():
                    found["found"].append(f"{value} ({place})")
                else:
                    missing.append(
                        f"{group}.{part}.{key}={value} is not there: put it at {place}, or name "
                        f"another place with {group}.{part}.{key}=PATH."
                    )
    return found | {"missing": missing}


def _outside_parts(block: Config) -> Iterator[tuple[str, str]]:
    """Arguments that name files of weights, folders, or a hub's ORGANISATION/NAME."""
    for key, value in block.items():
        if not isinstance(value, str) or key == "class" or value.startswith(REFERENCE):
            continue
        if HUB_NAME.fullmatch(value) or Path(value).suffix in WEIGHT_FILES:
            yield key, value


def _place(value: str) -> Path:
    """Where a part is, or where it would be looked for."""
    here = Path(value).expanduser()
    if here.exists() or here.suffix in WEIGHT_FILES:
        return here
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
    return cache / f"models--{value.replace('/', '--')}"


# for people ----------------------------------------------------------------------
def show(report: dict[str, Any]) -> list[str]:
    """The report as lines; the last says what works."""
    machine, out = report["machine"], report["out"]
    lines = [f"Python {report['python']['version']} at {report['python']['at']}", "", "packages:"]
    lines += table((p["name"], _package_note(p)) for p in report["packages"])
    if machine["usable"]:
        gpus = ", ".join(machine["gpus"]) or "none that torch sees"
        lines += [
            "",
            f"device {machine['device']}, precision {machine['precision']}, "
            f"{machine['threads']} of {machine['cores']} cores as threads; GPUs: {gpus}",
        ]
    else:
        lines += ["", machine["problem"]]
    stages = f"{len(out['stages'])} finished stages" if out["stages"] else "no finished stage yet"
    lines += [f"out={out['folder']}: {out['free_gib']} GiB free, {stages}"]
    lines += [out["problem"]] if out["problem"] else []
    lines += ["", "data:", *table((d["name"], _data_note(d)) for d in report["data"])]
    lines += ["", "methods:"]
    for method in report["methods"]:
        lines += [f"  {method['method']} at {method['scale']}: {_method_note(method)}"]
        lines += [f"    {sentence}" for sentence in method["missing"]]
    return [*lines, "", _conclusion(report)]


def _package_note(package: dict[str, Any]) -> str:
    version, tested = package["version"], package["tested"]
    if not version:
        return "missing" if package["needed"] else "not installed (some methods need it)"
    return version if tested in (None, version) else f"{version} (tested with {tested})"


def _data_note(data: dict[str, Any]) -> str:
    kind = "generated here" if data["phantom"] else "found"
    text = "; ".join(data["missing"]) if data["missing"] else kind
    return f"{text} (access needs an agreement)" if data["restricted"] else text


def _method_note(method: dict[str, Any]) -> str:
    if method["missing"]:
        return "not yet:"
    parts = [f"found {', '.join(method['found'])}"] if method["found"] else []
    parts += [f"would fit {', '.join(method['fits'])}"] if method["fits"] else []
    return f"ready; {'; '.join(parts) or 'nothing to fit'}"


def _conclusion(report: dict[str, Any]) -> str:
    works = report["works"]
    if works:
        return f"Works here: python -m medbench.run {'; or '.join(works)}"
    if not report["machine"]["usable"] or not report["out"]["usable"]:
        return "Nothing can be run until the problem above is mended."
    return "No method can be run yet; what each lacks stands above."


if __name__ == "__main__":
    launch(main)
