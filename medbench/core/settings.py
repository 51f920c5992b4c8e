"""Settings that a stage's block may hold beside its constructor's arguments."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal


def where(default: Any) -> Any:
    """A setting of where and how visibly something runs: it changes no weights, no fingerprint."""
    return field(default=default, metadata={"where": True})


@dataclass(frozen=True)
class FitSettings:
    """How a stage is fitted. A player may have its own rate, betas and frequency in the class."""

    steps: int | None = None  # one of steps and epochs; 0 leaves the stage untrained, and says so
    epochs: float | None = None
    batch_size: int = 64  # global: over all processes and accumulated parts
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adamw"
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup: int = 0  # steps of linear warm-up before the schedule
    clip: float = 0.0  # largest gradient norm of a player; 0 = no clipping
    ema: float = 0.0  # decay of the averaged weights that are generated from; 0 = none
    val_every: int = where(0)  # steps between validation losses; 0 = a tenth of the budget
    val_samples: int = where(128)

    def weight_settings(self) -> dict[str, Any]:
        """What can change the weights, as plain values, for the fingerprint."""
        kept = [f.name for f in fields(self) if not f.metadata.get("where")]
        values = {name: getattr(self, name) for name in kept}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
