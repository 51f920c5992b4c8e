"""The base of everything that is fitted, and of everything that draws.

It holds what is the same for every method and easy to get wrong: the players' updates, averaged
weights, one random stream a sample, frozen parts, and what a finished stage leaves on disk."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import lightning as L
import numpy as np
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor, nn

from lit_models.tensors import check_names, read_tensors
from medbench.core.batch import Batch, Sample
from medbench.core.classes import load_class
from medbench.core.errors import UserError
from medbench.core.files import atomic_path, is_complete, write_text
from medbench.core.seeds import Draws, mix
from medbench.core.settings import FitSettings

WEIGHTS, CONFIG, EXTRA = "weights.safetensors", "config.yaml", "extra"
BESIDE = "folder:"  # an argument that names a stage by its folder beside this one


class Dataset(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Sample: ...


class View:
    """What a method does to samples before its network sees them, with a random stream for each."""

    def __init__(
        self, dataset: Dataset, transform: Callable[[Sample, np.random.Generator], Sample]
    ) -> None:
        self.dataset, self.transform = dataset, transform

    def __len__(self) -> int:
        return len(self.dataset)

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        return self.transform(self.dataset[index], rng)


@dataclass
class Player:
    """A part of a stage with a loss of its own. `None` takes the stage's fit setting."""

    name: str
    parameters: list[nn.Parameter]
    loss: Callable[[Batch], dict[str, Tensor]]
    every: int = 1  # steps from one update to the next
    lr: float | None = None
    betas: tuple[float, float] | None = None
    optimizer: str | None = None
    weight_decay: float | None = None


class Ema(nn.Module):
    """Averaged copies of trainable parameters, as buffers under the parameters' own names."""

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float) -> None:
        super().__init__()
        self.decay = decay
        for name, parameter in parameters.items():
            self.register_buffer(name.replace(".", "/"), parameter.detach().clone())

    def values(self) -> dict[str, Tensor]:
        return {name.replace("/", "."): value for name, value in self.named_buffers()}

    @torch.no_grad()
    def update(self, parameters: dict[str, nn.Parameter], step: int) -> None:
        """Early steps average over few predecessors: decay is at most (1 + step) / (10 + step)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        averages = list(self.buffers())  # in the order of the parameters they were made from
        torch._foreach_lerp_(averages, [p.detach() for p in parameters.values()], weight)


class Drawing:
    """What a pipeline owes: the keys that it takes and makes, and `generate`.

    A class that draws from several finished stages and has no weights of its own derives from this
    and from nn.Module; its constructor takes their folders as `str`."""

    takes: ClassVar[tuple[str, ...]] = ()
    may_take: ClassVar[tuple[str, ...]] = ()
    makes: ClassVar[tuple[str, ...]] = ("image",)

    def load_parts(self) -> None:
        """Open the folders that the constructor's arguments name, frozen."""

    def generate(self, batch: Batch, seeds: Sequence[int]) -> Batch:
        """The keys made for the keys given; settings are keyword-only arguments of the class."""
        raise TypeError(f"{type(self).__name__} does not draw: it has no generate()")


class Pipeline(Drawing, nn.Module):
    """Draws from finished stages without weights of its own."""

    version: ClassVar[int] = 1


class Stage(Drawing, L.LightningModule):
    """A network that is fitted once and leaves one directory."""

    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    blocks: ClassVar[tuple[type[nn.Module], ...]] = ()  # units of checkpointing and of sharding

    fitted_steps: Tensor  # a buffer, so that a checkpoint holds it
    draws: Draws  # the streams of the samples in the batch at hand; loss() takes its noise there

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.strict_loading = False  # frozen parts are not in a checkpoint; we check the rest
        self.frozen: set[str] = set()
        self.register_buffer("fitted_steps", torch.zeros((), dtype=torch.int64))
        self.ema: Ema | None = None
        self.accumulate = 1
        self.values: dict[str, Tensor] = {}
        self.gathered: dict[str, Tensor] = {}  # whole tensors, where a fit held shards

    # what a method writes ---------------------------------------------------
    def initialise(self) -> None:
        """Copy in the weights that the stage starts from (`init_*` arguments); before step 0."""

    def view(self, dataset: Dataset) -> Any:
        """The dataset as the network sees it."""
        return View(dataset, self.transform)

    def transform(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """One sample as the network sees it; all randomness comes from `rng`."""
        return sample

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """{"loss": ..., parts worth a curve}; noise comes from self.draws."""
        raise TypeError(f"{type(self).__name__} has neither loss() nor players() of its own")

    def players(self) -> list[Player]:
        return [Player("main", [p for p in self.parameters() if p.requires_grad], self.loss)]

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        """Values of held-out samples, each its own curve."""
        return self.loss(batch)

    def save_extra(self, folder: Path) -> None:
        """Write whatever else the class needs to be read back (a tokenizer, a vocabulary)."""

    def load_extra(self, folder: Path) -> None:
        """Read what save_extra wrote."""

    def import_weights(self, path: Path) -> dict[str, Tensor]:
        """Released weights under this class's names; a class with another naming overrides it."""
        return read_tensors(path)

    def outside_parts(self) -> dict[str, int | None]:
        """Parameters of frozen parts that are no stages (None = unknown), for the plan."""
        return {}

    # parts -------------------------------------------------------------------
    def keep_frozen(self, name: str, module: nn.Module) -> None:
        """Hold a part in eval mode, without gradients, outside this stage's own weights."""
        setattr(self, name, module.requires_grad_(False).eval())
        self.frozen.add(name)

    def train(self, mode: bool = True) -> "Stage":
        super().train(mode)
        for name in self.frozen:
            getattr(self, name).eval()
        return self

    def is_own(self, key: str) -> bool:
        """Whether a state-dict key belongs to this stage and not to a frozen part."""
        return key.split(".", 1)[0] not in self.frozen

    def own_parameters(self) -> dict[str, nn.Parameter]:
        return {n: p for n, p in self.named_parameters() if self.is_own(n)}

    def own_state(self) -> dict[str, Tensor]:
        """The weights that a finished stage leaves: averaged ones where there are any."""
        skip = ("ema.", "fitted_steps")
        state = {
            name: value
            for name, value in (self.gathered or self.state_dict()).items()
            if self.is_own(name) and not name.startswith(skip)
        }
        return state | (self.ema.values() if self.ema else {})

    # fitting -------------------------------------------------------------------
    def prepare_fit(self, fit: FitSettings, total_steps: int, key: str, accumulate: int) -> None:
        """Called once before a fit; `key` makes this fit's random streams its own."""
        self.fit_settings, self.total_steps, self.key = fit, total_steps, key
        self.accumulate = accumulate
        self.team = self.players()
        self.averaged = {n: p for n, p in self.own_parameters().items() if p.requires_grad}
        if fit.ema:
            self.ema = Ema(self.averaged, fit.ema)

    def configure_optimizers(self) -> Any:
        return [self._optimizer(player) for player in self.team]

    def _optimizer(self, player: Player) -> torch.optim.Optimizer:
        fit = self.fit_settings
        name = player.optimizer or fit.optimizer
        common: dict[str, Any] = {
            "lr": fit.lr if player.lr is None else player.lr,
            "weight_decay": fit.weight_decay
            if player.weight_decay is None
            else player.weight_decay,
        }
        if name in ("adam", "adamw"):
            common |= {"betas": player.betas or fit.betas, "fused": True}  # a sixth of the time
        kinds = {
            "adam": torch.optim.Adam,
            "adamw": torch.optim.AdamW,
            "sgd": torch.optim.SGD,
            "rmsprop": torch.optim.RMSprop,
        }
        optimizer = kinds[name](player.parameters, **common)
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
        return optimizer

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One optimiser step of every player that is due. Randomness depends on the step alone."""
        step = int(self.fitted_steps)
        self.seeds = batch.pop("draw_seeds")
        self.values = self.optimise(batch, step)
        self.fitted_steps += 1
        if self.ema:
            self.ema.update(self.averaged, step)

    def optimise(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Every due player goes over all parts of the batch, then takes its step.

        A stage that makes its own training data overrides this; one step is then a rollout and
        its inner updates, each a call of `update`."""
        values: dict[str, Tensor] = {}
        for player in self.team:
            if step % player.every:
                continue
            with self._alone(player):
                found = self._accumulated(player, batch, step)
                self.update(player)
            prefix = "" if len(self.team) == 1 else f"{player.name}/"
            values |= {prefix + name: value for name, value in found.items()}
        return values

    def _accumulated(self, player: Player, batch: Batch, step: int) -> dict[str, Tensor]:
        """Gradients of a player's loss over the batch, in parts; the mean of what it returned."""
        sums: dict[str, Tensor] = {}
        for part in range(self.accumulate):
            piece, seeds = self._piece(batch, part)
            self.reseed(seeds, player.name, step, part)
            found = player.loss(piece)
            with self._without_sync(part < self.accumulate - 1):
                self.manual_backward(found["loss"] / self.accumulate)
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + value.detach() / self.accumulate
        return sums

    def _piece(self, batch: Batch, part: int) -> tuple[Batch, list[int]]:
        if self.accumulate == 1:
            return batch, self.seeds
        size = len(self.seeds) // self.accumulate
        rows = slice(part * size, (part + 1) * size)

        def cut(key: str, value: Any) -> Any:
            if isinstance(value, dict):
                return {name: cut(name, inner) for name, inner in value.items()}
            return value if key == "label_names" else value[rows]

        return {key: cut(key, value) for key, value in batch.items()}, self.seeds[rows]

    def reseed(self, seeds: Sequence[int], *address: int | str) -> None:
        """Streams for these samples under this address; dropout masks follow the process."""
        torch.manual_seed(mix(self.key, *address, self.global_rank))
        self.draws = Draws([mix(seed, *address[:1]) for seed in seeds], str(self.device))

    def update(self, player: Player) -> None:
        """Clip, set the rate of this step, step, forget the gradients."""
        optimizer: Any = self.optimizers()
        if isinstance(optimizer, list):
            optimizer = optimizer[[p.name for p in self.team].index(player.name)]
        if self.fit_settings.clip:
            self._clip(player)
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * self.rate(int(self.fitted_steps))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _clip(self, player: Player) -> None:
        sharded: Any = getattr(self.trainer.strategy, "model", None)
        if len(self.team) == 1 and hasattr(sharded, "clip_grad_norm_"):  # FSDP sums over shards
            sharded.clip_grad_norm_(self.fit_settings.clip)
        else:
            torch.nn.utils.clip_grad_norm_(player.parameters, self.fit_settings.clip)

    def rate(self, step: int) -> float:
        """The schedule: the share of the full learning rate at a step."""
        fit = self.fit_settings
        if step < fit.warmup:
            return (step + 1) / (fit.warmup + 1)
        done = (step - fit.warmup) / max(1, self.total_steps - fit.warmup)
        if fit.schedule == "cosine":
            return 0.5 * (1 + float(np.cos(np.pi * done)))
        return 1 - done if fit.schedule == "linear" else 1.0

    @contextlib.contextmanager
    def _alone(self, player: Player) -> Iterator[None]:
        """Other players' parameters take no gradient from this player's loss."""
        mine = {id(p) for p in player.parameters}
        others = [p for q in self.team for p in q.parameters if id(p) not in mine]
        others = [p for p in others if p.requires_grad]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    def _without_sync(self, block: bool) -> contextlib.AbstractContextManager[None]:
        """Processes exchange gradients once a step, after the last part."""
        blocker = getattr(self.trainer.strategy, "block_backward_sync", None)
        wrapped = self.trainer.world_size > 1
        return blocker() if block and blocker and wrapped else contextlib.nullcontext()

    # checkpoints -----------------------------------------------------------------
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Own weights only. The step is the whole loop state: loaders start at it."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if self.is_own(k)}
        checkpoint.pop("loops", None)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_names(set(checkpoint["state_dict"]), self._own_names(), "The checkpoint")

    def _own_names(self) -> set[str]:
        return {name for name in self.state_dict() if self.is_own(name)}


def write_stage(stage: Stage, folder: Path, config: dict[str, Any]) -> None:
    """Everything that a finished stage leaves, but for its metrics and its marker."""
    state = {name: value.detach().cpu().contiguous() for name, value in stage.own_state().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file({name: value.clone() for name, value in state.items()}, temporary)
    (folder / EXTRA).mkdir(exist_ok=True)
    stage.save_extra(folder / EXTRA)
    write_text(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(config)))


def build_drawing(config: dict[str, Any], folder: Path | None = None) -> Any:
    """An object from `class` and `arguments`; `folder:NAME` is a stage that stands beside ours."""

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: resolve(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [resolve(inner) for inner in value]
        if folder and isinstance(value, str) and value.startswith(BESIDE):
            return str(folder.parent / value.removeprefix(BESIDE))
        return value

    return load_class(config["class"])(**resolve(config["arguments"]))


def open_stage(folder: str | Path, device: str = "cpu") -> Any:
    """A finished stage from its folder, with its parts, in eval mode and without gradients."""
    folder = Path(folder)
    if not is_complete(folder):
        raise UserError(
            f"{folder} is not a finished stage: it has no marker `complete`. Run the command that "
            "fits it again, and it continues."
        )
    config: Any = OmegaConf.to_container(OmegaConf.load(folder / CONFIG))
    stage = build_drawing(config, folder)
    if stage.version != config["version"]:
        raise UserError(
            f"{folder} was fitted with version {config['version']} of {config['class']}, and "
            f"the code is at version {stage.version}. Fit it again."
        )
    stage.load_extra(folder / EXTRA)
    stage.load_parts()
    state = read_tensors(folder / WEIGHTS)
    wanted = set(stage.own_state())
    check_names(set(state), wanted, f"{folder / WEIGHTS}")
    stage.load_state_dict(state, strict=False)
    return stage.requires_grad_(False).eval().to(device)
