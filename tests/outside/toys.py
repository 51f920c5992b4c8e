"""Methods that are nobody's: they show what the base holds without a special case."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lit_models.stage import Pipeline, Player, Stage, open_stage
from medbench.core.batch import Batch
from medbench.core.seeds import Draws

SIDE = 8


class Adversary(Stage):
    """Two players with rates and frequencies of their own."""

    version = 1
    needs = ("image",)
    makes = ("image",)
    may_take = ("text",)

    def __init__(self, width: int = 16, lr_critic: float = 2e-3, every: int = 2) -> None:
        super().__init__()
        self.lr_critic, self.every = lr_critic, every
        self.generator = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, SIDE**2))
        self.critic = nn.Sequential(nn.Linear(SIDE**2, width), nn.ReLU(), nn.Linear(width, 1))

    def players(self) -> list[Player]:
        critic, generator = self.critic.parameters(), self.generator.parameters()
        return [
            Player("critic", list(critic), self.critic_loss, lr=self.lr_critic, betas=(0.5, 0.9)),
            Player("generator", list(generator), self.generator_loss, every=self.every),
        ]

    def critic_loss(self, batch: Batch) -> dict[str, Tensor]:
        fake = self.generator(self.draws.normal(4)).detach()
        margin = self.critic(fake).mean() - self.critic(batch["image"].flatten(1)).mean()
        return {"loss": margin}

    def generator_loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": -self.critic(self.generator(self.draws.normal(4))).mean()}

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return self.critic_loss(batch)

    def generate(self, batch: Batch, seeds: Sequence[int], *, scale: float = 1.0) -> Batch:
        noise = Draws(seeds, str(self.device)).normal(4) * scale
        return {"image": self.generator(noise).tanh().view(-1, 1, SIDE, SIDE)}


class Base(Stage):
    """A mean image with noise; other stages start from it."""

    version = 1
    needs = ("image",)
    may_take = ("text",)

    def __init__(self, spread: float = 0.1, dropout: float = 0.1) -> None:
        super().__init__()
        self.spread = spread
        self.mean = nn.Parameter(torch.zeros(1, SIDE, SIDE))
        self.drop = nn.Dropout(dropout)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        noise = self.draws.normal(1, SIDE, SIDE) * self.spread
        return {"loss": (self.drop(self.mean) + noise - batch["image"]).square().mean()}

    def generate(self, batch: Batch, seeds: Sequence[int], *, scale: float = 1.0) -> Batch:
        noise = Draws(seeds, str(self.device)).normal(1, SIDE, SIDE)
        return {"image": (self.mean + scale * self.spread * noise).clamp(-1, 1)}


class Policy(Stage):
    """Rollouts from a frozen stage, scored by brightness; one step is a rollout and its updates."""

    version = 1
    needs = ("image",)
    makes = ("image",)
    may_take = ("text",)

    def __init__(self, anchor: str, updates: int = 3) -> None:
        super().__init__()
        self.anchor_folder, self.updates = anchor, updates
        self.shift = nn.Parameter(torch.zeros(1, SIDE, SIDE))

    def load_parts(self) -> None:
        self.keep_frozen("anchor", open_stage(self.anchor_folder))

    def optimise(self, batch: Batch, step: int) -> dict[str, Tensor]:
        self.reseed(self.seeds, "rollout", step)
        with torch.no_grad():
            start = self.anchor.generate({}, self.seeds)["image"]
            action = self.shift + 0.1 * self.draws.normal(1, SIDE, SIDE)
            reward = (start + action).mean((1, 2, 3))
            advantage = reward - reward.mean()
        (player,) = self.team
        for _ in range(self.updates):
            distance = (action - self.shift).square().mean((1, 2, 3))
            loss = (advantage * distance).mean()
            self.manual_backward(loss)
            self.update(player)
        return {"loss": loss.detach(), "reward": reward.mean()}

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {}

    def generate(self, batch: Batch, seeds: Sequence[int], *, scale: float = 1.0) -> Batch:
        return {
            "image": (self.anchor.generate({}, seeds)["image"] + scale * self.shift).clamp(-1, 1)
        }


class Refiner(Stage):
    """Adds a trained residual to what the stage before it draws."""

    version = 1
    needs = ("image",)
    may_take = ("text",)

    def __init__(self, before: str) -> None:
        super().__init__()
        self.before_folder = before
        self.residual = nn.Parameter(torch.zeros(1, SIDE, SIDE))

    def load_parts(self) -> None:
        self.keep_frozen("before", open_stage(self.before_folder))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        start = self.before.generate({}, [0] * len(batch["image"]))["image"]
        return {"loss": (start + self.residual - batch["image"]).abs().mean()}

    def generate(self, batch: Batch, seeds: Sequence[int], *, scale: float = 1.0) -> Batch:
        start = self.before.generate({}, seeds, scale=scale)["image"]
        return {"image": (start + self.residual).clamp(-1, 1)}


class Mean(Pipeline):
    """Draws from two stages and has no weights."""

    version = 1
    may_take = ("text",)

    def __init__(self, first: str, second: str) -> None:
        super().__init__()
        self.folders = (first, second)

    def load_parts(self) -> None:
        self.first, self.second = (open_stage(folder) for folder in self.folders)

    def generate(self, batch: Batch, seeds: Sequence[int], *, share: float = 0.5) -> Batch:
        first = self.first.generate({}, seeds)["image"]
        second = self.second.generate({}, seeds)["image"]
        return {"image": share * first + (1 - share) * second}
