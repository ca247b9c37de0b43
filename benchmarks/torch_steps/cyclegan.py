"""CycleGAN: a step of both generators, then one of both discriminators on pictures that pools have shown.

No layer looks at a whole batch, so that pictures of one network pass together where the authors' program takes them one
after the other.
"""

import random
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_networks import reference
from benchmarks.torch_steps.base import TimedStep, adam, descend, fixed, jittered, refuse
from benchmarks.workload import channels, random_pictures
from experiments.run.recipes import Recipe
from jaxgan.systems.cyclegan import JITTER, LARGE

torch_cyclegan = reference("torch_cyclegan")


class Step(TimedStep):
    """A training of CycleGAN; see `TimedStep`."""

    def __init__(self, recipe: Recipe, *, channels_last: bool, form: str | None = None) -> None:
        super().__init__(recipe, channels_last=channels_last)
        refuse(recipe, "generator")
        size, colours = recipe.picture_size, channels(recipe)
        blocks = (9 if size >= LARGE else 6) if recipe.blocks is None else recipe.blocks
        self.there, self.back = (self.placed(torch_cyclegan.resnet(colours, recipe.width, blocks)) for _ in range(2))
        patchgan = reference("torch_pix2pix").patchgan
        patches = recipe.discriminator_width, recipe.discriminator_layers
        self.judge_a, self.judge_b = (self.placed(patchgan(colours, *patches, "instance")) for _ in range(2))
        betas = recipe.beta1, 0.999
        self.for_generators = adam([self.there, self.back], recipe.learning_rate, betas)
        self.for_discriminators = adam([self.judge_a, self.judge_b], recipe.learning_rate, betas)
        self.pools = [torch_cyclegan.Pool(recipe.pool_size) for _ in range(2)]
        self.enlarge = round(JITTER * size) if recipe.jitter is None else recipe.jitter
        self.domains = [self.source(examples.arrays) for examples in random_pictures(recipe).values()]

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        names = ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b")
        return dict(zip(names, (self.there, self.back, self.judge_a, self.judge_b), strict=True))

    def step(self) -> None:
        recipe = self.recipe
        real_a, real_b = (
            jittered([domain.batch()["image"]], enlarge=self.enlarge, flip=recipe.flip)[0] for domain in self.domains
        )
        with fixed(self.judge_a, self.judge_b):
            fake_b, same_b = self._made(self.there, real_a, real_b)
            fake_a, same_a = self._made(self.back, real_b, real_a)
            l1 = functional.l1_loss
            loss_a = l1(self.back(fake_b), real_a)
            loss_b = l1(self.there(fake_a), real_b)
            if recipe.identity_weight:
                loss_a = loss_a + recipe.identity_weight * l1(same_a, real_a)
                loss_b = loss_b + recipe.identity_weight * l1(same_b, real_b)
            loss = recipe.cycle_weight_a * loss_a + recipe.cycle_weight_b * loss_b
            for judge, fake in ((self.judge_a, fake_a), (self.judge_b, fake_b)):
                loss = loss + torch_cyclegan.adversarial(judge(fake), 1.0, recipe.loss)
            descend(self.for_generators, loss)
        descend(
            self.for_discriminators,
            self._judged(self.judge_a, real_a, self._shown(0, fake_a))
            + self._judged(self.judge_b, real_b, self._shown(1, fake_b)),
        )

    def _made(self, generator: nn.Module, given: torch.Tensor, same: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Translates pictures, and with them those that are of the target domain already."""
        if not self.recipe.identity_weight:
            return generator(given), same
        return generator(torch.cat([given, same])).chunk(2)

    def _shown(self, number: int, fakes: torch.Tensor) -> torch.Tensor:
        if not self.recipe.pool_size:
            return fakes.detach()
        swaps = [random.random() < 0.5 for _ in fakes]
        places = [random.randrange(self.recipe.pool_size) for _ in fakes]
        return self.pools[number].query(fakes.detach(), swaps, places)

    def _judged(self, judge: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        of_real, of_fake = judge(torch.cat([real, fake])).chunk(2)
        loss = self.recipe.loss
        return 0.5 * (torch_cyclegan.adversarial(of_real, 1.0, loss) + torch_cyclegan.adversarial(of_fake, 0.0, loss))
