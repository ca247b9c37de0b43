"""StyleGAN2: a step of each player, in some steps another one on the path length and on R1, and the averages."""

import copy
import math
import random
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_steps.base import TimedStep, adam, descend, fixed, follow, jittered, refuse
from benchmarks.torch_steps.stylegan2_networks import Discriminator, Generator
from benchmarks.workload import channels, random_pictures
from experiments.run.recipes import Recipe
from jaxgan.systems.stylegan2 import NATIVE

STYLE_DECAY, PATH_DECAY = 0.995, 0.99


class Step(TimedStep):
    """A training of a StyleGAN2; see `TimedStep`. The form is that of the modulated convolutions."""

    def __init__(self, recipe: Recipe, *, channels_last: bool, form: str | None = None) -> None:
        super().__init__(recipe, channels_last=channels_last)
        refuse(recipe, "conditional", "diffaugment", "ada", "residual")
        side, colours = recipe.image_size or NATIVE[recipe.model], channels(recipe)
        base = recipe.channel_base or (32768 if side >= 512 else 16384)
        widths = [max(1, min(base // 2**power, recipe.channel_max)) for power in range(2, side.bit_length())]
        self.generator = self.placed(
            Generator(widths, colours, recipe.latent_dim, recipe.mapping_layers, form or "grouped")
        )
        self.discriminator = self.placed(Discriminator(widths, colours, recipe.minibatch_std))
        self.for_generator = self._adam(self.generator, recipe.path_every)
        self.for_discriminator = self._adam(self.discriminator, recipe.penalty_every)
        self.gamma = 0.0002 * side**2 / recipe.batch_size if recipe.gamma is None else recipe.gamma
        self.learning = list(self.generator.parameters())
        self.average = copy.deepcopy(self.learning)
        self.average_style = torch.zeros(recipe.latent_dim, device=self.device)
        self.path_length = torch.zeros((), device=self.device)
        self.pictures = self.source(random_pictures(recipe).arrays)
        self.number = 0

    def _adam(self, network: nn.Module, every: int) -> torch.optim.Optimizer:
        recipe, share = self.recipe, every / (every + 1)
        return adam([network], recipe.learning_rate * share, (recipe.beta1**share, recipe.beta2**share))

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self) -> None:
        recipe, judge = self.recipe, self.discriminator
        (real,) = jittered([self.pictures.batch()["image"]], enlarge=0, flip=recipe.flip)
        with fixed(judge):
            fakes = self.generator(self.drawn_styles(len(real)))
            descend(self.for_generator, functional.softplus(-judge(fakes)).mean())
        if recipe.path_weight and self.number % recipe.path_every == 0:
            descend(self.for_generator, recipe.path_weight * recipe.path_every * self.path_penalty())
        with torch.no_grad():
            fakes = self.generator(self.drawn_styles(len(real)))
        loss = functional.softplus(judge(fakes)).mean() + functional.softplus(-judge(real)).mean()
        descend(self.for_discriminator, loss)
        if self.number % recipe.penalty_every == 0:
            descend(self.for_discriminator, 0.5 * self.gamma * recipe.penalty_every * self.squared_slopes(real))
        follow(self.average, self.learning, self.decay())
        self.number += 1

    def drawn_styles(self, count: int) -> torch.Tensor:
        """Draws styles of all layers, (N, styles, L), in most batches of two latents."""
        generator, recipe = self.generator, self.recipe
        w = generator.map(torch.randn(count, recipe.latent_dim, device=self.device))
        self.average_style.lerp_(w.detach().mean(0), 1 - STYLE_DECAY)
        if random.random() >= recipe.mixing:
            return w[:, None].expand(-1, generator.styles, -1)
        cutoff = random.randrange(1, generator.styles)
        other = generator.map(torch.randn(count, recipe.latent_dim, device=self.device))
        parts = [
            part[:, None].expand(-1, length, -1) for part, length in ((w, cutoff), (other, generator.styles - cutoff))
        ]
        return torch.cat(parts, 1)

    def path_penalty(self) -> torch.Tensor:
        """Returns the mean squared distance of path lengths from their average, of half a batch."""
        ws = self.drawn_styles(max(1, self.batch_size // 2))
        images = self.generator(ws)
        directions = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
        (slopes,) = torch.autograd.grad((images * directions).sum(), ws, create_graph=True)
        lengths = slopes.square().sum(2).mean(1).sqrt()
        average = self.path_length.lerp(lengths.mean(), 1 - PATH_DECAY)
        self.path_length = average.detach()
        return (lengths - average).square().mean()

    def squared_slopes(self, real: torch.Tensor) -> torch.Tensor:
        """Returns the mean squared length of the discriminator's gradient at real pictures."""
        real = real.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(self.discriminator(real).sum(), real, create_graph=True)
        return slopes.square().sum((1, 2, 3)).mean()

    def decay(self) -> float:
        """Returns how much of the averaged generator stays."""
        recipe, batch = self.recipe, self.batch_size
        half_life = 1000 * (batch * 10 / 32 if recipe.average_kimg is None else recipe.average_kimg)
        if recipe.average_ramp is not None:
            half_life = min(half_life, recipe.average_ramp * self.number * batch)
        return 0.5 ** (batch / max(half_life, 1e-8))
