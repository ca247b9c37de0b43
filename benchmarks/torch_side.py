"""PyTorch's side: the training step of a two-player system, written as a careful user of PyTorch would write it.

Pictures stay on the device as bytes, nothing is read back during a turn, losses take logits, and the discriminator's
step does not go back into the generator. What is left is the tutorial's own: its losses, steps, optimisers and numbers.
"""

import dataclasses
import functools
import importlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks import torch_networks, torch_steps
from benchmarks.torch_steps import penalties
from benchmarks.torch_steps.base import TimedStep, cross_entropy, descend, fixed
from experiments.run.recipes import Recipe, resolve
from jaxgan import models
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.systems.adversarial_penalties import WEIGHT

CONDITION_DIMS = {"cgan_anime": 23, "cgan_mnist": 10}
REUSES_FAKES = ("mlp_a", "dcgan_mnist_a", "cgan_mnist")  # their source keeps the pictures of D's step for G's step
OF_JAXGAN_ALONE = (
    "ada",
    "attention_size",
    "auxiliary_classifier",
    "average_decay",
    "clip_normalization",
    "critic_warmup",
    "decay_every",
    "diffaugment",
    "flip",
    "instance_noise",
    "interpolate_conditions",
    "label_smoothing",
    "minibatch_std",
    "replay",
    "top_k",
    "upsampling",
    "wrong_in_one",
)
WITH_SPECTRAL_NORM = ("dcgan_anime_a", "dcgan_64")  # if asked for; others have it, or do not
LOSSES = ("nonsaturating", "wasserstein", "hinge")
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
    if recipe.loss not in LOSSES:
        raise UserError(f"--loss={recipe.loss}: PyTorch's side does not know it; give --sides=jaxgan")
    for field in dataclasses.fields(recipe):
        if field.name in OF_JAXGAN_ALONE and getattr(recipe, field.name) != field.default:
            raise UserError(f"--{field.name}: PyTorch's side does not know it; give --sides=jaxgan")
    if recipe.spectral_norm is not None and not (recipe.spectral_norm and recipe.model in WITH_SPECTRAL_NORM):
        raise UserError(f"--spectral_norm: PyTorch's {recipe.model} does not know it; give --sides=jaxgan")


class TorchSide(TimedStep):
    """The training of a tutorial, or of a two-player system of later years.

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
        self.beyond = torch_steps.beyond_the_tutorials(recipe)
        self.one_forward = shares_work or recipe.model in REUSES_FAKES or (self.beyond and recipe.reuse_noise)
        self.is_probability = recipe.loss == "nonsaturating"
        self.looks_once = shares_work and recipe.model == "cgan_anime"
        sizes = {name: getattr(recipe, name) for name in SIZES if getattr(recipe, name) is not None}
        networks = torch_networks.build(recipe.model, **sizes)
        if recipe.spectral_norm:
            networks = (networks[0], torch_networks.with_spectral_norm(networks[1]))
        initialize(recipe, networks)
        self._make_data(networks, sizes)
        if pictures is not None:
            self._take_data(pictures)
        self.order = torch.randperm(self.count, device=self.device)
        self.position = 0
        networks = [self.placed(network) for network in networks]
        # With a penalty of its own steps the discriminator takes k + 1 in k steps.
        share = recipe.penalty_every / (recipe.penalty_every + 1) if recipe.penalty_every > 1 else 1.0
        settings = ((recipe.generator_learning_rate, 1.0), (recipe.discriminator_learning_rate, share))
        self.optimizers = [self._optimizer(*each) for each in zip(networks, settings, strict=True)]
        self.updates = 0  # of the discriminator, without those on a penalty alone
        self.critic_parameters = list(networks[1].parameters())
        self.generator, self.discriminator = [torch.compile(n) for n in networks] if compiled else networks

    def _make_data(self, networks: Any, sizes: dict[str, Any]) -> None:
        """Random pictures and conditions on the device, in the memory format of the networks."""
        self.latent_dim = sizes.get("latent_dim") or models.build(self.recipe.model).latent_dim
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

    def _optimizer(self, network: torch.nn.Module, setting: tuple[float, float]) -> torch.optim.Optimizer:
        (rate, share), recipe = setting, self.recipe
        if recipe.optimizer == "rmsprop":
            return torch.optim.RMSprop(network.parameters(), lr=rate * share, alpha=0.9**share, eps=1e-7)
        betas = recipe.beta1**share, recipe.beta2**share
        return torch.optim.Adam(network.parameters(), lr=rate * share, betas=betas)

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
        recipe, optimizer = self.recipe, self.optimizers[1]
        its_turn = recipe.penalty is not None and self.updates % recipe.penalty_every == 0
        lazily = recipe.penalty_every > 1
        loss = self.discriminator_loss(real, condition, fake)
        if its_turn and not lazily:
            loss = loss + self.penalty(real, condition, fake)
        descend(optimizer, loss)
        if its_turn and lazily:
            descend(optimizer, recipe.penalty_every * self.penalty(real, condition, fake))
        self.updates += 1
        if recipe.clip is not None and recipe.penalty is None:
            with torch.no_grad():
                for parameter in self.critic_parameters:
                    parameter.clamp_(-self.recipe.clip, self.recipe.clip)

    def penalty(self, real: torch.Tensor, condition: list[torch.Tensor], fake: torch.Tensor) -> torch.Tensor:
        """Computes the penalty that the recipe names, with its weight."""
        weight = WEIGHT if self.recipe.penalty_weight is None else self.recipe.penalty_weight
        judge = functools.partial(self.logits, condition=condition)
        return penalties.penalty(self.recipe.penalty, judge, real, fake.float(), weight)

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
        if self.recipe.loss == "hinge":
            above, below = 1 - self.logits(real, condition), 1 + self.logits(fake, condition)
            return functional.relu(above).mean() + functional.relu(below).mean()
        return cross_entropy(self.logits(real, condition), 1.0) + cross_entropy(self.logits(fake, condition), 0.0)

    def generator_step(self, fake: torch.Tensor, condition: list[torch.Tensor]) -> None:
        """Takes one step of the generator."""
        # The tutorials compute gradients of the discriminator here, too, and do not use them.
        with fixed(*([self.discriminator] if self.beyond else [])):
            logits = self.logits(fake, condition)
            descend(self.optimizers[0], cross_entropy(logits, 1.0) if self.is_probability else -logits.mean())


def initialize(recipe: Recipe, networks: tuple[torch.nn.Module, torch.nn.Module]) -> None:
    """Draws the initial weights that a recipe or its system names; where neither does, PyTorch's own stay."""
    std = recipe.initial_std or getattr(models.build(recipe.model).generator, "initial_std", None)
    if std is None:
        return
    for layer in (layer for network in networks for layer in network.modules()):
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(getattr(layer, "weight_orig", layer.weight), 0.0, std)  # with spectral normalisation
        elif isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.weight, 1.0, std)


def rotated(pictures: torch.Tensor, degrees: float) -> torch.Tensor:
    """Rotates each picture by its own random angle."""
    angles = torch.deg2rad((2 * torch.rand(len(pictures), device=pictures.device) - 1) * degrees)
    cos, sin, zero = torch.cos(angles), torch.sin(angles), torch.zeros_like(angles)
    turns = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = functional.affine_grid(turns, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
