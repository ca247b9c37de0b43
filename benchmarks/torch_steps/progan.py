"""ProGAN between two fades, where only the layers of one size are computed: at full size, or at that of a phase.

The arithmetic is that of the reference in `tests/reference/torch_progan.py`, which always has full size and all stages.
"""

import copy
import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_networks import reference
from benchmarks.torch_steps.base import TimedStep, adam, descend, fixed, follow, jittered
from benchmarks.workload import channels, random_pictures
from experiments.run.recipes import Recipe

RELU = math.sqrt(2)
FIRST = 4  # side of the smallest pictures

deviation = reference("torch_stylegan2").deviation


class Linear(nn.Module):
    """An equalised linear layer."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = RELU, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = gain / math.sqrt(inputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight * self.gain, self.bias)


class Convolution(nn.Module):
    """An equalised convolution that keeps the size."""

    def __init__(self, inputs: int, outputs: int, side: int = 3, *, gain: float = RELU) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = gain / math.sqrt(inputs * side**2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.weight * self.gain, self.bias, padding=self.weight.shape[-1] // 2)


def activate(x: torch.Tensor) -> torch.Tensor:
    return functional.leaky_relu(x, 0.2)


def normalised(x: torch.Tensor) -> torch.Tensor:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Generator(nn.Module):
    """Pictures from latents; `widths` are the channels of 4×4, 8×8, and so on."""

    def __init__(self, widths: Sequence[int], colours: int, latent_dim: int) -> None:
        super().__init__()
        self.dense = Linear(latent_dim, FIRST**2 * widths[0], gain=RELU / 4, bias=False)
        self.bias = nn.Parameter(torch.zeros(widths[0]))
        stages = [[Convolution(widths[0], widths[0])]]
        for before, after in itertools.pairwise(widths):
            stages.append([Convolution(before, after), Convolution(after, after)])
        self.stages = nn.ModuleList(map(nn.ModuleList, stages))
        self.to_rgb = nn.ModuleList(Convolution(width, colours, 1, gain=1.0) for width in widths)

    def forward(self, z: torch.Tensor, level: int) -> torch.Tensor:
        x = self.dense(normalised(z)).reshape(len(z), -1, FIRST, FIRST)
        x = normalised(activate(x + self.bias[:, None, None]))
        for number, stage in enumerate(self.stages[: level + 1]):
            x = functional.interpolate(x, scale_factor=2, mode="nearest") if number else x
            for convolution in stage:
                x = normalised(activate(convolution(x)))
        return self.to_rgb[level](x)


class Discriminator(nn.Module):
    """Logits (N,) of pictures."""

    def __init__(self, widths: Sequence[int], colours: int, features: int, group: int) -> None:
        super().__init__()
        self.from_rgb = nn.ModuleList(Convolution(colours, width, 1) for width in widths)
        self.stages = nn.ModuleList(
            nn.ModuleList([Convolution(large, large), Convolution(large, small)])
            for small, large in itertools.pairwise(widths)
        )
        self.last = Convolution(widths[0] + 1, widths[0])
        self.dense = Linear(FIRST**2 * widths[0], features)
        self.logit = Linear(features, 1, gain=1.0)
        self.group = group

    def forward(self, x: torch.Tensor, level: int) -> torch.Tensor:
        x = activate(self.from_rgb[level](x))
        for first, second in reversed(self.stages[:level]):
            x = activate(functional.avg_pool2d(second(activate(first(x))), 2))
        x = activate(self.last(deviation(x, self.group)))
        return self.logit(activate(self.dense(x.flatten(1))))[:, 0]


class Step(TimedStep):
    """A training of ProGAN within its first phase; see `TimedStep`."""

    def __init__(self, recipe: Recipe, *, channels_last: bool, form: str | None = None) -> None:
        super().__init__(recipe, channels_last=channels_last)
        full, colours = recipe.picture_size, channels(recipe)
        self.batch_size = recipe.settings.batch_at(recipe.initial_size)
        self.level, self.times = recipe.initial_size.bit_length() - 3, full // recipe.initial_size
        sides = [FIRST << level for level in range(full.bit_length() - 2)]
        features, *widths = (max(1, min(recipe.channel_base // side, recipe.width)) for side in (FIRST // 2, *sides))
        self.latent_dim = recipe.latent_dim or features
        self.generator = self.placed(Generator(widths, colours, self.latent_dim))
        self.discriminator = self.placed(Discriminator(widths, colours, features, recipe.minibatch_std))
        rate = recipe.settings.rate_at(recipe.initial_size)
        self.for_generator, self.for_discriminator = (
            adam([network], rate, (0.0, 0.99)) for network in (self.generator, self.discriminator)
        )
        self.learning = list(self.generator.parameters())
        self.average = copy.deepcopy(self.learning)
        self.pictures = self.source(random_pictures(recipe).arrays)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self) -> None:
        recipe = self.recipe
        (real,) = jittered([self.pictures.batch()["image"]], enlarge=0, flip=recipe.flip)
        real = functional.avg_pool2d(real, self.times) if self.times > 1 else real
        with torch.no_grad():
            fake = self.generator(self.latents(), self.level)
        # A small picture has 1/k of the length of its repetition to full size, where the slope is taken.
        share = torch.rand(len(real), 1, 1, 1, device=self.device)
        points = (self.times * torch.lerp(real, fake, share)).requires_grad_()
        logits = self.discriminator(points / self.times, self.level)
        (slopes,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
        penalty = (slopes.square().sum((1, 2, 3)).sqrt() - 1).square().mean()
        of_real, of_fake = (self.discriminator(shown, self.level) for shown in (real, fake))
        loss = of_fake.mean() - of_real.mean() + recipe.penalty_weight * penalty
        descend(self.for_discriminator, loss + recipe.drift_weight * of_real.square().mean())
        follow(self.average, self.learning, recipe.average_decay)
        with fixed(self.discriminator):
            made = self.generator(self.latents(), self.level)
            descend(self.for_generator, -self.discriminator(made, self.level).mean())

    def latents(self) -> torch.Tensor:
        return torch.randn(self.batch_size, self.latent_dim, device=self.device)
