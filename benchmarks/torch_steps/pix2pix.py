"""pix2pix: the discriminator's step, and the generator's on the pictures of the same pass."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_networks import reference
from benchmarks.torch_steps.base import TimedStep, adam, descend, fixed, jittered
from benchmarks.workload import channels, random_pictures
from experiments.run.recipes import Recipe
from jaxgan.systems.pix2pix import JITTER

torch_pix2pix = reference("torch_pix2pix")


class Step(TimedStep):
    """A training of pix2pix; see `TimedStep`."""

    def __init__(self, recipe: Recipe, *, channels_last: bool, form: str | None = None) -> None:
        super().__init__(recipe, channels_last=channels_last)
        size, colours = recipe.picture_size, channels(recipe)
        generator = torch_pix2pix.UNet(size, colours, recipe.width, recipe.norm)
        for stage in generator.with_dropout:
            generator.up[stage].append(nn.Dropout(recipe.dropout_rate))
        self.generator = self.placed(generator)
        patches = recipe.discriminator_width, recipe.discriminator_layers
        self.discriminator = self.placed(torch_pix2pix.patchgan(2 * colours, *patches, recipe.norm))
        betas = recipe.beta1, 0.999
        self.for_generator = adam([self.generator], recipe.learning_rate, betas)
        self.for_discriminator = adam([self.discriminator], recipe.learning_rate, betas)
        self.enlarge = round(JITTER * size) if recipe.jitter is None else recipe.jitter
        self.pairs = self.source(random_pictures(recipe).arrays)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self) -> None:
        recipe, pair = self.recipe, self.pairs.batch()
        inputs, images = jittered([pair["input"], pair["image"]], enlarge=self.enlarge, flip=recipe.flip)
        fakes = self.generator(inputs)
        of_fake = self.discriminator(torch.cat([inputs, fakes.detach()], 1))
        of_real = self.discriminator(torch.cat([inputs, images], 1))
        loss = torch_pix2pix.adversarial(of_fake, 0.0, recipe.loss) + torch_pix2pix.adversarial(
            of_real, 1.0, recipe.loss
        )
        descend(self.for_discriminator, 0.5 * loss)
        with fixed(self.discriminator):
            judged = self.discriminator(torch.cat([inputs, fakes], 1))
            l1 = functional.l1_loss(fakes, images)
            descend(self.for_generator, torch_pix2pix.adversarial(judged, 1.0, recipe.loss) + recipe.l1_weight * l1)
