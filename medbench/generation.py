"""The arms of a protocol -> a sample set. A sample depends on (seed, noise name, index) alone."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.requests import select
from lit_models.stage import build_drawing, open_stage
from medbench import processes
from medbench.core.batch import Batch, collate, missing_keys, to_device
from medbench.core.errors import UserError
from medbench.core.files import is_complete
from medbench.core.progress import Progress
from medbench.core.sample_set import SampleSetWriter
from medbench.core.seeds import mix
from medbench.machine import Machine
from medbench.plan import Plan, swap

SHOWN = 24  # real frames kept beside the generated ones, for people to look at


def open_pipeline(plan: Plan, device: str) -> Any:
    """What draws: the method's last stage, or a class over several finished stages."""
    if isinstance(plan.pipeline, str):
        return open_stage(plan.stage(plan.pipeline).folder, device)
    block = dict(plan.pipeline)
    dotted = block.pop("class")
    arguments = swap(block, lambda ref: str(plan.stage(ref).folder))
    drawing = build_drawing({"class": dotted, "arguments": arguments})
    drawing.load_parts()
    return drawing.requires_grad_(False).eval().to(device)


def generate(plan: Plan, machine: Machine, folder: Path, provenance: dict[str, Any]) -> float:
    """Write what is missing of the sample set; returns the seconds it took."""
    began = time.monotonic()
    if is_complete(folder):
        return 0.0
    torch.set_num_threads(machine.threads)
    drawing = open_pipeline(plan, machine.device)
    bits = plan.data(None).module.bits
    writer = SampleSetWriter(folder, provenance, bits, part=machine.rank)
    arms = {
        name: _Arm(name, arm, plan, drawing)
        for name, arm in plan.config["protocol"]["arms"].items()
    }
    for arm in arms.values():
        _draw_arm(arm, drawing, writer, machine, plan.config["generation"]["batch_size"])
    processes.wait()
    if machine.is_first:
        for arm in arms.values():
            arm.keep_real(folder.parent / "real")
        writer.finish({name: len(arm) for name, arm in arms.items()})
    processes.wait()
    return time.monotonic() - began


class _Arm:
    """Requests of one arm, with the settings and the noise that its samples are drawn with."""

    def __init__(self, name: str, arm: dict[str, Any], plan: Plan, drawing: Any) -> None:
        self.name, self.keys = name, tuple(arm["keys"])
        self._check(plan, drawing)
        requests = arm["requests"]
        self.data = plan.data(arm.get("data"))
        self.split = self.data.split(requests["split"])
        self.rows = select(self.split, requests)
        self.settings = plan.config["sampling"] | arm.get("sampling", {})
        self.makes = tuple(arm.get("makes", ()))
        self.noise, self.seed = arm.get("noise") or name, plan.config["seed"]

    def _check(self, plan: Plan, drawing: Any) -> None:
        missing = missing_keys(drawing.takes, self.keys)
        unknown = missing_keys(self.keys, drawing.takes + drawing.may_take)
        if missing or unknown:
            raise UserError(
                f"Arm {self.name} gives {', '.join(self.keys)}; {plan.config['method']} takes "
                f"{', '.join(drawing.takes)} and may take "
                f"{', '.join(drawing.may_take) or 'nothing'}."
            )

    def __len__(self) -> int:
        return len(self.rows)

    def seed_of(self, index: int) -> int:
        return mix(self.seed, self.noise, index)

    def request(self, index: int) -> Batch:
        sample = self.split[self.rows[index]]
        return {key: sample[key] for key in self.keys}

    def record(self, index: int) -> dict[str, Any]:
        sample = self.split[self.rows[index]]
        asked = {key: _plain(sample[key]) for key in self.keys if key != "image"}
        meta = {k: v for k, v in sample.get("meta", {}).items() if not k.startswith("truth.")}
        return {
            "sample_id": sample["sample_id"],
            "subject_id": sample["subject_id"],
            "seed": self.seed_of(index),
            "request": asked | {"meta": meta},
        }

    def keep_real(self, folder: Path) -> None:
        """The real images of the first requests, to be shown beside the drawn ones."""
        from medbench.core.sample_set import write_image

        for index in range(min(SHOWN, len(self))):
            sample = self.split[self.rows[index]]
            if "image" in sample:
                write_image(folder / self.name / f"{index:06d}.png", sample["image"], 8)


def _plain(value: Any) -> Any:
    """A request's value as JSON; arrays stay out of manifests."""
    if isinstance(value, np.ndarray):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _draw_arm(
    arm: _Arm, drawing: Any, writer: SampleSetWriter, machine: Machine, size: int
) -> None:
    """Batches start at multiples of their size, so that a continued set has the same files."""
    done = writer.done(arm.name)
    starts = range(0, len(arm), size)
    label = f"generate {arm.name}"
    with Progress(label, len(arm), len(done), "image", quiet=not machine.is_first) as progress:
        for start in starts[machine.rank :: machine.world]:
            indices = list(range(start, min(start + size, len(arm))))
            wanted = [index for index in indices if index not in done]
            if not wanted:
                continue
            images = _draw(arm, drawing, indices, machine.device)
            for index in wanted:
                writer.write(arm.name, index, images[index - start], arm.record(index))
            progress.update(len(wanted) * machine.world)


def _draw(arm: _Arm, drawing: Any, indices: list[int], device: str) -> np.ndarray:
    batch = to_device(collate([arm.request(index) for index in indices]), device)
    with torch.inference_mode():
        made = drawing.generate(batch, [arm.seed_of(i) for i in indices], **arm.settings)
    images = made["image"].float().cpu().numpy()
    if not np.isfinite(images).all():
        bad = [i for i, image in zip(indices, images, strict=True) if not np.isfinite(image).all()]
        raise UserError(
            f"Arm {arm.name}: the generated images {bad[:8]} hold NaN or infinite values, so "
            "nothing is measured. The stage's training probably diverged; see its curves."
        )
    return images
