"""PyTorch's side: the training step of a tutorial, written as a careful user of PyTorch would write it.

Pictures stay on the device as bytes, nothing is read back during a turn, losses take logits, and the discriminator's
step does not go back into the generator. What is left is the tutorial's own: its losses, steps, optimisers and numbers.
"""

import dataclasses
import importlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks import torch_networks, torch_steps
from benchmarks.torch_steps.base import TimedStep, cross_entropy
from experiments.run.recipes import Recipe, resolve
from jaxgan import models
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError

CONDITION_DIMS = {"cgan_anime": 23, "cgan_mnist": 10}
REUSES_FAKES = ("mlp_a", "dcgan_mnist_a", "cgan_mnist")  # their source keeps the pictures of D's step for G's step
OF_JAXGAN_ALONE = (
    "average_decay",
    "clip_normalization",
    "critic_warmup",
    "decay_every",
    "flip",
    "label_smoothing",
    "wrong_in_one",
)
SIZES = ("image_size", "latent_dim", "generator_width", "discriminator_width", "dropout_rate")


def build(description: dict[str, Any]) -> TimedStep:
    """Builds the side that a worker's description asks for: "flags" of a recipe, and how it is run."""
    torch.backends.cudnn.benchmark = True
    recipe = resolve(description["flags"], (description["flags"]["model"],))
    if torch_steps.has(recipe):
        step = importlib.import_module(f"benchmarks.torch_steps.{torch_steps.STEPS[recipe.family.command]}").Step
        return step(recipe, channels_last=description["channels_last"], form=description.get("form"))
    check(recipe)
    return TorchSide(
        recipe,
        channels_last=description.get("channels_last", False),
        compiled=description.get("compiled", False),
        shares_work=description.get("shares_work", False),
    )


def check(recipe: Recipe) -> None:
    """Raises a UserError for a rule that this side does not know: the two sides would play different games."""
    if recipe.loss not in ("nonsaturating", "wasserstein"):
        raise UserError(f"--loss={recipe.loss}: PyTorch's side does not know it; give --sides=jaxgan")
    for field in dataclasses.fields(recipe):
        if field.name in OF_JAXGAN_ALONE and getattr(recipe, field.name) != field.default:
            raise UserError(f"--{field.name}: PyTorch's side does not know it; give --sides=jaxgan")


class TorchSide(TimedStep):
    """A tutorial's training.

    Args:
      recipe: what is trained; ``precision`` bfloat16 means autocast.
      channels_last: the memory format; False: contiguous, as the tutorials have it.
      compiled: whether both networks pass ``torch.compile``.
      shares_work: as jaxgan does, the generator runs once for both players where they share the noise, and `cgan_anime`
        looks at each picture once; False: as the tutorial has it.
      pictures: what it is trained on, in an order of its own each epoch; None: random ones.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        channels_last: bool,
        compiled: bool = False,
        shares_work: bool = False,
        pictures: Examples | None = None,
    ) -> None:
        super().__init__(recipe, channels_last=channels_last)
        self.batches = recipe.critic_steps if recipe.new_batch_each_critic_step else 1
        self.one_forward = shares_work or recipe.model in REUSES_FAKES
        self.looks_once = shares_work and recipe.model == "cgan_anime"
        sizes = {name: getattr(recipe, name) for name in SIZES if getattr(recipe, name) is not None}
        networks = torch_networks.build(recipe.model, **sizes)
        initialize(recipe, networks)
        self._make_data(networks, sizes)
        if pictures is not None:
            self._take_data(pictures)
        self.order = torch.randperm(self.count, device=self.device)
        self.position = 0
        networks = [self.placed(network) for network in networks]
        rates = (recipe.generator_learning_rate, recipe.discriminator_learning_rate)
        self.optimizers = [self._optimizer(network, rate) for network, rate in zip(networks, rates, strict=True)]
        self.critic_parameters = list(networks[1].parameters())
        self.generator, self.discriminator = [torch.compile(n) for n in networks] if compiled else networks

    def _make_data(self, networks: Any, sizes: dict[str, Any]) -> None:
        """Random pictures and conditions on the device, in the memory format of the networks."""
        self.latent_dim = sizes.get("latent_dim") or _default_latent_dim(self.recipe.model)
        self.condition_dim = CONDITION_DIMS.get(self.recipe.model, 0)
        self.latent_std = math.exp(-1 / math.pi) if self.recipe.model == "cgan_anime" else 1.0
        self.count = max(8 * self.recipe.batch_size, 256)
        with torch.no_grad():
            latents = [torch.zeros(2, self.latent_dim)] + [torch.zeros(2, self.condition_dim)] * bool(
                self.condition_dim
            )
            channels, height, width = networks[0](*latents).shape[1:]
        shape = (height, width, channels) if self.channels_last else (channels, height, width)
        self.pictures = torch.randint(0, 256, (self.count, *shape), dtype=torch.uint8, device=self.device)
        if self.condition_dim:
            rows = torch.randint(0, self.condition_dim, (self.count,), device=self.device)
            self.conditions = torch.eye(self.condition_dim, device=self.device)[rows]

    def _take_data(self, pictures: Examples) -> None:
        """Puts real pictures and their conditions in the place of random ones."""
        images = torch.from_numpy(np.array(pictures.images))
        self.pictures = (images if self.channels_last else images.permute(0, 3, 1, 2).contiguous()).to(self.device)
        self.count = len(images)
        if self.condition_dim:
            self.conditions = torch.from_numpy(np.array(pictures.conditions, np.float32)).to(self.device)

    def _optimizer(self, network: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
        if self.recipe.optimizer == "rmsprop":
            return torch.optim.RMSprop(network.parameters(), lr=rate, alpha=0.9, eps=1e-7)
        return torch.optim.Adam(network.parameters(), lr=rate, betas=(self.recipe.beta1, self.recipe.beta2))

    @property
    def networks(self) -> Mapping[str, torch.nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self) -> None:
        """Takes the critic's steps and the generator's step."""
        recipe = self.recipe
        real, condition = self.draw()
        noise = self.noise()
        shared = self.fake(noise, condition) if self.one_forward else None
        for index in range(recipe.critic_steps):
            if recipe.new_batch_each_critic_step and index:
                real, condition = self.draw()
                noise = self.noise()
            if shared is None:
                with torch.no_grad():
                    fake = self.fake(noise, condition)
            else:
                fake = shared.detach()
            self.discriminator_step(real, condition, fake)
        if shared is None:
            shared = self.fake(noise if recipe.reuse_noise else self.noise(), condition)
        self.generator_step(shared, condition)

    def draw(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Draws the next batch: pictures in [−1, 1], and the condition where there is one."""
        if self.position + self.recipe.batch_size > self.count:
            self.order, self.position = torch.randperm(self.count, device=self.device), 0
        numbers = self.order[self.position : self.position + self.recipe.batch_size]
        self.position += self.recipe.batch_size
        pictures = self.pictures[numbers]
        pictures = pictures.permute(0, 3, 1, 2) if self.channels_last else pictures
        pictures = (pictures.float() - 127.5) / 127.5
        if self.recipe.rotation:
            pictures = rotated(pictures, self.recipe.rotation)
        return pictures, [self.conditions[numbers]] if self.condition_dim else []

    def noise(self) -> torch.Tensor:
        """Draws new noise for a batch."""
        return self.latent_std * torch.randn(self.recipe.batch_size, self.latent_dim, device=self.device)

    def autocast(self) -> torch.autocast:
        """Computes in bfloat16 where the recipe does."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    def fake(self, noise: torch.Tensor, condition: list[torch.Tensor]) -> torch.Tensor:
        """Generates pictures."""
        with self.autocast():
            return self.generator(noise, *condition)

    def logits(self, pictures: torch.Tensor, condition: list[torch.Tensor]) -> torch.Tensor:
        """Returns the discriminator's logits, in float32."""
        with self.autocast():
            return self.discriminator(pictures, *condition).float()

    def discriminator_step(self, real: torch.Tensor, condition: list[torch.Tensor], fake: torch.Tensor) -> None:
        """Takes one step of the discriminator or critic, its bound included."""
        optimizer = self.optimizers[1]
        optimizer.zero_grad()
        self.discriminator_loss(real, condition, fake).backward()
        optimizer.step()
        if self.recipe.clip is not None:
            with torch.no_grad():
                for parameter in self.critic_parameters:
                    parameter.clamp_(-self.recipe.clip, self.recipe.clip)

    def discriminator_loss(self, real: torch.Tensor, condition: list[torch.Tensor], fake: torch.Tensor) -> torch.Tensor:
        """Computes the loss from logits, as the recipe has it."""
        if self.recipe.joint_batch:
            logits = self.logits(torch.cat([fake.float(), real]), condition).chunk(2)
            return (cross_entropy(logits[0], 0.0) + cross_entropy(logits[1], 1.0)) / 2
        if self.recipe.matching_aware:
            right, wrong, others = (torch.roll(condition[0], places, 0) for places in (0, 1, -2))
            if self.looks_once:
                judged = self.logits(real, [torch.cat([right, wrong, others])]).chunk(3)
            else:
                judged = [self.logits(real, [right]), self.logits(real, [wrong])]
                judged.append(self.logits(torch.roll(real, 2, 0), condition))
            refused = [*judged[1:], self.logits(fake, condition)]
            return cross_entropy(judged[0], 1.0) + sum(cross_entropy(logits, 0.0) for logits in refused) / 3
        if self.recipe.loss == "wasserstein":
            return self.logits(fake, condition).mean() - self.logits(real, condition).mean()
        return cross_entropy(self.logits(real, condition), 1.0) + cross_entropy(self.logits(fake, condition), 0.0)

    def generator_step(self, fake: torch.Tensor, condition: list[torch.Tensor]) -> None:
        """Takes one step of the generator."""
        optimizer = self.optimizers[0]
        optimizer.zero_grad()
        logits = self.logits(fake, condition)
        loss = -logits.mean() if self.recipe.loss == "wasserstein" else cross_entropy(logits, 1.0)
        loss.backward()
        optimizer.step()


def initialize(recipe: Recipe, networks: tuple[torch.nn.Module, torch.nn.Module]) -> None:
    """Draws the initial weights that a recipe or its system names; where neither does, PyTorch's own stay."""
    std = recipe.initial_std or getattr(models.build(recipe.model).generator, "initial_std", None)
    if std is None:
        return
    for layer in (layer for network in networks for layer in network.modules()):
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(layer.weight, 0.0, std)
        elif isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.weight, 1.0, std)


def _default_latent_dim(model: str) -> int:
    return {"mlp_b": 64, "mlp_keras": 30, "cgan_anime": 62}.get(model, 100)


def rotated(pictures: torch.Tensor, degrees: float) -> torch.Tensor:
    """Rotates each picture by its own random angle."""
    angles = torch.deg2rad((2 * torch.rand(len(pictures), device=pictures.device) - 1) * degrees)
    cos, sin, zero = torch.cos(angles), torch.sin(angles), torch.zeros_like(angles)
    turns = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = functional.affine_grid(turns, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
