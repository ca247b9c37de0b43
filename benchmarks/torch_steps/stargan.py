"""StarGAN: some steps of the discriminator, each on a batch of its own, then one of the generator on the last."""

import itertools
from collections.abc import Mapping

import torch
from torch import nn

from benchmarks.torch_networks import reference
from benchmarks.torch_steps.base import TimedStep, adam, descend, fixed, jittered
from benchmarks.workload import channels, random_pictures
from experiments.run.recipes import Recipe
from jaxgan.models.stargan import stargan
from jaxgan.systems.stargan import kinds_of

torch_stargan = reference("torch_stargan")


class Step(TimedStep):
    """A training of StarGAN; see `TimedStep`."""

    def __init__(self, recipe: Recipe, *, channels_last: bool, form: str | None = None) -> None:
        super().__init__(recipe, channels_last=channels_last)
        self.batches = recipe.critic_steps
        examples = random_pictures(recipe)
        kinds = kinds_of(examples.condition_names, recipe.kinds)
        sizes = tuple(len(kind.classes) for kind in kinds)
        self.kinds = sizes if recipe.class_loss == "softmax" else ()
        columns = list(itertools.chain(*(range(*kind.columns.indices(examples.condition_dim)) for kind in kinds)))
        size, colours = recipe.picture_size, channels(recipe)
        generator = torch_stargan.Generator(colours, sum(sizes), recipe.width, recipe.blocks, recipe.mask)
        for layer in generator.modules():
            if isinstance(layer, nn.InstanceNorm2d):  # with running statistics there, which nobody reads
                layer.running_mean = layer.running_var = None
        self.generator = self.placed(generator)
        layers = recipe.discriminator_layers or stargan(image_size=size)[1].layers
        judge = torch_stargan.Discriminator(size, colours, sum(sizes), recipe.discriminator_width, layers)
        self.discriminator = self.placed(judge)
        betas = recipe.beta1, 0.999
        self.for_generator = adam([self.generator], recipe.generator_learning_rate, betas)
        self.for_discriminator = adam([self.discriminator], recipe.discriminator_learning_rate, betas)
        self.labelled = self.source({**examples.arrays, "condition": examples.conditions[:, columns]})

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self) -> None:
        recipe = self.recipe
        for _ in range(recipe.critic_steps):
            batch = self.labelled.batch()
            (real,) = jittered([batch["image"]], enlarge=0, flip=recipe.flip)
            labels = batch["condition"]
            targets = labels[torch.randperm(len(labels), device=self.device)]
            with torch.no_grad():
                fake = self.generator(real, targets)
            self._discriminator_step(real, labels, fake)
        with fixed(self.discriminator):
            fake = self.generator(real, targets)
            scores, classes = self.discriminator(fake)
            back = (self.generator(fake, labels) - real).abs().mean()
            of_class = recipe.class_weight * torch_stargan.class_loss(classes, targets, self.kinds)
            loss = of_class + recipe.reconstruction_weight * back - scores.mean()
            if recipe.identity_weight:
                loss = loss + recipe.identity_weight * (self.generator(real, labels) - real).abs().mean()
            descend(self.for_generator, loss)

    def _discriminator_step(self, real: torch.Tensor, labels: torch.Tensor, fake: torch.Tensor) -> None:
        scores, classes = self.discriminator(torch.cat([real, fake]))  # no layer looks at a whole batch
        of_real, of_fake = scores.chunk(2)
        of_class = torch_stargan.class_loss(classes[: len(real)], labels, self.kinds)
        share = torch.rand(len(real), 1, 1, 1, device=self.device)
        slope = torch_stargan.penalty(self.discriminator, real, fake, share)
        loss = of_fake.mean() - of_real.mean() + self.recipe.class_weight * of_class
        descend(self.for_discriminator, loss + self.recipe.penalty_weight * slope)
