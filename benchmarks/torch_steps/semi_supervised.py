"""The semi-supervised GAN: a step of the classifier, then one of the generator, which matches mean features.

Weights are normalised once for all pictures that pass together. No layer of the classifier looks at a whole batch, so
that labelled, unlabelled and generated pictures are one pass. Adam's epsilon stands beside the root, not in it.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_networks import reference
from benchmarks.torch_steps.base import TimedStep, adam, descend, follow, refuse
from benchmarks.workload import channels, random_pictures
from experiments.run.recipes import Recipe
from jaxgan.data import few_labels
from jaxgan.models.semi_supervised_conv import halved
from jaxgan.systems.semi_supervised import head_of

torch_ssgan, torch_ssgan_conv = reference("torch_ssgan"), reference("torch_ssgan_conv")

Weights = list[tuple[torch.Tensor, torch.Tensor]]
STD = 0.05  # of the initial kernels


class Step(TimedStep):
    """A training of a semi-supervised GAN; see `TimedStep`."""

    def __init__(self, recipe: Recipe, *, channels_last: bool, form: str | None = None) -> None:
        super().__init__(recipe, channels_last=channels_last)
        refuse(recipe, "generator_loss", "unsupervised")
        examples = random_pictures(recipe)
        head = head_of(examples.condition_names, recipe.labels_of)
        flat = recipe.model == "ssgan_mnist"
        parts = Flat(recipe, len(head.classes)) if flat else Convolutional(recipe, len(head.classes))
        for layer in (*parts.generator.modules(), *parts.judge.modules()):
            if hasattr(layer, "kernel"):
                nn.init.normal_(layer.kernel, 0.0, STD)
        self.parts, self.generator, self.judge = parts, self.placed(parts.generator), self.placed(parts.judge)
        betas = recipe.beta1, 0.999
        self.for_generator = adam([self.generator], recipe.generator_learning_rate, betas)
        self.for_discriminator = adam([self.judge], recipe.discriminator_learning_rate, betas)
        self.learning = [parameter for parameter in self.judge.parameters() if parameter.requires_grad]
        self.average = copy.deepcopy(self.learning)
        options = {"per_class": recipe.labels_per_class, "seed": recipe.labels_seed, "least": recipe.batch_size}
        divided = few_labels.divide(examples, head, **options)
        labelled = divided[few_labels.LABELLED]
        arrays = {"image": labelled.images, "label": labelled.conditions.argmax(1)}
        self.labelled = self.source(arrays, unit=flat)
        self.unlabelled = self.source(divided[few_labels.UNLABELLED].arrays, unit=flat)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.judge}

    def step(self) -> None:
        recipe, parts = self.recipe, self.parts
        labelled, unlabelled = self.labelled.batch(), self.unlabelled.batch()["image"]
        with torch.no_grad():
            fakes = parts.generate(self.latents())
        shown = torch.cat([labelled["image"], unlabelled, fakes])
        of_labelled, of_unlabelled, of_fakes = parts.judged(shown, parts.weights())[0].chunk(3)
        real, generated = (logits.logsumexp(1) for logits in (of_unlabelled, of_fakes))
        without = 0.5 * (functional.softplus(-real).mean() + functional.softplus(generated).mean())
        loss = functional.cross_entropy(of_labelled, labelled["label"])
        descend(self.for_discriminator, loss + recipe.unsupervised_weight * without)
        follow(self.average, self.learning, recipe.average_decay)
        with torch.no_grad():
            weights = parts.weights()
            wanted = parts.judged(unlabelled, weights)[1].mean(0)
        difference = parts.judged(parts.generate(self.latents()), weights)[1].mean(0) - wanted
        absolute = recipe.generator_loss == "absolute_feature_matching"
        descend(self.for_generator, (difference.abs() if absolute else difference.square()).mean())

    def latents(self) -> torch.Tensor:
        return torch.rand(self.batch_size, self.recipe.latent_dim, device=self.device)


class Flat:
    """The fully connected networks: pixels in [0, 1], noise on every layer of the classifier."""

    def __init__(self, recipe: Recipe, classes: int) -> None:
        self.shape = channels(recipe), recipe.picture_size, recipe.picture_size
        pixels, width = self.shape[0] * self.shape[1] ** 2, recipe.discriminator_width
        widths = [width, *(max(1, width // part) for part in (2, 4, 4, 4))]
        self.generator = torch_ssgan.Generator(recipe.latent_dim, recipe.generator_width, pixels)
        self.judge = torch_ssgan.Discriminator(pixels, widths, classes)
        self.norms = Norms(recipe.generator_width, recipe.generator_width)

    def generate(self, z: torch.Tensor) -> torch.Tensor:
        """Maps latents to pictures."""
        made = self.generator
        for place, (dense, shift) in enumerate(zip(made.dense, made.shifts, strict=True)):
            z = functional.softplus(self.norms(dense(z), shift, place))
        kernel, bias = effective(made.last)
        return torch.sigmoid(torch.addmm(bias, z, kernel)).unflatten(1, self.shape)

    def weights(self) -> Weights:
        """Returns the classifier's kernels as they are applied, and biases."""
        return [effective(layer) for layer in self.judge.layers]

    def judged(self, x: torch.Tensor, weights: Weights) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns logits of the classes, and features."""
        x, std = x.flatten(1), 0.3
        for kernel, bias in weights[:-1]:
            x = functional.relu(torch.addmm(bias, x + std * torch.randn_like(x), kernel))
            std = 0.5
        kernel, bias = weights[-1]
        return torch.addmm(bias, x + std * torch.randn_like(x), kernel), x


class Convolutional:
    """The convolutional networks: pixels in [−1, 1], dropout in the classifier."""

    def __init__(self, recipe: Recipe, classes: int) -> None:
        size, colours, width = recipe.picture_size, channels(recipe), recipe.generator_width
        sides = [halved(size, times) for times in (3, 2, 1, 0)]
        self.generator = torch_ssgan_conv.Generator(recipe.latent_dim, width, colours, sides)
        self.judge = torch_ssgan_conv.Discriminator(colours, recipe.discriminator_width, classes)
        self.norms = Norms(*(len(shift) for shift in self.generator.shifts))

    def generate(self, z: torch.Tensor) -> torch.Tensor:
        """Maps latents to pictures."""
        made = self.generator
        x = functional.relu(self.norms(made.dense(z), made.shifts[0], 0)).reshape(-1, *made.first)
        for place, conv in enumerate(made.convs, 1):
            x = functional.relu(self.norms(conv(x), made.shifts[place], place))
        last, (kernel, bias) = made.last, effective(made.last)
        x = functional.conv_transpose2d(x, kernel, bias, last.stride, last.padding, last.extra)
        return torch.tanh(x)

    def weights(self) -> Weights:
        """Returns the classifier's kernels as they are applied, and biases."""
        return [effective(layer) for layer in (*self.judge.convs, self.judge.last)]

    def judged(self, x: torch.Tensor, weights: Weights) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns logits of the classes, and features."""
        for place, (conv, (kernel, bias)) in enumerate(zip(self.judge.convs, weights[:-1], strict=True)):
            if place in (0, 3, 6):
                x = functional.dropout(x, 0.5 if place else 0.2)
            x = functional.leaky_relu(functional.conv2d(x, kernel, bias, conv.stride, conv.padding), 0.2)
        features, (kernel, bias) = x.mean((2, 3)), weights[-1]
        return torch.addmm(bias, features, kernel), features


class Norms:
    """Batch normalisation without a scale, with running statistics."""

    def __init__(self, *units: int) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.running = [(torch.zeros(size, device=device), torch.ones(size, device=device)) for size in units]

    def __call__(self, x: torch.Tensor, shift: torch.Tensor, place: int) -> torch.Tensor:
        return functional.batch_norm(x, *self.running[place], None, shift, training=True, eps=1e-6)


def effective(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the kernel of a layer as it is applied, of its scale's length for each unit, and its bias."""
    kernel = layer.kernel
    unit = 1 if kernel.ndim == 2 or layer.transposed else 0
    others = [axis for axis in range(kernel.ndim) if axis != unit]
    shape = [-1 if axis == unit else 1 for axis in range(kernel.ndim)]
    epsilon = getattr(layer, "epsilon", 1e-6)
    lengths = (kernel.square().sum(others) + epsilon).sqrt()
    return kernel * (layer.scale / lengths).reshape(shape), layer.bias
