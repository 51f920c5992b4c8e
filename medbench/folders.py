"""The two sides of `evaluate`: anyone's folders or a dataset, and what they allow to measure."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import labels_of, lacking
from benchmarks.jobs import Job, make_job, too_few
from benchmarks.metrics.classification import split_findings
from benchmarks.metrics.declaration import load_metric
from benchmarks.sources import Source, folder_source, paired
from datamodules.folder import Folder
from datamodules.pictures import decode, kind_of
from medbench.blocks import Config
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import fingerprint, hash_file
from medbench.measuring import real_source, whole_split
from medbench.plan import Plan

PAIRED = {"real_images", "real_scores", "controls", "real_masks", "labels"}  # or their ceiling


class Sets:
    """Generated images by arm, real ones by name, opened and looked over once."""

    def __init__(self, settings: dict[str, str], config: Config) -> None:
        self.settings, self.config = settings, config
        self.protocol: Config = _windowed(config["protocol"], settings.get("window"))
        self.warnings: list[str] = []
        self.left_out: list[str] = []
        self._plan = Plan(config | {"protocol": {}}) if "data" in settings else None
        if self._plan:
            self._plan.check_data()
        self.reals = self._reals()
        self.fakes = self._fakes()
        self._compare()

    def _reals(self) -> dict[str, Source]:
        """Every real set of the protocol: out of the dataset, or the one folder."""
        blocks = self.protocol.get("reals") or {}
        own = {
            key.removeprefix("reals."): folder_source(value, window=self._window(value))
            for key, value in self.settings.items()
            if key.startswith("reals.")
        }
        unknown = [name for name in own if name not in blocks]
        if unknown:
            raise UserError(
                f"reals.{unknown[0]}: protocol {self.protocol['name']} has the real sets "
                f"{', '.join(blocks)}."
            )
        if self._plan is not None:
            plan = self._plan
            found = {n: real_source(plan, spec) for n, spec in blocks.items() if n not in own}
        else:
            table = self.settings.get("real_captions")
            real = self.settings["real"]
            folder = folder_source(real, table=table, window=self._window(real))
            found = dict.fromkeys(blocks or {"real": {}}, folder)
        return found | own

    def _fakes(self) -> dict[str, Source]:
        """A sample set's arms; a bare folder serves every arm."""
        fake, captions = self.settings["fake"], self.settings.get("captions")
        arms = Folder(fake, captions).arms()
        missing = [arm for arm in self.protocol["arms"] if arms and arm not in arms]
        if missing:
            raise UserError(
                f"protocol={self.protocol['name']} measures the arm {missing[0]}, which {fake} "
                f"does not have; it has {', '.join(arms)}."
            )
        window = self._window(fake)
        return {
            name: self._paired(folder_source(fake, name if arms else None, captions, window), block)
            for name, block in self.protocol["arms"].items()
        }

    def _window(self, root: str) -> tuple[float, float] | None:
        """The values that become -1 and 1, of files whose type does not say: HU, floats."""
        folder = Folder(root)
        if folder.is_sample_set:
            return None
        path = folder.root / folder.rows()[0]["meta"]["file"]
        if "window" not in self.settings and kind_of(path) == "flat":
            return None
        pixels, info = decode(path)
        if "window" not in self.settings and info.top is not None:
            return None
        window = (self.protocol.get("preprocessing") or {}).get("window")
        if window is None:
            raise UserError(
                f"{path} holds values from {pixels.min():g} to {pixels.max():g}, and its type does "
                "not say which of them are black and white. Say so with window=LOW,HIGH, such as "
                "window=-1024,600 for CT."
            )
        return float(window[0]), float(window[1])

    def _paired(self, fake: Source, arm: Config) -> Source:
        """With the real samples of its requests, where every sample_id is among them."""
        if self._plan is not None:
            real = whole_split(self._plan, arm["requests"] | {"data": arm.get("data")})
        else:
            real = next(iter(self.reals.values()))
        ids = {str(real.row(i)["sample_id"]) for i in range(len(real))}
        if not all(str(fake.row(i)["sample_id"]) in ids for i in range(len(fake))):
            return fake
        both = paired(fake, real)
        odd = _contradicted(both)
        if odd is None:
            return both
        self.warnings.append(
            "Generated and real images share their names but not their labels, such as "
            f"{odd}: they are not compared in pairs."
        )
        return fake

    def warn(self, line: str) -> None:
        """A sentence on the terminal, the page and the result."""
        self.warnings.append(line)
        print(line, file=sys.stderr)

    def _compare(self) -> None:
        """Warn of generated images that are real ones."""
        if "real" not in self.settings:
            return
        fake, real = (Path(self.settings[key]).expanduser() for key in ("fake", "real"))
        reals = [hash_file(path) for path in _files(real)]
        files = list(_files(fake))
        fakes = [hash_file(path) for path in files]
        for name, hashes in (("real", reals), ("generated", fakes)):
            if len(set(hashes)) < len(hashes):
                self.warnings.append(
                    f"Only {len(set(hashes)):,} of the {len(hashes):,} {name} images differ; the "
                    "others are copies of them."
                )
        known = set(reals)
        same = [path for path, content in zip(files, fakes, strict=True) if content in known]
        if same:
            self.warnings.append(
                f"{len(same)} of {len(files)} generated images are real ones, byte for byte, such "
                f"as {same[0].name}: these values say nothing about a generator."
            )

    def possible(self) -> Config:
        """The protocol with the metrics that these images allow; a sentence for each other."""
        kept = []
        for entry in self.protocol.get("metrics") or ():
            job = self._job(entry)
            reason = lacking(job, self.fakes, self.reals)
            few = [line.removeprefix(f"{job.name}: ") for line in self._too_few(job)]
            if reason or few:
                self.left_out.append(f"{job.name} is left out: {reason or few[0]}")
            else:
                kept += self._narrowed(entry, job)
        self._tell_pairs(kept)
        for line in [*self.warnings, *self.left_out]:
            print(line, file=sys.stderr)
        if not kept:
            raise UserError(
                f"protocol={self.protocol['name']} can measure nothing of these folders.",
                *self.left_out,
            )
        used = {e for entry in kept for e in self._job(entry).extractors()}
        extractors = {k: v for k, v in (self.protocol.get("extractors") or {}).items() if k in used}
        return self.protocol | {"metrics": kept, "extractors": extractors}

    def _job(self, entry: Any) -> Job:
        return make_job(entry, self.protocol, self.fakes, self.reals)

    def _too_few(self, job: Job) -> list[str]:
        found = too_few(job, self.fakes, self.reals)
        return [line.replace(f"{job.name} ", "it ", 1) for line in found]

    def _narrowed(self, entry: Any, job: Job) -> list[Any]:
        """With those findings alone that the images have labels of; a sentence for the others."""
        if "findings" not in job.settings:
            return [entry]
        given = labels_of(job, self.fakes, self.reals)
        there, absent = split_findings(job.settings["findings"], given)
        if not absent:
            return [entry]
        unused = [name for name in given if name not in there]
        close = next(filter(None, (nearest(name, unused) for name in absent)), "")
        self.left_out.append(
            f"{job.name} is {f'of {len(there)} findings' if there else 'left out'}: the table has "
            f"no column {', '.join(absent)}{close or '.'}"
        )
        return [dict(entry) | {"settings": job.settings | {"findings": there}}] if there else []

    def _tell_pairs(self, entries: Sequence[Any]) -> None:
        """That files of two folders are taken for pairs, where that changes a value."""
        asking = [job for job in map(self._job, entries) if PAIRED & set(job.metric.needs)]
        named = [j.name for j in asking if self.fakes[j.arm].pairs is not None]
        if named and "real" in self.settings:
            self.warnings.append(
                f"{', '.join(named)}: each generated image is compared with the real one of the "
                "same name."
            )

    def about(self) -> dict[str, Any]:
        """Where the images came from, and what was not measured."""
        named = {
            key: self.settings[key] for key in ("real", "data", "fake") if key in self.settings
        }
        return named | {"left_out": self.left_out, "warnings": self.warnings}

    def result(self, values: list[dict[str, Any]], about: dict[str, Any], seed: int) -> Config:
        """The result, as a run leaves one; `run` names its folder."""
        record = self.settings.get("record")
        row = record or Path(self.settings["fake"]).resolve().name
        sides = sorted(source.fingerprint for source in self.fakes.values())
        real = sorted(source.fingerprint for source in self.reals.values())
        settings = fingerprint([sides, row])
        module = self._plan.data(None).module if self._plan else None
        return {
            "version": 1,
            "row": row,
            "method": None,
            "variant": None,
            "run": f"{self.protocol['name']}-{fingerprint([settings, real, seed])}",
            "attempt": 1,
            "settings": settings,
            "seed": None,
            "scale": None,
            "data": None,
            "protocol": self.protocol["name"],
            "phantom": bool(module and module.phantom),
            "restricted": bool(module and module.restricted and not module.phantom),
            "untrained": [],
            "recorded": record is not None,
            "stages": [],
            "samples": str(Path(self.settings["fake"]).expanduser().resolve()),
            "provenance": about,
            "values": values,
        }


def _contradicted(fake: Source) -> str | None:
    """An image that the other side of its pair labels otherwise; or None."""
    assert fake.pairs is not None
    for index in range(len(fake)):
        one, other = fake.row(index), fake.pairs.row(index)
        if "labels" not in one or "labels" not in other:
            return None
        known = dict(zip(other["label_names"], other["labels"], strict=True))
        for name, value in zip(one["label_names"], one["labels"], strict=True):
            if abs(value - known.get(name, np.nan)) > 0:  # NaN says nothing
                return str(one["sample_id"])
    return None


def _windowed(protocol: Config, typed: str | None) -> Config:
    """The protocol with the window that was typed in place of its own."""
    if typed is None:
        return protocol
    try:
        low, high = (float(part) for part in typed.strip("[]()").split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise UserError(f"window={typed} must be two numbers, the lower first, as -1024,600.")
    metrics = [
        (entry if isinstance(entry, dict) else {"metric": entry})
        | ({"window": [low, high]} if "volumes_hu" in load_metric(name_of(entry)).needs else {})
        for entry in protocol.get("metrics") or ()
    ]
    how = (protocol.get("preprocessing") or {}) | {"window": [low, high]}
    return protocol | {"preprocessing": how, "metrics": metrics}


def name_of(entry: Any) -> str:
    """The metric of an entry of a protocol."""
    return str(entry["metric"] if isinstance(entry, dict) else entry)


def _files(folder: Path) -> Any:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and kind_of(path))
